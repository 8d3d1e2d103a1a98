"""
Promise: for every connection the hooks `connected` and `disconnected` run once each, and the events
`connection.connected` and `connection.disconnected` are published once each, however the connection ends; for a
handshake that came to nothing neither does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define, field

import rtcore
from rtcore.errors import ConnectionClosed, HandshakeRefused
from rtcore.server.server import Server
from rtcore.testing import TestClient, TestServer, open_test_hub
from rtcore.transports.websocket_connection import WebSocketConnection
from tests.driver_server import KEPT_BYTES, OpenServer, ServerKind

LIMITS = rtcore.Limits(connections=3, drain_seconds=5, close_seconds=2, slow_consumer_seconds=5)
SETTINGS = rtcore.Settings(limits=LIMITS)


@define(eq=False)
class Witness:
    """What hooks and channel said, by connection."""

    hooks: list[tuple[str, str]] = field(factory=list)
    events: list[tuple[str, str]] = field(factory=list)

    def connected(self, info: rtcore.ConnectionInfo) -> None:
        self.hooks.append(("connected", info.connection_id))

    def disconnected(self, info: rtcore.ConnectionInfo) -> None:
        self.hooks.append(("disconnected", info.connection_id))

    def check(self, connections: int) -> None:
        """So many connections, each with both words once and in order, from hooks and events alike."""
        assert self.events == self.hooks
        assert set(Counter(self.hooks).values()) <= {1}
        came = [who for word, who in self.hooks if word == "connected"]
        went = [who for word, who in self.hooks if word == "disconnected"]
        assert len(came) == connections
        assert sorted(came) == sorted(went)
        for who in came:
            assert self.hooks.index(("connected", who)) < self.hooks.index(("disconnected", who))


@asynccontextmanager
async def witnessed(kind: ServerKind, **more: Any) -> AsyncIterator[tuple[TestServer, Witness]]:
    """A server that ends with the block; the witness still hears what is said at the end."""
    witness = Witness()
    hooks = rtcore.ConnectionHooks(connected=witness.connected, disconnected=witness.disconnected)

    async def listen(subscribed: trio.Event) -> None:
        async with hub.subscribe("connections", lag_events=100_000) as events:
            subscribed.set()
            async for event in events:
                assert isinstance(event.data, dict)
                witness.events.append((event.type.removeprefix("connection."), str(event.data["connection_id"])))

    async with open_test_hub() as hub, trio.open_nursery() as listeners:
        subscribed = trio.Event()
        listeners.start_soon(listen, subscribed)
        await subscribed.wait()
        async with trio.open_nursery() as nursery:
            server = kind(Server(hub, SETTINGS, hooks=hooks, **more))
            await nursery.start(server.run)
            yield server, witness
            await server.hang_up()
            nursery.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        listeners.cancel_scope.cancel()


async def say_goodbye(server: TestServer) -> None:
    await (await server.connect()).close()


async def vanish(server: TestServer) -> None:
    await (await server.connect()).aclose()
    await be_missed(server)


async def be_cut(server: TestServer) -> None:
    (await server.connect()).stream.cut()  # type: ignore[attr-defined]  # a CloggedStream
    await be_missed(server)


async def be_missed(server: TestServer) -> None:
    """At once: no ping has to go unanswered first."""
    await trio.testing.wait_all_tasks_blocked()
    assert server.server.pool.statistics().active == 0


async def half_close(server: TestServer) -> None:
    client = await server.connect()
    await client.half_close()
    await client.receive_close()


async def break_the_protocol(server: TestServer) -> None:
    client = await server.connect()
    await client.send_raw(b"\xff\xff")
    await client.receive_close()


async def be_idle(server: TestServer) -> None:
    client = await server.connect()
    client.timeout = 1000
    await client.receive_close()


async def be_slow(server: TestServer) -> None:
    client = await server.connect()
    await client.request("subscribe", {"channels": ["tasks"]})
    client.stream.clog()  # type: ignore[attr-defined]  # a CloggedStream
    server.hub.publish("tasks", "x", "x" * KEPT_BYTES)
    await trio.sleep(20)


async def crash_the_handler(server: TestServer) -> None:
    client = await server.connect("/crash")
    await client.send_text("now")
    assert (await client.receive_close()).code == rtcore.CloseCode.INTERNAL_ERROR


async def crash_in_a_child(server: TestServer) -> None:
    client = await server.connect("/crash-below")
    assert (await client.receive_close()).code == rtcore.CloseCode.INTERNAL_ERROR


async def be_drained(server: TestServer) -> None:
    client = await server.connect()
    server.server.drain()
    await client.receive_close()
    await server.ended.wait()


async def be_drained_without_answering(server: TestServer) -> None:
    await server.connect()
    server.server.drain()
    await server.ended.wait()


async def be_there_when_the_server_is_cancelled(server: TestServer) -> None:
    await server.connect()


async def crash(connection: WebSocketConnection) -> None:
    await connection.receive()
    raise RuntimeError("on purpose")


async def crash_below(connection: WebSocketConnection) -> None:
    async def child() -> None:
        raise RuntimeError("on purpose")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(child)
        await connection.receive()


ENDPOINTS = {"/crash": crash, "/crash-below": crash_below}
LIVES: list[Callable[[TestServer], Awaitable[None]]] = [
    say_goodbye,
    vanish,
    be_cut,
    half_close,
    break_the_protocol,
    be_idle,
    be_slow,
    crash_the_handler,
    crash_in_a_child,
    be_drained,
    be_drained_without_answering,
    be_there_when_the_server_is_cancelled,
]


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.__name__)
async def test_each_end_is_told_once(
    autojump_clock: trio.testing.MockClock, server_kind: ServerKind, life: Callable[[TestServer], Awaitable[None]]
) -> None:
    async with witnessed(server_kind, endpoints=ENDPOINTS) as (server, witness):
        await life(server)
    witness.check(1)


async def test_handshakes_that_come_to_nothing_are_not_told(
    autojump_clock: trio.testing.MockClock, server_kind: ServerKind
) -> None:
    """Refused, too slow, gone in the middle, or no WebSocket at all; and there is no room for the fourth."""
    async with witnessed(server_kind) as (server, witness):
        with pytest.raises(HandshakeRefused):
            await server.connect("/nowhere")
        with pytest.raises(HandshakeRefused):
            await server.connect(headers={"Sec-WebSocket-Version": "12"})
        await server.open_stream().send_all(b"GET /ws HTT")
        await trio.sleep(LIMITS.handshake_seconds + 1)
        gone = server.open_stream()
        await gone.send_all(b"GET /ws HTT")
        gone.cut()
        await server.open_stream().send_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for _ in range(3):
            await server.connect()
        with pytest.raises(HandshakeRefused, match="no room"):
            await server.connect()
    witness.check(3)


async def test_thousand_lives_are_told_a_thousand_times(
    autojump_clock: trio.testing.MockClock, server_kind: ServerKind
) -> None:
    """They end in the middle of whatever they are at: after each number of bytes of the handshake and beyond."""
    request = (
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: YSB0ZXN0J3Mgb3duIGtleQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    upgraded = 0
    async with witnessed(server_kind) as (server, witness):
        for number in range(1000):
            stream = server.open_stream()
            sent = (request + bytes(20))[: number % (len(request) + 20)]
            await stream.send_all(sent)
            if number % 2:
                await trio.testing.wait_all_tasks_blocked()
            stream.cut() if number % 3 else await stream.aclose()
            # Cut off at once, a request may never have been read.
            upgraded = max(upgraded, len([word for word, _ in witness.hooks if word == "connected"]))
        await trio.testing.wait_all_tasks_blocked()
        upgraded = len([word for word, _ in witness.hooks if word == "connected"])
    assert upgraded > 50
    witness.check(upgraded)


async def test_cancelled_in_its_handshake_nobody_was_there(
    autojump_clock: trio.testing.MockClock, server_kind: ServerKind
) -> None:
    async with witnessed(server_kind) as (server, witness):
        await server.open_stream().send_all(b"GET /ws HTTP/1.1\r\nHost: loc")
        await trio.testing.wait_all_tasks_blocked()
    witness.check(0)


async def test_hook_that_fails_ends_only_its_connection(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer, caplog: pytest.LogCaptureFixture
) -> None:
    """With 1011, a line in the log, and no `disconnected` for one that was never there."""
    went: list[str] = []

    def refuse_anonymous(info: rtcore.ConnectionInfo) -> None:
        if info.address == "192.0.2.66":
            raise RuntimeError("on purpose")

    hooks = rtcore.ConnectionHooks(connected=refuse_anonymous, disconnected=lambda info: went.append(info.address))
    async with open_server(hooks=hooks) as server:
        good = await server.connect()
        with pytest.raises(ConnectionClosed, match="1011"):
            await server.connect(address="192.0.2.66")
        assert (await good.request("heartbeat"))["type"] == "heartbeat"
        assert "on purpose" in caplog.text
        assert "192.0.2.66" not in went
        told = [event.type for event in server.hub.history("connections").events]
        assert told == ["connection.connected"], "of the good one alone"
        await trio.sleep(SETTINGS.limits.close_seconds + 20)
        assert server.server.pool.statistics().active == 1


async def test_hook_sees_who_it_was(autojump_clock: trio.testing.MockClock, open_server: OpenServer) -> None:
    seen: list[tuple[str, str]] = []

    def note(info: rtcore.ConnectionInfo) -> None:
        seen.append((info.address, info.path))

    async with open_server(hooks=rtcore.ConnectionHooks(connected=note, disconnected=note)) as server:
        client: TestClient = await server.connect(address="192.0.2.7")
        await client.close()
        await trio.testing.wait_all_tasks_blocked()
    assert seen == [("192.0.2.7", "/ws")] * 2
