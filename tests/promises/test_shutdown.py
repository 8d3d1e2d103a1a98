"""
Promise: a server that is told to stop ends within its deadline, and every client hears why and when to come back.

Whatever a client is at (idle, working, blocked, in its handshake, between two HTTP requests or inside of one), the
server's `run` returns before `drain_seconds` and a moment are over, and nothing is left of it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

import rtcore
from rtcore.errors import ConnectionClosed
from rtcore.server.server import Server
from rtcore.testing import CloggedStream, TestClient, TestServer, open_test_hub, open_test_server
from rtcore.transports.websocket_connection import WebSocketConnection

DRAIN = 20.0
SETTINGS = rtcore.Settings(
    limits=rtcore.Limits(drain_seconds=DRAIN, close_seconds=5, idle_seconds=0), drain_jitter_seconds=3
)
CUT = 1.0
"""What a connection that is cut may still take to send its close frame."""

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
    server.hub.publish("tasks", "x", "x" * 10_000)

    async def wait() -> str:
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
    server.hub.publish("tasks", "x", "x" * 10_000)

    async def wait() -> str:
        await trio.sleep(4)
        stream.unclog()
        return str((await client.receive_close()).code)

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
    (deaf, "1012"),
    (in_handshake, "cut"),
    (http_idle, "ended"),
    (http_busy, "200"),
]


@pytest.mark.parametrize(("state", "ending"), STATES, ids=lambda value: getattr(value, "__name__", str(value)))
async def test_client_hears_why_and_the_server_ends_in_time(
    autojump_clock: trio.testing.MockClock, state: Ending, ending: str
) -> None:
    async with open_test_server(SETTINGS, endpoints={"/work": work}) as server:
        wait = await state(server)
        await trio.testing.wait_all_tasks_blocked()
        server.server.drain()
        began = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def check() -> None:
                assert await wait() == ending

            nursery.start_soon(check)
            await server.ended.wait()
            assert trio.current_time() - began <= DRAIN + CUT
        assert server.server.pool.statistics().active == 0


async def test_all_of_them_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """None holds another up, and nothing is left but the hub."""
    async with open_test_server(SETTINGS, endpoints={"/work": work}) as server:
        await trio.testing.wait_all_tasks_blocked()
        timers = server.hub.statistics().timers
        waits = [(await state(server), ending) for state, ending in STATES for _ in range(5)]
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
            assert trio.current_time() - began <= DRAIN + CUT
        assert all(got == expected for got, expected in endings), endings
        figures = server.hub.statistics()
        assert (figures.subscribers, figures.views, figures.timers) == (0, 0, timers)


async def test_server_ends_with_its_last_connection_and_no_later(autojump_clock: trio.testing.MockClock) -> None:
    """The deadline is for those who need it: with nobody there it ends at once."""
    for connections in (0, 1, 10):
        async with open_test_server(SETTINGS) as server:
            clients = [await server.connect() for _ in range(connections)]
            began = trio.current_time()
            server.server.drain()
            async with trio.open_nursery() as nursery:
                for client in clients:
                    nursery.start_soon(expect_close, client, rtcore.CloseCode.SERVICE_RESTART)
            await server.ended.wait()
            assert trio.current_time() - began <= connections / 100


async def test_close_frames_are_spread_and_name_a_time(autojump_clock: trio.testing.MockClock) -> None:
    """Many clients that come back by themselves must not arrive together."""
    times: list[float] = []
    reasons: list[str] = []

    async def wait(client: TestClient) -> None:
        closed = await client.receive_close()
        times.append(trio.current_time())
        reasons.append(closed.reason)

    async with open_test_server(SETTINGS) as server:
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


async def test_draining_server_takes_nobody_in(autojump_clock: trio.testing.MockClock) -> None:
    """A connection that was accepted before and asks now is closed as the others are."""
    async with open_test_server(SETTINGS) as server:
        await deaf(server)
        late = TestClient(server.open_stream())
        await trio.testing.wait_all_tasks_blocked()
        server.server.drain()
        assert not server.server.started
        with pytest.raises(ConnectionClosed, match="1012: service restart"):
            await late.handshake()


async def test_cancelled_server_says_good_bye_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """Without a drain each client still gets its close frame, and one that takes nothing costs a second."""
    async with open_test_hub() as hub, trio.open_nursery() as clients:
        async with trio.open_nursery() as nursery:
            server = TestServer(Server(hub, SETTINGS))
            await nursery.start(server.run)
            client = await server.connect()
            slow = await server.connect()
            slow.stream.clog()  # type: ignore[attr-defined]  # a CloggedStream
            clients.start_soon(expect_close, client, rtcore.CloseCode.GOING_AWAY)
            await trio.testing.wait_all_tasks_blocked()
            began = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began <= CUT
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
