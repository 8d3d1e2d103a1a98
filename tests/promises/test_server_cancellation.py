"""
Promise: cancelled at any await, a server leaves nothing behind, as `test_cancellation` says of all async functions; and
the client of a connection that was cancelled still hears that it goes.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from attrs import define

import rtcore
from rtcore.application import ApplicationHub
from rtcore.errors import ConnectionClosed, HandshakeRefused
from rtcore.server.server import Server
from rtcore.testing import TestClient, TestServer, open_test_hub
from tests.driver_server import KEPT_BYTES, ServerKind
from tests.promises.test_cancellation import cancel_at_each_await


@define(eq=False)
class Life:
    """One connection's life from its first byte to its end, and what its two hooks saw."""

    kind: ServerKind
    client: Callable[[TestClient], Awaitable[None]]
    connected: int = 0
    disconnected: int = 0
    server: TestServer | None = None

    async def __call__(self, hub: ApplicationHub) -> None:
        gone = trio.Event()

        def came(info: rtcore.ConnectionInfo) -> None:
            self.connected += 1

        def went(info: rtcore.ConnectionInfo) -> None:
            self.disconnected += 1
            gone.set()

        hooks = rtcore.ConnectionHooks(connected=came, disconnected=went)
        self.server = self.kind(Server(hub, hooks=hooks))
        async with serving(self.server), trio.open_nursery() as nursery:
            nursery.start_soon(self._use, TestClient(self.server.open_stream()))
            await gone.wait()
            self.server.server.drain()
            await self.server.ended.wait()
            nursery.cancel_scope.cancel()

    async def _use(self, client: TestClient) -> None:
        try:
            await client.handshake()
            await self.client(client)
        except (ConnectionClosed, HandshakeRefused, trio.BrokenResourceError):
            pass  # the server was cancelled in the middle of it

    def check(self, hub: ApplicationHub) -> None:
        assert self.connected == self.disconnected
        assert self.server is None or self.server.server.pool.statistics().active == 0


@asynccontextmanager
async def serving(server: TestServer) -> AsyncGenerator[None]:
    """Run it until it has ended; the clients' ends are closed after it."""
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run)
            yield
    finally:
        with trio.CancelScope(shield=True):
            await server.hang_up()


async def converse(client: TestClient) -> None:
    await client.request("subscribe", {"channels": ["tasks", "tools"], "batch": True})
    await client.request("publish", {"channel": "tasks", "type": "x", "data": {}})
    await client.receive()
    await client.request("unsubscribe", {"channels": ["tools"]})
    await client.request("nonsense")
    await trio.sleep(30)
    await client.close()


async def be_slow(client: TestClient) -> None:
    """Falls behind, so that the connection has a drain task, and is closed for it."""
    await client.request("subscribe", {"channels": ["tasks"]})
    client.stream.clog(10)  # type: ignore[attr-defined]  # a CloggedStream
    await client.send("publish", {"channel": "tasks", "type": "x", "data": "x" * KEPT_BYTES})
    await trio.sleep_forever()


async def vanish(client: TestClient) -> None:
    await client.request("subscribe", {"channels": ["tasks"]})
    await client.aclose()


async def err(client: TestClient) -> None:
    await client.send_raw(b"\xff\xff")
    await client.receive_close()


@pytest.mark.parametrize(
    ("client", "least"),
    [(converse, 12), (be_slow, 6), (vanish, 4), (err, 4)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
async def test_server_keeps_nothing_of_a_connection_that_was_cancelled(
    autojump_clock: trio.testing.MockClock,
    server_kind: ServerKind,
    client: Callable[[TestClient], Awaitable[None]],
    least: int,
) -> None:
    life = Life(server_kind, client)
    await cancel_at_each_await(life, least=least, after=life.check)
    assert life.connected > 0


async def test_server_keeps_nothing_of_a_cancelled_http_request(
    autojump_clock: trio.testing.MockClock, server_kind: ServerKind
) -> None:
    """Two requests on one connection, a body in pieces, and then silence until the server ends it."""
    body = b'{"channel": "tasks", "type": "x", "data": {}}'
    head = f"POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"

    async def ask(stream: trio.abc.Stream) -> None:
        try:
            await stream.send_all(head.encode() + b"Content-Type: application/json\r\n\r\n" + body[:5])
            await trio.sleep(1)
            await stream.send_all(body[5:])
            assert await stream.receive_some() != b"x"
            await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while await stream.receive_some():
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the server was cancelled in the middle of it

    async def life(hub: ApplicationHub) -> None:
        server = server_kind(Server(hub))
        async with serving(server):
            await ask(server.open_stream())
            server.server.drain()

    await cancel_at_each_await(life, least=12)


async def test_listening_server_keeps_nothing_when_it_is_cancelled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Over real sockets: listeners and connections, the one in its handshake included, give their descriptors back."""

    async def life(hub: ApplicationHub) -> None:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=0))
            with socket.create_connection(("127.0.0.1", server.port)):
                async with await dial(server.port) as stream:
                    client = TestClient(stream)
                    await client.handshake()
                    await client.request("subscribe", {"channels": ["tasks"]})
                    server.drain()
                    await client.receive_close()

    await cancel_at_each_await(life, least=20)


async def dial(port: int) -> trio.SocketStream:
    """A connection, without the tasks and attempts of `open_tcp_stream`."""
    connected = trio.socket.socket()
    try:
        await connected.connect(("127.0.0.1", port))
    except BaseException:
        connected.close()
        raise
    return trio.SocketStream(connected)


async def test_cancelled_connection_still_says_that_it_goes(
    autojump_clock: trio.testing.MockClock, server_kind: ServerKind
) -> None:
    """Whatever it was doing after its handshake, the last frame that the client gets is a close frame, whole."""
    codes: list[int] = []

    async def use(client: TestClient) -> None:
        try:
            await client.request("subscribe", {"channels": ["tasks"]})
            await client.request("publish", {"channel": "tasks", "type": "x", "data": "x" * 5000})
            await client.close()
        finally:
            with trio.CancelScope(shield=True):
                closed = client.closed or await client.receive_close()
            codes.append(closed.code)

    life = Life(server_kind, use)
    await cancel_at_each_await(life, least=6, after=life.check)
    assert codes.count(rtcore.CloseCode.GOING_AWAY) > 5
    assert set(codes) == {rtcore.CloseCode.GOING_AWAY, rtcore.CloseCode.NORMAL}


async def test_cancelled_server_ends_with_the_answers_of_its_clients(
    autojump_clock: trio.testing.MockClock, server_kind: ServerKind
) -> None:
    """It goes on reading until it has them: a second is for those who do not answer."""
    async with open_test_hub() as hub, trio.open_nursery() as clients:
        server = server_kind(Server(hub))
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run)
            for _ in range(3):
                clients.start_soon((await server.connect()).receive_close)
            await trio.testing.wait_all_tasks_blocked()
            began = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() == began
