"""The test server of the socket driver: what its clients do to their sockets is what the server then sees."""

from __future__ import annotations

import errno
import os
import socket

import pytest
import trio
import trio.testing

from rtcore.errors import ConnectionClosed
from rtcore.testing import CloggedStream
from rtcore.transports.socket_driver import SOCKETS_AVAILABLE
from rtcore.transports.websocket_connection import WebSocketConnection
from tests.driver_server import KEPT_BYTES, DriverServer, OpenServer, SocketClient

DRIVER = pytest.mark.parametrize("server_kind", [DriverServer], ids=["driver"], indirect=True)
pytestmark = pytest.mark.skipif(not SOCKETS_AVAILABLE, reason="epoll is Linux's")


async def test_each_kind_of_server_is_what_it_is_called(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer, request: pytest.FixtureRequest
) -> None:
    """Or every promise would be kept by the stream alone."""
    on_table: list[bool] = []

    async def look(connection: WebSocketConnection) -> None:
        on_table.append(connection._transport.slot is not None)

    async with open_server(endpoints={"/look": look}) as server:
        await (await server.connect("/look")).receive_close()
    assert on_table == ["driver" in request.node.callspec.id]


@DRIVER
async def test_clogged_client_takes_what_it_said_and_the_system_less_than_is_told(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """And then the rest arrives, whole."""
    async with open_server() as server:
        client = await server.connect()
        await client.request("subscribe", {"channels": ["tasks"]})
        stream = client.stream
        assert isinstance(stream, CloggedStream)
        stream.clog(10)
        assert server.hub.publish("tasks", "x", "x" * KEPT_BYTES).sent == 1
        await trio.testing.wait_all_tasks_blocked()
        assert stream.unread == 10
        assert server.hub.publish("tasks", "x", "y").queued == 1, "the one before was cut short"
        stream.unclog()
        assert [event["data"] for event in await client.receive_events(2)] == ["x" * KEPT_BYTES, "y"]


@DRIVER
@pytest.mark.parametrize("clogged", [False, True], ids=["taking", "clogged"])
async def test_cut_client_is_a_reset_connection(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer, clogged: bool
) -> None:
    """Not merely the end of the stream: what the server still wants to say finds nobody."""
    reasons: list[str] = []

    async def read(connection: WebSocketConnection) -> None:
        try:
            await connection.receive()
        except ConnectionClosed as closed:
            reasons.append(closed.reason)
            raise

    async with open_server(endpoints={"/read": read}) as server:
        stream = (await server.connect("/read")).stream
        assert isinstance(stream, CloggedStream)
        if clogged:
            stream.clog()
        stream.cut()
        await trio.testing.wait_all_tasks_blocked()
        assert reasons == [f"the socket is gone: {os.strerror(errno.ECONNRESET)}"]
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()


@DRIVER
async def test_descriptor_of_another_is_left_alone(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """The server has closed its end, and the number is somebody else's by now."""
    async with open_server() as server:
        client = await server.connect()
        stream = client.stream
        assert isinstance(stream, SocketClient)
        await client.send_raw(b"\xff\xff")
        with pytest.raises(ConnectionClosed):
            await client.receive_message()
        await client.half_close()
        await trio.testing.wait_all_tasks_blocked()
        number = stream._served.descriptor
        ours, theirs = socket.socketpair()
        with ours, theirs:
            assert ours.fileno() == number, "the lowest that is free"
            size = ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
            stream.clog()
            stream.cut()
            assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == size
            theirs.setblocking(False)
            with pytest.raises(BlockingIOError):
                theirs.recv(1)
