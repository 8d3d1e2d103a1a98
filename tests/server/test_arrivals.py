"""Plain TCP connections before anybody knows what they want: real sockets, one table, no task for any of them."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from rtcore.application import open_hub
from rtcore.errors import HandshakeRefused
from rtcore.server import server as server_module
from rtcore.server.arrivals import _Arrival
from rtcore.server.server import Server, serve
from rtcore.server.settings import Settings
from rtcore.testing import TestClient
from rtcore.transports.socket_driver import SOCKETS_AVAILABLE
from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.limits import Limits

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

needs_epoll = pytest.mark.skipif(not SOCKETS_AVAILABLE, reason="epoll is Linux's")


@pytest.fixture(autouse=True)
def patient_clock(autojump_clock: MockClock) -> None:
    autojump_clock.autojump_threshold = 0.1  # TCP takes its time even on loopback: let it, before time jumps


@asynccontextmanager
async def running(limits: Limits | None = None) -> AsyncIterator[Server]:
    settings = Settings(port=0, limits=limits or Limits())
    async with open_hub(limits=settings.limits) as hub, trio.open_nursery() as nursery:
        server = await nursery.start(serve, hub, settings)
        try:
            yield server
        finally:
            nursery.cancel_scope.cancel()


async def connect(server: Server) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", server.port)


async def answer(stream: trio.SocketStream) -> bytes:
    """All that comes until the end of the stream."""
    data = b""
    while some := await stream.receive_some():
        data += bytes(some)
    return data


async def test_a_head_that_comes_byte_by_byte_is_answered_like_any_other() -> None:
    async with running() as server, await connect(server) as stream:
        for place in range(len(UPGRADE)):
            await stream.send_all(UPGRADE[place : place + 1])
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")


async def test_what_follows_the_head_in_the_same_segment_is_the_first_message() -> None:
    """A client need not wait for the answer; its bytes must not be lost between two owners of the socket."""
    async with running() as server, await connect(server) as stream:
        frame = b"\x81\x94\0\0\0\0" + b'{"type":"heartbeat"}'
        await stream.send_all(UPGRADE + frame[:9])
        await stream.send_all(frame[9:])
        data = b""
        while b'"heartbeat"' not in data:
            data += bytes(await stream.receive_some())
        assert data.index(b"101") < data.index(b"welcome") < data.index(b'{"type":"heartbeat"')


@needs_epoll
async def test_a_client_that_says_nothing_has_no_task_and_is_dropped_in_time() -> None:
    async with running(Limits(handshake_seconds=3)) as server:
        await trio.testing.wait_all_tasks_blocked(0.05)
        tasks = trio.lowlevel.current_statistics().tasks_living
        streams = [await connect(server) for _ in range(5)]
        await streams[0].send_all(UPGRADE[:20])
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        began = trio.current_time()
        assert [await answer(stream) for stream in streams] == [b""] * 5
        assert trio.current_time() - began == pytest.approx(3, abs=0.5)
        assert server.hub.statistics().timers == 0
        for stream in streams:
            await stream.aclose()


async def test_of_too_many_that_say_nothing_the_oldest_goes() -> None:
    async with running(Limits(handshakes=3)) as server:
        streams = []
        for _ in range(4):
            streams.append(await connect(server))
            await trio.testing.wait_all_tasks_blocked(0.05)
        assert await answer(streams[0]) == b""
        await streams[3].send_all(UPGRADE)
        assert (await streams[3].receive_some()).startswith(b"HTTP/1.1 101 ")
        for stream in streams:
            await stream.aclose()


async def test_http_and_refusals_leave_the_table_and_are_answered() -> None:
    async with running() as server:
        async with await connect(server) as stream:
            await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert (await answer(stream)).startswith(b"HTTP/1.1 200 ")
        async with await connect(server) as stream:
            await stream.send_all(UPGRADE.replace(b"/ws", b"/nowhere"))
            assert (await answer(stream)).startswith(b"HTTP/1.1 404 ")
        async with await connect(server) as stream:
            await stream.send_all(b"GET / HTTP/1.1\nHost: x\r\n\r\n")
            assert (await answer(stream)).startswith(b"HTTP/1.1 400 ")
        assert server.statistics().refused == {"404": 1, "400": 1}


async def test_a_client_that_leaves_before_its_head_is_whole_leaves_nothing_behind() -> None:
    async with running() as server:
        for data in (b"", UPGRADE[:50]):
            stream = await connect(server)
            await stream.send_all(data)
            await stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert server._arrivals is None or len(server._arrivals) == 0
        assert len(server._connections.unfinished) == 0
        assert server.pool.statistics().active == 0


async def test_arrivals_end_with_their_server() -> None:
    async with running() as server:
        stream = await connect(server)
        await stream.send_all(UPGRADE[:50])
        await trio.testing.wait_all_tasks_blocked(0.05)
    assert await answer(stream) == b""
    await stream.aclose()


async def test_a_place_is_given_back_when_a_connection_cannot_even_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours between the place and the task that gives it back harms this connection and no other."""
    async with running() as server:

        def fail(*arguments: object) -> None:
            raise RuntimeError("a fault of ours")

        with monkeypatch.context() as broken:
            broken.setattr(server._connections, "_new_connection", fail)
            async with await connect(server) as stream:
                await stream.send_all(UPGRADE)
                assert await answer(stream) == b""
        assert server.pool.statistics().active == 0
        async with await connect(server) as stream:
            client = TestClient(stream)
            await client.handshake()
            await client.close()


async def test_a_server_with_something_to_show_knows_where_it_listens() -> None:
    """The demo begins after the listeners and takes a moment: by then these have begun to accept."""
    settings = Settings(port=0, demo=True)
    async with open_hub() as hub, trio.open_nursery() as nursery:
        server = await nursery.start(serve, hub, settings)
        async with await connect(server) as stream:
            await stream.send_all(UPGRADE)
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("driven", [pytest.param(True, marks=needs_epoll), False], ids=["driver", "stream"])
async def test_connections_that_have_ended_need_no_collector(driven: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand that came and went would otherwise stand about until it walks over all that there is."""
    monkeypatch.setattr(server_module, "SOCKETS_AVAILABLE", driven)

    def alive() -> int:
        return sum(type(each) in (WebSocketConnection, _Arrival) for each in gc.get_objects())

    async with running() as server:
        gc.collect()
        gc.disable()
        try:
            for number in range(6):
                stream = await connect(server)
                client = TestClient(stream)
                await client.handshake()
                await client.request("subscribe", {"channels": ["tasks"]})
                server.hub.publish("tasks", "t", number)
                await client.expect("t")
                if number % 2:
                    await client.close()
                else:
                    await trio.aclose_forcefully(stream)
            (await connect(server)).socket.close()
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert alive() == 0
        finally:
            gc.enable()


async def test_without_epoll_sockets_are_served_as_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other systems have everything but the speed."""
    monkeypatch.setattr(server_module, "SOCKETS_AVAILABLE", False)
    async with running() as server:
        assert server._arrivals is None
        async with await connect(server) as stream:
            client = TestClient(stream)
            await client.handshake()
            await client.request("subscribe", {"channels": ["tasks"]})
            server.hub.publish("tasks", "task.progress", {"progress": 1})
            assert (await client.expect("task.progress"))["data"] == {"progress": 1}
            await client.close()
        async with await connect(server) as stream:
            with pytest.raises(HandshakeRefused):
                await TestClient(stream).handshake("/nowhere")
