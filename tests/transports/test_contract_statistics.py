"""What a connection tells of itself: the same over a socket, memory and TLS."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from attrs.exceptions import FrozenInstanceError

from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.identity import Identity
from rtcore.values.opcodes import CloseCode, Opcode

OpenTalk = Any  # the fixture of conftest.py


async def echo(connection: WebSocketConnection) -> None:
    connection._hub.attach_cursor(connection, "tasks")
    while True:
        for message in await connection.receive():
            await connection.send(message.data)


async def test_connection_counts_what_went_over_its_wire(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """Bytes as they are on the wire, messages and pings one by one, and nothing of what others did."""
    async with open_talk(echo) as talk:
        for _ in range(3):
            await talk.peer.send_text("hello")
            assert await talk.peer.receive_message() == "hello"
        await talk.peer.send_frame(Opcode.PING, b"?")
        assert (await talk.peer.receive_frame()).opcode == Opcode.PONG
        await talk.peer.send_frame(Opcode.PONG, b"!")
        talk.hub.publish("tasks", "x", {})
        await talk.peer.receive_events(1)
        await trio.sleep(3)
        figures = talk.connection.statistics()
        assert figures.bytes_received == talk.traffic.bytes_in == 3 * (2 + 4 + 5) + 2 * (2 + 4 + 1)
        fanned_out = talk.hub.broadcaster.bytes_sent
        assert figures.bytes_sent == talk.traffic.bytes_out + fanned_out > 3 * (2 + 5) + 3
        assert (figures.messages_received, figures.messages_sent) == (3, 3), "an event is not one of its own messages"
        assert (figures.protocol.pings_received, figures.protocol.pongs_received) == (1, 1)
        assert (figures.subscriptions, list(figures.positions)) == (1, ["tasks"])
        assert 3 <= figures.idle_seconds < 5
        with pytest.raises(FrozenInstanceError):
            figures.bytes_sent = 0  # type: ignore[misc]


async def test_connection_says_what_waits_and_who_closed(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    async with open_talk(echo) as talk:
        await talk.peer.send_text("hello")
        assert await talk.peer.receive_message() == "hello"
        before = talk.connection.statistics()
        assert (before.unsent_bytes, before.ended, before.protocol.close_code) == (0, False, None)
        talk.connection.send_message(b"x" * 2_000_000)
        talk.connection.flush()
        waiting = talk.connection.statistics()
        frame = 10 + 2_000_000
        assert waiting.bytes_sent - before.bytes_sent + waiting.unsent_bytes == frame, "taken, or still waiting"
        talk.connection.close(CloseCode.SERVICE_RESTART, "back soon")
        closing = talk.connection.statistics()
        assert (closing.ended, closing.subscriptions) == (True, 0)
        protocol = closing.protocol
        assert (protocol.close_sent, protocol.close_received, protocol.closed) == (True, False, False)
        assert (protocol.close_code, protocol.close_reason) == (CloseCode.SERVICE_RESTART, "back soon")


async def test_connection_names_who_and_where(autojump_clock: trio.testing.MockClock, open_talk: OpenTalk) -> None:
    async with open_talk(echo) as talk:
        await trio.testing.wait_all_tasks_blocked()
        connection = talk.connection
        connection.address, connection.path = "192.0.2.1", "/ws"
        figures = connection.statistics()
        assert (figures.connection_id, figures.address, figures.path, figures.user) == ("c1", "192.0.2.1", "/ws", None)
        connection.identity = Identity(user="ada")
        assert connection.statistics().user == "ada"
