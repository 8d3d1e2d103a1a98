"""
Promise: what a connection holds while nothing happens is little, and the same for the thousandth.

Counted is what Python allocates on the server's side of real sockets, the connection's task, its subscription and what
Trio keeps for it included; for what is allocated elsewhere (OpenSSL, 16 KiB) see `docs/design.md`. The client's own
part is gone by then: of it only the descriptor is left.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from rtcore.server.incoming import Incoming
from rtcore.testing import TestServer, mask_frame, open_test_server
from rtcore.transports.socket_driver import SOCKETS_AVAILABLE
from rtcore.transports.socket_stream import SocketStream
from rtcore.values.opcodes import Opcode
from tests.tls_contexts import Tls

CONNECTIONS = 200
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
Open = Callable[[TestServer, Tls], Awaitable[int]]
"""Opens a connection with a subscription; returns the descriptor of its client's end, which holds it open."""


async def use(stream: trio.abc.Stream, theirs: socket.socket) -> int:
    """No `TestClient`: its timeouts would count until Trio forgets them."""
    await stream.send_all(UPGRADE)
    await receive_until(b"welcome", stream)
    await stream.send_all(mask_frame(Opcode.TEXT, b'{"type": "subscribe", "data": {"channels": ["tasks"]}}'))
    await receive_until(b"subscribed", stream)
    await trio.testing.wait_all_tasks_blocked()
    trio.lowlevel.notify_closing(theirs)  # Trio remembers of it what else would count
    return theirs.detach()


async def receive_until(word: bytes, stream: trio.abc.Stream) -> None:
    received = b""
    while word not in received:
        received += await stream.receive_some()


async def open_driven(server: TestServer, tls: Tls) -> int:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    server.server._accepted(ours.detach(), ("127.0.0.1", 50000))
    return await use(SocketStream(theirs), theirs)


async def open_stream(server: TestServer, tls: Tls) -> int:
    ours, theirs = socket.socketpair()
    server.server.accept(Incoming(stream=SocketStream(ours), client=("127.0.0.1", 50000)))
    return await use(SocketStream(theirs), theirs)


async def open_tls(server: TestServer, tls: Tls) -> int:
    ours, theirs = socket.socketpair()
    secured = trio.SSLStream(SocketStream(ours), tls.server, server_side=True, https_compatible=True)
    server.server.accept(Incoming(stream=secured, client=("127.0.0.1", 50000), secure=True))
    stream = trio.SSLStream(SocketStream(theirs), tls.client, server_hostname="localhost", https_compatible=True)
    return await use(stream, theirs)


async def measure(open_one: Open, tls: Tls) -> float:
    """Bytes that Python allocates for a connection, on the average of many."""
    tracing = sys.gettrace()
    sys.settrace(None)  # a frame that coverage follows holds more than one that nobody does
    try:
        return await measure_untraced(open_one, tls)
    finally:
        sys.settrace(tracing)


async def measure_untraced(open_one: Open, tls: Tls) -> float:
    async with open_test_server() as server:
        held = [await open_one(server, tls) for _ in range(20)]  # what is made once for all is made by now
        gc.collect()
        tracemalloc.start()
        try:
            held += [await open_one(server, tls) for _ in range(CONNECTIONS)]
            gc.collect()
            traced, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert server.server.pool.statistics().active == len(held)
        for descriptor in held:
            os.close(descriptor)
    return traced / CONNECTIONS


@pytest.mark.parametrize(
    ("open_one", "most"),
    [
        pytest.param(open_driven, 5 * 1024, marks=pytest.mark.skipif(not SOCKETS_AVAILABLE, reason="needs epoll")),
        pytest.param(open_stream, 7.5 * 1024),
        pytest.param(open_tls, 10.5 * 1024),
    ],
    ids=["driver", "stream", "tls"],
)
async def test_a_connection_with_a_subscription_holds_little(tls: Tls, open_one: Open, most: float) -> None:
    """A nursery for each would be 1.2 KiB, a frame of its task a quarter, what is left of its handshake as much."""
    assert await measure(open_one, tls) <= most
