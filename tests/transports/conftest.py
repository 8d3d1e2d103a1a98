"""One `WebSocketConnection` and its peer, over each kind of transport."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import pytest
import trio
import trio.testing
from attrs import define, field

from rtcore._fast import SlotOwner, SocketSlot, SocketTable, Traffic
from rtcore.application import ApplicationHub
from rtcore.hub.encoding import FrameEncoding
from rtcore.protocol.connection_state import ConnectionState
from rtcore.testing import TestClient, clogged_stream_pair, open_test_hub
from rtcore.transports.socket_driver import open_socket_table
from rtcore.transports.socket_transport import SocketTransport
from rtcore.transports.stream_transport import StreamTransport
from rtcore.transports.transport import Receiver, Transport
from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.channels import Namespace, Overflow
from rtcore.values.limits import Limits
from tests.tls_contexts import Tls

Handler = Callable[[WebSocketConnection], Awaitable[None]]
BUFFER = 4096
"""Bytes that a peer's side takes before it reads; systems round it as they please."""


@define(eq=False)
class RecordingTransport:
    """A transport that keeps what it was given in each call."""

    inner: Transport
    writes: list[bytes] = field(factory=list)

    @property
    def slot(self) -> SocketSlot | None:
        return self.inner.slot

    @property
    def direct(self) -> bool:
        return self.inner.direct  # what is written directly is not kept here

    @property
    def bytes_sent(self) -> int:
        return self.inner.bytes_sent

    @property
    def sending(self) -> bool:
        return self.inner.sending

    @property
    def full(self) -> bool:
        return self.inner.full

    def send_nowait(self, data: bytes | memoryview) -> int:
        sent = self.inner.send_nowait(data)
        if sent:
            self.writes.append(bytes(data[:sent]))
        return sent

    def serve(self, receiver: Receiver) -> AbstractAsyncContextManager[None]:
        return self.inner.serve(receiver)

    def watch_room(self, wanted: bool) -> None:
        self.inner.watch_room(wanted)

    def watch_input(self, wanted: bool) -> None:
        self.inner.watch_input(wanted)

    async def wait_input(self) -> None:
        await self.inner.wait_input()

    def wake(self) -> None:
        self.inner.wake()

    async def send_eof(self) -> bool:
        return await self.inner.send_eof()

    async def aclose(self) -> None:
        await self.inner.aclose()

    def abort(self) -> None:
        self.inner.abort()


@define(eq=False)
class Talk:
    """A connection, its peer, and how it went."""

    hub: ApplicationHub
    connection: WebSocketConnection
    transport: RecordingTransport
    peer: TestClient
    traffic: Traffic
    reset: Callable[[], None]
    """Break the peer's side as a crashed machine would."""
    finished: trio.Event = field(factory=trio.Event)
    """Set once `run` has returned."""
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    """Holds `run`."""

    async def run(self, handler: Handler) -> None:
        with self.scope:
            await self.connection.run(handler)
        self.finished.set()


@define
class Ends:
    """Both ends of a connection before anything runs over it."""

    transport: Transport
    stream: trio.abc.Stream
    reset: Callable[[], None]
    prepare: Callable[[], Awaitable[None]] | None = None


class Nobody:
    """Who owns a slot until its connection does."""


def on_table(table: SocketTable, ours: socket.socket) -> SocketTransport:
    return SocketTransport(table.add(ours.detach(), cast("SlotOwner", Nobody())))


def socket_ends(tls: Tls, table: SocketTable, nursery: trio.Nursery) -> Ends:
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    theirs.setblocking(False)
    return Ends(
        on_table(table, ours), trio.SocketStream(trio.socket.from_stdlib_socket(theirs)), reset=lambda: reset(theirs)
    )


def tcp_ends(tls: Tls, table: SocketTable, nursery: trio.Nursery) -> Ends:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        theirs.connect(listener.getsockname())
        ours, _ = listener.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    theirs.setblocking(False)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # its end is a reset
    return Ends(
        on_table(table, ours), trio.SocketStream(trio.socket.from_stdlib_socket(theirs)), reset=lambda: reset(theirs)
    )


def reset(end: socket.socket) -> None:
    trio.lowlevel.notify_closing(end)
    end.close()


def memory_ends(tls: Tls, table: SocketTable, nursery: trio.Nursery) -> Ends:
    ours, theirs = clogged_stream_pair()
    theirs.hold(BUFFER)
    return Ends(StreamTransport(ours, nursery), theirs, reset=theirs.cut)


def tls_ends(tls: Tls, table: SocketTable, nursery: trio.Nursery) -> Ends:
    ours, theirs = clogged_stream_pair()
    theirs.hold(BUFFER)
    server = trio.SSLStream(ours, tls.server, server_side=True, https_compatible=True)
    client = trio.SSLStream(theirs, tls.client, server_hostname="localhost", https_compatible=True)

    async def shake_hands() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.do_handshake)
            nursery.start_soon(client.do_handshake)

    return Ends(StreamTransport(server, nursery), client, reset=theirs.cut, prepare=shake_hands)


KINDS = {"tcp": tcp_ends, "socket": socket_ends, "memory": memory_ends, "tls": tls_ends}


OpenTalk = Callable[..., AbstractAsyncContextManager[Talk]]


@pytest.fixture(params=list(KINDS))
def open_talk(request: pytest.FixtureRequest, tls: Tls, autojump_clock: trio.testing.MockClock) -> OpenTalk:
    """Opens a connection whose handler is given; `tests/transports/test_contract*.py` runs over every kind."""
    if request.param == "tcp":
        autojump_clock.autojump_threshold = 0.1  # a delayed acknowledgement takes 40 ms even on loopback
    make_ends = KINDS[request.param]

    @asynccontextmanager
    async def open_one(
        handler: Handler,
        *,
        limits: Limits | None = None,
        hub: ApplicationHub | None = None,
        early: bytes = b"",
        opening: bytes = b"",
    ) -> AsyncIterator[Talk]:
        limits = limits or Limits()
        if hub is None:
            strict = {"strict": Namespace(overflow=Overflow.DISCONNECT)}
            async with (
                open_test_hub(limits=limits, namespaces=strict) as opened,
                open_one(handler, limits=limits, hub=opened, early=early, opening=opening) as talk,
            ):
                yield talk
            return
        async with open_socket_table() as table, trio.open_nursery() as nursery:
            ends = make_ends(tls, table, nursery)
            if ends.prepare is not None:
                await ends.prepare()
            async with talk_over(ends, handler, limits, hub, early, opening) as talk:
                yield talk

    return open_one


@asynccontextmanager
async def talk_over(
    ends: Ends, handler: Handler, limits: Limits, hub: ApplicationHub, early: bytes, opening: bytes
) -> AsyncIterator[Talk]:
    traffic = Traffic()
    transport = RecordingTransport(ends.transport)
    connection = WebSocketConnection(
        hub,
        transport,
        ConnectionState(maximum_message_bytes=limits.message_bytes, traffic=traffic),
        FrameEncoding(None),
        connection_id="c1",
        limits=limits,
        early=early,
        opening=opening,
    )
    talk = Talk(hub, connection, transport, TestClient(ends.stream), traffic, ends.reset)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk.run, handler)
        yield talk
        await trio.aclose_forcefully(ends.stream)
        nursery.cancel_scope.cancel()
