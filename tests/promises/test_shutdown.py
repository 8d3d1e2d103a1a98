"""
Promise: a server that is told to stop ends within its deadline, and every client hears why and when to come back.

Whatever a client is at (idle, working, blocked, in its handshake, between two HTTP requests or inside of one), the
server's `run` returns before `drain_seconds` are over, and nothing is left of it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from attrs import define

import rtcore
from rtcore.errors import ConnectionClosed, HandshakeRefused
from rtcore.server.incoming import Incoming
from rtcore.server.server import Server
from rtcore.testing import (
    CloggedStream,
    TestClient,
    TestServer,
    clogged_stream_pair,
    open_test_hub,
)
from rtcore.transports.websocket_connection import CUT_SECONDS, WebSocketConnection
from rtcore.values.opcodes import Opcode
from tests.driver_server import DriverServer, OpenServer, ServerKind


def settings_of(drain: float, close: float) -> rtcore.Settings:
    limits = rtcore.Limits(drain_seconds=drain, close_seconds=close, idle_seconds=0)
    return rtcore.Settings(limits=limits, drain_jitter_seconds=3)


DRAIN = 20.0
SETTINGS = settings_of(DRAIN, 5)


@define
class WithoutHalves(trio.abc.Stream):
    """A stream that cannot end one of its sides alone, as TLS in Trio cannot."""

    stream: trio.abc.Stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.stream.aclose()


class SecureServer(TestServer):
    """Its clients come as TLS's do: no halves, and a buffer in front of the stream."""

    def open_stream(self, *, address: str = "127.0.0.1", port: int = 50000, secure: bool = True) -> CloggedStream:
        client, served = clogged_stream_pair()
        self._clients.append(client)
        self.server.accept(Incoming(stream=WithoutHalves(served), client=(address, port), secure=secure))
        return client


@asynccontextmanager
async def open_working(settings: rtcore.Settings, kind: ServerKind) -> AsyncGenerator[TestServer]:
    """A server with an endpoint whose handler is away for an hour; the block ends once the server has."""
    async with open_test_hub(limits=settings.limits) as hub, trio.open_nursery() as nursery:
        server = kind(Server(hub, settings, endpoints={"/work": work}))
        await nursery.start(server.run)
        yield server
        await server.ended.wait()

Ending = Callable[[TestServer], Awaitable[Callable[[], Awaitable[str]]]]
"""Brings a client into a state; returns what waits for its end and says how it ended."""


def code_of(client: TestClient) -> Callable[[], Awaitable[str]]:
    async def wait() -> str:
        return str((await client.receive_close()).code)

    return wait


async def idle(server: TestServer) -> Callable[[], Awaitable[str]]:
    return code_of(await server.connect())


async def subscribed(server: TestServer) -> Callable[[], Awaitable[str]]:
    client = await server.connect()
    await client.request("subscribe", {"channels": ["tasks"], "batch": True})
    return code_of(client)


async def working(server: TestServer) -> Callable[[], Awaitable[str]]:
    """Its handler is away for an hour and does not read."""
    client = await server.connect("/work")
    await client.send_text("an hour, please")
    await trio.testing.wait_all_tasks_blocked()
    return code_of(client)


async def blocked(server: TestServer) -> Callable[[], Awaitable[str]]:
    """Takes nothing: it cannot be told."""
    client = await server.connect()
    await client.request("subscribe", {"channels": ["tasks"]})
    client.stream.clog(10)  # type: ignore[attr-defined]  # a CloggedStream
    server.hub.publish("tasks", "x", "x" * 600_000)  # more than fits into any buffer before the stream
    return cut(server, client)


async def parting(server: TestServer) -> Callable[[], Awaitable[str]]:
    """Has said its own good-bye just before, and takes nothing: what it is owed has `close_seconds` to leave."""
    client = await server.connect()
    await client.request("subscribe", {"channels": ["tasks"]})
    client.stream.clog(10)  # type: ignore[attr-defined]  # a CloggedStream
    server.hub.publish("tasks", "x", "x" * 600_000)
    await trio.testing.wait_all_tasks_blocked()
    await client.send_frame(Opcode.CLOSE, b"\x03\xe8")
    return cut(server, client)


def cut(server: TestServer, client: TestClient) -> Callable[[], Awaitable[str]]:
    async def wait() -> str:
        await server.ended.wait()
        client.stream.unclog()  # type: ignore[attr-defined]  # a CloggedStream
        with pytest.raises((AssertionError, ConnectionClosed)):  # the end comes inside of a frame
            await client.receive_message()
        return "cut"

    return wait


