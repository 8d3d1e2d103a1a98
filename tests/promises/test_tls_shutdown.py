"""
Promise: a client over TLS that takes nothing holds no shutdown up.

What it does not take waits in its backlog, in the buffer before the stream, in OpenSSL's, and in the network's, and
TLS in Trio can send nothing more once it was cut in the middle of a record: whichever of them is full, and wherever a
record was torn, the server's `run` returns before `drain_seconds` are over. `test_shutdown` asks the same of other
clients; its `secure` ones are streams without halves, not TLS itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from attrs import define

import rtcore
from rtcore.server.incoming import Incoming
from rtcore.server.server import Server
from rtcore.testing import CloggedStream, TestClient, TestServer, clogged_stream_pair, open_test_hub
from rtcore.transports.websocket_connection import CUT_SECONDS
from tests.tls_contexts import Tls

TORN = [0, 10, 10_000, 40_000]
"""Bytes that still get there: nothing, part of a record's head, part of the first record, two records and a part."""


@define
class SecureClient:
    """A client over TLS, and the stream under it."""

    client: TestClient
    wire: CloggedStream


def open_wire(server: TestServer, tls: Tls) -> CloggedStream:
    """A connection over which no byte of TLS has gone yet."""
    wire, ours = clogged_stream_pair()
    secured = trio.SSLStream(ours, tls.server, server_side=True, https_compatible=True)
    server.server.accept(Incoming(stream=secured, client=("127.0.0.1", 50000), secure=True))
    return wire


async def subscribe(server: TestServer, tls: Tls) -> SecureClient:
    wire = open_wire(server, tls)
    client = TestClient(trio.SSLStream(wire, tls.client, server_hostname="localhost", https_compatible=True))
    await client.handshake()
    await client.request("subscribe", {"channels": ["tasks"]})
    return SecureClient(client, wire)


async def stick(server: TestServer, tls: Tls, after_bytes: int) -> None:
    """A client that reads no more, while much is published to it."""
    (await subscribe(server, tls)).wire.clog(after_bytes)


async def stick_in_its_handshake(server: TestServer, tls: Tls) -> None:
    """A client that has said hello and takes no answer."""
    wire = open_wire(server, tls)
    wire.clog()
    stream = trio.SSLStream(wire, tls.client, server_hostname="localhost")
    with trio.move_on_after(1):
        await stream.do_handshake()


async def publish_much(server: TestServer) -> None:
    for number in range(40):
        server.hub.publish("tasks", "x", f"{number}" * 30_000)
        await trio.sleep(0.01)
    await trio.testing.wait_all_tasks_blocked()
    assert server.hub.statistics().behind >= len(TORN)


async def expect_close(client: TestClient, code: int) -> None:
    assert (await client.receive_close()).code == code


@asynccontextmanager
async def stuck_server(drain: float, tls: Tls) -> AsyncGenerator[tuple[TestServer, TestClient]]:
    """A server among whose clients one is well; the block is left once the server has ended."""
    limits = rtcore.Limits(drain_seconds=drain, idle_seconds=0)
    settings = rtcore.Settings(limits=limits, drain_jitter_seconds=3)
    async with open_test_hub(limits=limits) as hub, trio.open_nursery() as nursery:
        server = TestServer(Server(hub, settings))
        await nursery.start(server.run)
        for after_bytes in TORN:
            await stick(server, tls, after_bytes)
        await stick_in_its_handshake(server, tls)
        await publish_much(server)
        yield server, (await subscribe(server, tls)).client
        await server.ended.wait()


@pytest.mark.parametrize("drain", [20, 5, 2, CUT_SECONDS, 0])
async def test_client_that_takes_nothing_is_cut_in_time(
    autojump_clock: trio.testing.MockClock, tls: Tls, drain: float
) -> None:
    """Those beside it are told why; less time than a cut takes is exceeded by no more than that."""
    async with stuck_server(drain, tls) as (server, good):
        began = trio.current_time()
        server.server.drain()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_close, good, rtcore.CloseCode.SERVICE_RESTART)
        await server.ended.wait()
        assert trio.current_time() - began <= max(drain, CUT_SECONDS)
        assert server.server.pool.statistics().active == 0
        assert server.hub.statistics().subscribers == 0


async def test_cancelled_server_waits_for_none_that_takes_nothing(
    autojump_clock: trio.testing.MockClock, tls: Tls
) -> None:
    """Nor is any task left that still sends to it: the block is only left once there is none."""
    limits = rtcore.Limits(idle_seconds=0)
    async with open_test_hub(limits=limits) as hub:
        tasks = trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            server = TestServer(Server(hub, rtcore.Settings(limits=limits)))
            await nursery.start(server.run)
            for after_bytes in TORN:
                await stick(server, tls, after_bytes)
            await publish_much(server)
            began = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began <= CUT_SECONDS
        assert trio.lowlevel.current_statistics().tasks_living == tasks
