"""
What every transport does with a connection's bytes: the same over a socket, memory and TLS.

The peer's side takes some 4 KiB before it reads, and its reader refuses whatever is not a whole and proper frame.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
import trio
import trio.testing

from rtcore.errors import ConnectionClosed
from rtcore.protocol.envelope import encode_reply
from rtcore.testing import Frame, mask_frame
from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.events import Lane
from rtcore.values.limits import Limits
from rtcore.values.opcodes import Opcode

OpenTalk = Any  # the fixture of conftest.py
MEBIBYTE = 1024 * 1024


async def echo(connection: WebSocketConnection) -> None:
    while True:
        for message in await connection.receive():
            await connection.send(message.data, text=message.text)


async def listen(connection: WebSocketConnection) -> None:
    while True:
        await connection.receive()


def subscribing(*channels: str) -> Any:
    async def handler(connection: WebSocketConnection) -> None:
        for channel in channels:
            connection._hub.attach_cursor(connection, channel)
        await listen(connection)

    return handler


async def frames(peer: Any, count: int) -> list[Frame]:
    return [await peer.receive_frame() for _ in range(count)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, MEBIBYTE])
async def test_messages_of_every_size_come_back(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk, size: int
) -> None:
    async with open_talk(echo) as talk:
        text = "ä" * (size // 2) + "x" * (size % 2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk.peer.send_text, text)
            assert await talk.peer.receive_message() == text
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk.peer.send_binary, bytes(size))
            assert await talk.peer.receive_message() == bytes(size)


async def test_write_that_was_cut_short_goes_on_exactly_there(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """Events, own messages and pings of every size, read in crumbs: all whole, and each kind in order."""
    choice = random.Random(1)
    async with open_talk(subscribing("tasks"), limits=Limits(lag_events=10_000, lag_bytes=MEBIBYTE)) as talk:
        await trio.testing.wait_all_tasks_blocked()
        sent: dict[str, list[str]] = {"event": [], "own": []}
        for number in range(300):
            pad = "x" * choice.randrange(2000)
            if number % 3:
                talk.hub.publish("tasks", "event", f"{number}{pad}", lane=Lane.NORMAL)
                sent["event"].append(f"{number}{pad}")
            else:
                talk.connection.send_message(encode_reply("own", {"text": f"{number}{pad}"}, timestamp=0.0))
                sent["own"].append(f"{number}{pad}")
            if number % 10 == 0:
                await talk.peer.send_frame(Opcode.PING, b"%d" % number)
            if choice.random() < 0.3:
                await trio.testing.wait_all_tasks_blocked()
        got: dict[str, list[str]] = {"event": [], "own": []}
        while sum(map(len, got.values())) < 300:
            message = await talk.peer.receive()
            data = message["data"]
            got[message["type"]].append(data["text"] if message["type"] == "own" else data)
        assert got == sent


async def test_control_frame_waits_for_the_end_of_a_frame_and_no_longer(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """Its frame is half out and forty events wait: the pong comes right after that frame."""
    async with open_talk(subscribing("tasks")) as talk:
        await trio.testing.wait_all_tasks_blocked()
        talk.hub.publish("tasks", "x", "x" * 100_000)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(40):
            talk.hub.publish("tasks", "x", "x" * 1000)
        await talk.peer.send_frame(Opcode.PING, b"still there?")
        await trio.testing.wait_all_tasks_blocked()
        got = await frames(talk.peer, 42)
        assert [frame.opcode.name for frame in got] == ["TEXT", "PONG"] + ["TEXT"] * 40
        assert got[1].payload == b"still there?"


async def test_own_message_comes_before_the_events_that_wait(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    async with open_talk(subscribing("tasks")) as talk:
        await trio.testing.wait_all_tasks_blocked()
        talk.hub.publish("tasks", "first", "x" * 100_000)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(5):
            talk.hub.publish("tasks", "waiting", {})
        talk.connection.send_message(encode_reply("own", {}, timestamp=0.0))
        kinds = [(await talk.peer.receive())["type"] for _ in range(7)]
        assert kinds == ["first", "own"] + ["waiting"] * 5


async def test_what_one_tick_has_for_a_connection_leaves_in_one_write(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """Whatever the number of its channels, and with its own messages before."""
    channels = [f"channel{number}" for number in range(10)]
    async with open_talk(subscribing(*channels)) as talk:
        await trio.testing.wait_all_tasks_blocked()
        talk.transport.writes.clear()
        for channel in channels:
            talk.hub.publish(channel, "x", {})
        talk.connection.send_message(encode_reply("own", {}, timestamp=0.0))
        await trio.testing.wait_all_tasks_blocked()
        assert len(talk.transport.writes) == 1
        assert [(await talk.peer.receive())["type"] for _ in range(11)] == ["own"] + ["x"] * 10


async def test_early_bytes_are_the_first_messages(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """A client need not wait for the answer to its handshake; the answer comes first all the same."""
    early = mask_frame(Opcode.TEXT, b"one") + mask_frame(Opcode.TEXT, b"two")[:4]
    async with open_talk(echo, early=early) as talk:
        await talk.peer.send_raw(mask_frame(Opcode.TEXT, b"two")[4:])
        assert [await talk.peer.receive_message() for _ in range(2)] == ["one", "two"]


async def test_opening_leaves_before_the_first_frame(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    async with open_talk(echo, opening=b"HTTP/1.1 101 x\r\n\r\n") as talk:
        await talk.peer.send_text("hello")
        data = b""
        while len(data) < 25:
            data += bytes(await talk.peer.stream.receive_some(100))
        assert data == b"HTTP/1.1 101 x\r\n\r\n\x81\x05hello"


async def test_sender_waits_while_its_peer_reads_nothing(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """`send` is bounded by `reply_bytes`, not by memory, and goes on when there is room."""
    sent = 0

    async def pour(connection: WebSocketConnection) -> None:
        nonlocal sent
        for _ in range(100):
            await connection.send(b"x" * 10_000)
            sent += 1

    async with open_talk(pour, limits=Limits(reply_bytes=50_000)) as talk:
        await trio.testing.wait_all_tasks_blocked()
        assert 5 <= sent <= 20
        for _ in range(100):
            assert len(await talk.peer.receive_message()) == 10_000
        assert (await talk.peer.receive_close()).code == 1000
        assert sent == 100


async def test_sender_hears_that_its_peer_is_gone(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """Also while it waits for room."""
    heard: list[ConnectionClosed] = []

    async def pour(connection: WebSocketConnection) -> None:
        try:
            while True:
                await connection.send(b"x" * 10_000)
        except ConnectionClosed as closed:
            heard.append(closed)
            raise

    async with open_talk(pour, limits=Limits(reply_bytes=50_000)) as talk:
        await trio.testing.wait_all_tasks_blocked()
        talk.reset()
        await talk.finished.wait()
    assert [closed.code for closed in heard] == [1006]


async def test_backlog_drops_and_names_what_it_dropped(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    async with open_talk(subscribing("tasks"), limits=Limits(lag_events=10)) as talk:
        await trio.testing.wait_all_tasks_blocked()
        talk.hub.publish("tasks", "first", "x" * 100_000)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(30):
            talk.hub.publish("tasks", "x", {"number": number}, lane=Lane.LOW)
        assert (await talk.peer.receive())["type"] == "first"
        notice = (await talk.peer.expect("dropped"))["data"]
        assert (notice["count"], notice["types"]) == (20, {"x": 20})
        assert [event["data"]["number"] for event in await talk.peer.receive_events(10)] == list(range(20, 30))
        await trio.testing.wait_all_tasks_blocked()
        assert not talk.connection.blocked
        assert talk.hub.statistics().behind == 0


async def test_handler_publishes_to_itself_while_events_go_out(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """Each message answered with two events on the channel that it is subscribed to, a flush in between."""

    async def handler(connection: WebSocketConnection) -> None:
        connection._hub.attach_cursor(connection, "tasks")
        while True:
            for message in await connection.receive():
                connection._hub.publish("tasks", "x", message.data.decode())
                connection.flush()
                connection._hub.publish("tasks", "x", message.data.decode() + "!")
                connection._hub.broadcaster.flush()

    async with open_talk(handler) as talk:
        for text in "abc":
            await talk.peer.send_text(text)
        assert [event["data"] for event in await talk.peer.receive_events(6)] == ["a", "a!", "b", "b!", "c", "c!"]


async def test_connection_may_end_inside_of_the_fan_out(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """A channel that would rather lose a subscriber than an event closes it inside of `publish`; others get it all."""
    async with (
        open_talk(subscribing("strict"), limits=Limits(lag_events=3)) as slow,
        open_talk(subscribing("strict"), hub=slow.hub, limits=Limits(lag_events=200)) as good,
    ):
        await trio.testing.wait_all_tasks_blocked()
        slow.hub.publish("strict", "x", "x" * 100_000)
        await good.peer.receive()
        for number in range(10):
            slow.hub.publish("strict", "x", number)
        assert [event["data"] for event in await good.peer.receive_events(10)] == list(range(10))
        assert (await slow.peer.receive_close()).code == 4000
        assert slow.hub.statistics().subscribers == 1


async def test_peer_that_takes_a_little_at_a_time_lives(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk
) -> None:
    """One message takes it five minutes, and never does it take nothing for 30 s."""
    limits = Limits(slow_consumer_seconds=30, ping_seconds=0, idle_seconds=0)
    async with open_talk(subscribing("tasks"), limits=limits) as talk:
        await trio.testing.wait_all_tasks_blocked()
        talk.hub.publish("tasks", "x", "x" * 240_000)
        taken = 0
        while taken < 240_000:
            await trio.sleep(5)
            data = await talk.peer.stream.receive_some(4096)
            assert data, "it was closed"
            taken += len(data)
        assert talk.connection.ended is None