async def blocked_for_a_while(server: TestServer) -> Callable[[], Awaitable[str]]:
    """Takes nothing for four seconds, and then everything: it still hears why."""
    client = await server.connect()
    await client.request("subscribe", {"channels": ["tasks"]})
    stream = client.stream
    assert isinstance(stream, CloggedStream)
    stream.clog(10)
    server.hub.publish("tasks", "x", "x" * 600_000)  # more than fits into any buffer before the stream

    async def wait() -> str:
        await trio.sleep(4)
        stream.unclog()
        try:
            return str((await client.receive_close()).code)
        except AssertionError:  # it came too late: the end lies inside of a frame
            return "cut"

    return wait


async def deaf(server: TestServer) -> Callable[[], Awaitable[str]]:
    """Reads its close frame and answers nothing."""
    client = await server.connect()

    async def wait() -> str:
        with pytest.raises(ConnectionClosed) as closed:
            await client.receive_message()
        return str(closed.value.code)

    return wait


async def in_handshake(server: TestServer) -> Callable[[], Awaitable[str]]:
    """Has sent half of its request."""
    stream = server.open_stream()
    await stream.send_all(b"GET /ws HTTP/1.1\r\nHost: localhost\r\n")
    await trio.testing.wait_all_tasks_blocked()

    async def wait() -> str:
        return "cut" if not await stream.receive_some() else "answered"

    return wait


async def http_idle(server: TestServer) -> Callable[[], Awaitable[str]]:
    """Between two requests of one connection."""
    stream = server.open_stream()
    await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await trio.testing.wait_all_tasks_blocked()
    assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")

    async def wait() -> str:
        return "ended" if not await stream.receive_some() else "answered"

    return wait


async def http_busy(server: TestServer) -> Callable[[], Awaitable[str]]:
    """In the middle of a request's body, which goes on: it gets its answer, and learns that it is the last."""
    stream = server.open_stream()
    body = b'{"channel": "tasks", "type": "x", "data": {}}'
    head = f"POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    await stream.send_all(head.encode() + b"Content-Type: application/json\r\n\r\n" + body[:10])
    await trio.testing.wait_all_tasks_blocked()

    async def wait() -> str:
        await trio.sleep(2)
        try:
            await stream.send_all(body[10:])
            answer = b""
            while data := await stream.receive_some():
                answer += data
        except trio.BrokenResourceError:
            return "cut"
        assert re.search(rb"(?i)connection: close", answer), answer
        return answer[9:12].decode()

    return wait


async def work(connection: WebSocketConnection) -> None:
    await connection.receive()
    await trio.sleep(3600)


STATES: list[tuple[Ending, str]] = [
    (idle, "1012"),
    (subscribed, "1012"),
    (working, "1012"),
    (blocked, "cut"),
    (blocked_for_a_while, "1012"),
    (parting, "cut"),
    (deaf, "1012"),
    (in_handshake, "cut"),
    (http_idle, "ended"),
    (http_busy, "200"),
]
AT_ONCE = dict(STATES) | {blocked_for_a_while: "cut", http_busy: "cut"}
"""How they end where there is no time to wait for anybody."""
KINDS = pytest.mark.parametrize(
    "server_kind", [TestServer, DriverServer, SecureServer], ids=["stream", "driver", "secure"], indirect=True
)


async def run_to_the_end(server: TestServer, waits: list[tuple[Callable[[], Awaitable[str]], str]]) -> float:
    """Drain; returns the seconds until `Server.run` returned, once every client has ended as it should."""
    await trio.testing.wait_all_tasks_blocked()
    server.server.drain()
    began = trio.current_time()
    endings: list[tuple[str, str]] = []

    async def note(wait: Callable[[], Awaitable[str]], ending: str) -> None:
        endings.append((await wait(), ending))

    async with trio.open_nursery() as nursery:
        for wait, ending in waits:
            nursery.start_soon(note, wait, ending)
        await server.ended.wait()
        seconds = trio.current_time() - began
    assert all(got == expected for got, expected in endings), endings
    assert server.server.pool.statistics().active == 0
    return seconds


@KINDS
@pytest.mark.parametrize("seconds", [[DRAIN, 5], [8, 10]], ids=str)
@pytest.mark.parametrize(("state", "ending"), STATES, ids=lambda value: getattr(value, "__name__", str(value)))
async def test_client_hears_why_and_the_server_ends_in_time(
    autojump_clock: trio.testing.MockClock, server_kind: ServerKind, state: Ending, ending: str, seconds: list[float]
) -> None:
    """Whatever the client does, also where it might take longer over its good-bye than the server has."""
    async with open_working(settings_of(*seconds), server_kind) as server:
        assert await run_to_the_end(server, [(await state(server), ending)]) <= seconds[0]


