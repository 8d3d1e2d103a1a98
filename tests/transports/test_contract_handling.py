"""
Who handles what comes, and when, over every transport: handlers that are away, connections that are closing, and
clients that make the most of either.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from rtcore.errors import ConnectionClosed
from rtcore.testing import mask_frame
from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode, Opcode

OpenTalk = Any  # the fixture of conftest.py


async def test_a_message_of_a_handler_that_does_not_receive_leaves_in_this_tick(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    async def push(connection: WebSocketConnection) -> None:
        connection.send_message(b"tick")
        await trio.sleep(100)

    async with open_talk(push) as talk:
        began = trio.current_time()
        assert await talk.peer.receive_message() == "tick"
        assert trio.current_time() - began < 1


async def test_waiting_for_room_sends_what_is_only_queued(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """Nobody else would: a handler that waits for its own message to leave must not wait for ever."""
    done = trio.Event()

    async def push(connection: WebSocketConnection) -> None:
        connection.send_message(b"x" * 300_000)
        await connection.wait_room()
        done.set()

    async with open_talk(push) as talk:
        assert len(await talk.peer.receive_message()) == 300_000
        await done.wait()


async def test_a_violation_while_the_handler_is_away_is_answered_when_it_is_back(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """The peer has failed and need not send another byte: nothing may be waited for."""
    codes: list[int] = []

    async def late(connection: WebSocketConnection) -> None:
        await trio.sleep(2)
        try:
            await connection.receive()
        except ConnectionClosed as closed:
            codes.append(closed.code)
            raise

    async with open_talk(late) as talk:
        await talk.peer.send_raw(mask_frame(Opcode.TEXT, b"x", mask=None))
        began = trio.current_time()
        assert (await talk.peer.receive_close()).code == CloseCode.PROTOCOL_ERROR
        assert trio.current_time() - began < 5
        await talk.finished.wait()
        assert codes == [CloseCode.PROTOCOL_ERROR]


async def test_a_flood_after_our_close_frame_is_neither_held_nor_inflated(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """A client that is told to go has ten seconds to answer; it must not fill memory with them."""

    async def listen(connection: WebSocketConnection) -> None:
        while True:
            await connection.receive()

    async with open_talk(listen, limits=Limits(close_seconds=1000)) as talk:
        await trio.testing.wait_all_tasks_blocked()
        talk.connection.close(CloseCode.GOING_AWAY, "go")
        frames = mask_frame(Opcode.TEXT, b"x") * 1000
        for _ in range(50):
            await talk.peer.send_raw(frames)
            await trio.testing.wait_all_tasks_blocked()
            assert not talk.connection._state.pending
        assert talk.connection._messages is None
        assert talk.traffic.messages_in == 0
        assert (await talk.peer.receive_close()).code == CloseCode.GOING_AWAY
        await talk.finished.wait()


async def test_nothing_counts_as_sent_to_a_slow_client_that_has_said_goodbye(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """Its backlog can leave no more. An event sent after a gap would tell it that nothing is missing."""

    async def listen(connection: WebSocketConnection) -> None:
        connection._hub.attach_cursor(connection, "tasks")
        while True:
            await connection.receive()

    async with open_talk(listen) as talk:
        await trio.testing.wait_all_tasks_blocked()
        talk.hub.publish("tasks", "x", "x" * 1_000_000)
        await trio.testing.wait_all_tasks_blocked()
        assert talk.connection.blocked
        for number in range(5):
            talk.hub.publish("tasks", "waits", number)
        talk.connection.data_received(mask_frame(Opcode.CLOSE, b"\x03\xe8"))
        talk.connection.sendable()  # in the same tick, before the connection's task has run
        outcome = talk.hub.publish("tasks", "late", {})
        assert outcome.matched == 0
        await talk.peer.stream.aclose()


async def test_the_timer_of_a_connection_whose_handler_is_away_does_not_spin(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for the peer moves on with the time that nobody read; looking each time would be work for nothing."""
    looks = 0
    look = WebSocketConnection._on_timer

    def counted(connection: WebSocketConnection) -> float | None:
        nonlocal looks
        looks += 1
        return look(connection)

    monkeypatch.setattr(WebSocketConnection, "_on_timer", counted)

    async def away(connection: WebSocketConnection) -> None:
        connection._begin_reading()
        await trio.sleep(24.999)
        connection._end_reading()
        await trio.sleep(60)

    async with open_talk(away) as talk:
        await trio.sleep(80)
        assert 1 <= looks <= 60
        del talk
