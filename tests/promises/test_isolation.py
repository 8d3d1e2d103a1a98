"""
Promise: one bad client never shows in another's stream.

Beside each kind of bad client a good one gets every event at the very moment of its publication, in order, and its
heartbeats are answered at once, for as long as the bad one lasts and longer. Afterwards the server has forgotten the
bad one: its place, its subscriptions and its timers are free.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from rtcore.testing import TestClient, TestServer, mask_frame
from rtcore.values.opcodes import Opcode
from tests.driver_server import OpenServer

SECONDS = 300
BadClient = Callable[[TestServer], Awaitable[int | None]]
"""Misbehaves; returns the close code that it got, or None where it hears nothing."""


async def subscribed(server: TestServer) -> TestClient:
    client = await server.connect()
    await client.request("subscribe", {"channels": ["tasks", "other"]})
    return client


async def slow(server: TestServer) -> int | None:
    """Reads so much and then nothing more."""
    client = await subscribed(server)
    client.stream.clog(after_bytes=100)  # type: ignore[attr-defined]  # a CloggedStream
    return None


async def unread_replies(server: TestServer) -> int | None:
    """Asks and asks and never reads an answer."""
    client = await server.connect()
    client.stream.clog()  # type: ignore[attr-defined]  # a CloggedStream
    for identifier in range(200_000):
        try:
            await client.send("heartbeat", id=identifier)
        except trio.BrokenResourceError:
            return None
        if identifier % 50 == 0:
            await trio.sleep(1)
    return None


async def malformed_frames(server: TestServer) -> int | None:
    client = await subscribed(server)
    await client.send_raw(b"\xff\xff\xff\xff GET / HTTP/1.1")
    return (await client.receive_close()).code


async def malformed_messages(server: TestServer) -> int | None:
    """Not JSON, again and again: answered with errors until the rate limit makes it abuse."""
    client = await subscribed(server)
    await client.send_raw(mask_frame(Opcode.TEXT, b'{"type":') * 1000)
    return (await client.receive_close()).code


async def flooding_messages(server: TestServer) -> int | None:
    client = await subscribed(server)
    await client.send_raw(mask_frame(Opcode.TEXT, b'{"type":"heartbeat"}') * 10_000)
    return (await client.receive_close()).code


async def flooding_pings(server: TestServer) -> int | None:
    client = await subscribed(server)
    await client.send_raw(mask_frame(Opcode.PING, b"x" * 100) * 10_000)
    return (await client.receive_close()).code


async def flooding_fragments(server: TestServer) -> int | None:
    """Empty fragments cost no memory; the silence of real messages ends it."""
    client = await subscribed(server)
    await client.send_raw(mask_frame(Opcode.TEXT, b"", fin=False))
    await client.send_raw(mask_frame(Opcode.CONTINUATION, b"", fin=False) * 50_000)
    client.timeout = 1000
    return (await client.receive_close()).code


async def half_closed(server: TestServer) -> int | None:
    client = await subscribed(server)
    await client.half_close()
    return (await client.receive_close()).code


async def silent(server: TestServer) -> int | None:
    """Answers no ping."""
    client = await subscribed(server)
    client.answers_pings = False
    return (await client.receive_close()).code


async def idle(server: TestServer) -> int | None:
    """Answers pings, and says nothing."""
    client = await subscribed(server)
    client.timeout = 1000
    return (await client.receive_close()).code


async def mute(server: TestServer) -> int | None:
    """Connects and never begins."""
    stream = server.open_stream()
    assert await stream.receive_some() == b""
    return None


async def dribbling(server: TestServer) -> int | None:
    """Sends its handshake a byte a second."""
    stream = server.open_stream()
    for byte in b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n":
        try:
            await stream.send_all(bytes([byte]))
        except trio.BrokenResourceError:
            return None
        await trio.sleep(1)
    raise AssertionError("nobody minded")


async def announcing_much(server: TestServer) -> int | None:
    client = await subscribed(server)
    await client.send_raw(bytes([0x82, 0xFF]) + (1 << 62).to_bytes(8, "big") + bytes(4))
    return (await client.receive_close()).code


async def sending_much(server: TestServer) -> int | None:
    client = await subscribed(server)
    await client.send_text("x" * (2 * 1024 * 1024))
    return (await client.receive_close()).code


async def deflate_bomb(server: TestServer) -> int | None:
    client = await server.connect(compression=True)
    deflater = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(100)) + deflater.flush(zlib.Z_SYNC_FLUSH)
    await client.send_raw(mask_frame(Opcode.TEXT, bomb[:-4], rsv=4))
    return (await client.receive_close()).code


async def vanishing(server: TestServer) -> int | None:
    """Is cut off in the middle of a frame."""
    client = await subscribed(server)
    await client.send_raw(mask_frame(Opcode.TEXT, b'{"type":"heartbeat"}')[:9])
    client.stream.cut()  # type: ignore[attr-defined]  # a CloggedStream
    return None


async def churning(server: TestServer) -> int | None:
    """Comes and goes, a thousand times."""
    for _ in range(1000):
        client = await subscribed(server)
        await client.aclose()
    return None


BAD_CLIENTS: list[tuple[BadClient, int | None]] = [
    (slow, None),
    (unread_replies, None),
    (malformed_frames, 1002),
    (malformed_messages, 1008),
    (flooding_messages, 1008),
    (flooding_pings, 1008),
    (flooding_fragments, 4001),
    (half_closed, 1006),
    (silent, 4002),
    (idle, 4001),
    (mute, None),
    (dribbling, None),
    (announcing_much, 1009),
    (sending_much, 1009),
    (deflate_bomb, 1009),
    (vanishing, None),
    (churning, None),
]


async def enjoy(server: TestServer, good: TestClient, channel: str) -> None:
    """One event a second: each arrives when it is published; a heartbeat every 20 s, answered at once."""
    for number in range(SECONDS):
        await trio.sleep(1)
        now = trio.current_time()
        server.hub.publish(channel, "task.progress", {"number": number})
        event = await good.expect("task.progress")
        assert event["data"] == {"number": number}
        if number % 20 == 0:
            assert (await good.request("heartbeat"))["type"] == "heartbeat"
        assert trio.current_time() == now, "it waited for somebody"


@pytest.mark.parametrize(("bad", "code"), BAD_CLIENTS, ids=lambda value: getattr(value, "__name__", str(value)))
async def test_good_client_notices_nothing(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer, bad: BadClient, code: int | None
) -> None:
    got: list[int | None] = []

    async def misbehave() -> None:
        got.append(await bad(server))

    async with open_server() as server, trio.open_nursery() as nursery:
        good = await server.connect()
        await good.request("subscribe", {"channels": ["tasks"]})
        nursery.start_soon(misbehave)
        await enjoy(server, good, "tasks")
        nursery.cancel_scope.cancel()
        if code is not None:
            assert got == [code]
    after = server.hub.statistics()
    assert (server.server.pool.statistics().active, after.subscribers, after.views) == (0, 0, 0)


async def test_bad_client_is_forgotten(autojump_clock: trio.testing.MockClock, open_server: OpenServer) -> None:
    """All kinds at once, and then nothing is left of them but the good client."""

    async def misbehave(bad: BadClient) -> None:
        await bad(server)

    async with open_server() as server:
        good = await server.connect()
        await good.request("subscribe", {"channels": ["tasks"]})
        await trio.sleep(server.server.settings.limits.handshake_seconds)  # one timer for all, until its time has come
        await trio.testing.wait_all_tasks_blocked()
        before, tasks = server.hub.statistics(), trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            for bad, _ in BAD_CLIENTS:
                nursery.start_soon(misbehave, bad)
            await enjoy(server, good, "tasks")
            nursery.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        after = server.hub.statistics()
        assert server.server.pool.statistics().active == 1
        assert (after.subscribers, after.subscriptions, after.views, after.timers) == (
            before.subscribers,
            before.subscriptions,
            before.views,
            before.timers,
        )
        assert trio.lowlevel.current_statistics().tasks_living == tasks


async def test_slow_client_of_one_channel_keeps_nobody_waiting_who_publishes(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """`publish` never blocks, and a plain channel's `publish_wait` does not either."""
    async with open_server() as server:
        await slow(server)
        began = trio.current_time()
        for number in range(1000):
            await server.hub.publish_wait("tasks", "task.progress", {"number": number})
        assert trio.current_time() == began