@KINDS
@pytest.mark.parametrize("drain", [0, 0.5, CUT_SECONDS])
@pytest.mark.parametrize("state", AT_ONCE, ids=lambda state: state.__name__)
async def test_without_time_everybody_is_told_and_cut_at_once(
    autojump_clock: trio.testing.MockClock, state: Ending, drain: float, server_kind: ServerKind
) -> None:
    """`drain_seconds` shorter than a cut takes are exceeded by no more than that, and nobody goes without a code."""
    async with open_working(settings_of(drain, 10), server_kind) as server:
        assert await run_to_the_end(server, [(await state(server), AT_ONCE[state])]) <= CUT_SECONDS


@KINDS
@pytest.mark.parametrize("drain", [DRAIN, 2])
async def test_all_of_them_at_once(
    autojump_clock: trio.testing.MockClock, server_kind: ServerKind, drain: float
) -> None:
    """None holds another up, and nothing is left but the hub; every close is told, also where little time is left."""
    async with open_working(settings_of(drain, 5), server_kind) as server:
        await trio.testing.wait_all_tasks_blocked()
        timers = server.hub.statistics().timers
        endings = STATES if drain == DRAIN else list(AT_ONCE.items())
        waits = [(await state(server), ending) for state, ending in endings for _ in range(5)]
        waits += [(await idle(server), "1012") for _ in range(600)]
        assert await run_to_the_end(server, waits) <= drain
        figures = server.hub.statistics()
        assert (figures.subscribers, figures.views, figures.timers) == (0, 0, timers)


async def test_server_ends_with_its_last_connection_and_no_later(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """The deadline is for those who need it: with nobody there it ends at once."""
    for connections in (0, 1, 10):
        async with open_server(SETTINGS) as server:
            clients = [await server.connect() for _ in range(connections)]
            began = trio.current_time()
            server.server.drain()
            async with trio.open_nursery() as nursery:
                for client in clients:
                    nursery.start_soon(expect_close, client, rtcore.CloseCode.SERVICE_RESTART)
            await server.ended.wait()
            assert trio.current_time() - began <= connections / 100


async def test_close_frames_are_spread_and_name_a_time(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """Many clients that come back by themselves must not arrive together."""
    times: list[float] = []
    reasons: list[str] = []

    async def wait(client: TestClient) -> None:
        closed = await client.receive_close()
        times.append(trio.current_time())
        reasons.append(closed.reason)

    async with open_server(SETTINGS) as server:
        clients = [await server.connect() for _ in range(600)]
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(wait, client)
            server.server.drain()
        assert max(times) - began <= 3
        first_half = sum(time - began < 1.5 for time in times)
        assert 200 < first_half < 400
        assert all(re.fullmatch(r"service restart; retry after \d+\.\d s", reason) for reason in reasons)
        assert len(set(reasons)) > 10


async def test_draining_server_takes_nobody_in(autojump_clock: trio.testing.MockClock, open_server: OpenServer) -> None:
    """A connection that was accepted before and asks now is refused as those that come now are."""
    async with open_server(SETTINGS) as server:
        await deaf(server)
        late = TestClient(server.open_stream())
        await trio.testing.wait_all_tasks_blocked()
        server.server.drain()
        assert not server.server.started
        with pytest.raises(HandshakeRefused, match="the server is ending"):
            await late.handshake()


async def test_cancelled_server_says_good_bye_at_once(
    autojump_clock: trio.testing.MockClock, server_kind: ServerKind
) -> None:
    """Without a drain each client still gets its close frame, and one that takes nothing costs a second."""
    async with open_test_hub() as hub, trio.open_nursery() as clients:
        async with trio.open_nursery() as nursery:
            server = server_kind(Server(hub, SETTINGS))
            await nursery.start(server.run)
            client = await server.connect()
            slow = await server.connect()
            slow.stream.clog()  # type: ignore[attr-defined]  # a CloggedStream
            await parting(server)
            clients.start_soon(expect_close, client, rtcore.CloseCode.GOING_AWAY)
            await trio.testing.wait_all_tasks_blocked()
            began = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began <= CUT_SECONDS
        assert server.server.pool.statistics().active == 0


async def expect_close(client: TestClient, code: int) -> None:
    assert (await client.receive_close()).code == code


async def test_subscription_in_this_process_ends_with_its_hub(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:
        async with rtcore.open_hub() as hub:
            subscribed = trio.Event()

            async def read() -> None:
                async with hub.subscribe("tasks") as events:
                    subscribed.set()
                    with pytest.raises(rtcore.HubClosed):
                        await anext(events)

            nursery.start_soon(read)
            await subscribed.wait()
            await trio.testing.wait_all_tasks_blocked()
        assert hub.statistics().timers == 0
    with pytest.raises(rtcore.HubClosed):
        hub.publish("tasks", "x", {})
