"""
HTTP on a connection that the listener has begun to read.

Hypercorn speaks HTTP, an ASGI application answers; this module moves bytes between them and any `trio.abc.Stream`, be
it a TCP socket, TLS or memory. Hypercorn's own Trio server is not used, for four reasons seen in its source (0.18): it
wants a socket under the stream; it shields writes without a deadline, so a client that stops reading holds up a
shutdown for ever; it leaves a connection stuck when an application replies before a long body was read; and it closes
a socket with unread input, which can destroy the reply on its way (RFC 9112, section 9.6).

One cancel scope holds everything that a connection does, and its deadline always says how long the present state may
last: idle (`keep_alive_seconds`, the next request's head included), busy (`request_seconds`), ending (`close_seconds`).
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any, cast

import trio
from attrs import define, field, frozen
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.worker_context import EventWrapper, WorkerContext
from hypercorn.typing import ConnectionState
from starlette.types import ASGIApp

from rtcore.server.ending import Ending
from rtcore.server.http_applications import ApplicationTasks
from rtcore.server.http_errors import refusal_body
from rtcore.server.http_protocol import BoundedH11Protocol
from rtcore.server.waiting import header_seconds
from rtcore.values.limits import Limits

__all__ = ["BridgeConfig", "HttpPeer", "serve_http"]

_RECEIVE_BYTES = 16 * 1024
# Not larger: h11 bounds a head only between two receives, so this is what a head can exceed its limit by.

_REFUSAL_SECONDS = 1.0  # more, and connections that there is no room for would pile up

logger = logging.getLogger("rtcore.http")


@frozen(kw_only=True)
class HttpPeer:
    """Both ends of a connection, as the ASGI scope tells them to the application; None where there is no address."""

    client: tuple[str, int] | None = None
    server: tuple[str, int] | None = None
    secure: bool = False
    """Whether the connection runs over TLS."""


@frozen(kw_only=True, eq=False)
class BridgeConfig:
    """What all HTTP connections of a server share."""

    limits: Limits = field(factory=Limits)
    ending: Ending = field(factory=Ending)
    """Waits for requests that are answered when it begins; from then on every reply is its connection's last."""
    open_connections: set[object] = field(factory=set, init=False)
    """The HTTP connections there are; bounded by `Limits.http_connections`."""
    _hypercorn: Config = field(init=False)

    @_hypercorn.default
    def _make_hypercorn(self) -> Config:
        config = Config()
        config.errorlog = logger
        config.include_server_header = False
        config.h11_max_incomplete_size = self.limits.request_head_bytes
        config.keep_alive_max_requests = self.limits.keep_alive_requests
        return config

    def context(self) -> WorkerContext:
        """Hypercorn's view of the drain signal."""
        context = WorkerContext(None)
        context.terminated = _DrainSignal(self.ending.requested)
        return context

    @property
    def hypercorn(self) -> Config:
        """Hypercorn's settings; shared, never changed after construction."""
        return self._hypercorn


class _DrainSignal(EventWrapper):
    def __init__(self, event: trio.Event) -> None:
        super().__init__()
        self._event = event


async def serve_http(
    app: ASGIApp, stream: trio.abc.Stream, head: bytes, *, config: BridgeConfig, peer: HttpPeer | None = None
) -> None:
    """
    Serve HTTP/1.1 on one connection until either side ends it, and close the stream.

    Args:
        app: Answers the requests. What it raises is logged and answered 500.
        stream: The connection; owned from here on.
        head: Bytes that were already read from it.
        config: Limits and the drain signal.
        peer: Addresses for the ASGI scope.

    Cancelling it cuts the connection at once. Errors of the connection end it without being raised.
    """
    connection = _Connection(app=app, stream=stream, config=config, peer=peer or HttpPeer())
    full = len(config.open_connections) >= config.limits.http_connections
    config.open_connections.add(connection)
    try:
        await (_refuse(stream, config.ending.retry_after()) if full else connection.run(head))
    finally:
        config.open_connections.discard(connection)
        config.ending.release(connection)
        await trio.aclose_forcefully(stream)


async def _refuse(stream: trio.abc.Stream, retry_after: float) -> None:
    body = refusal_body(503, retry_after)
    head = (
        f"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: {header_seconds(retry_after)}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with trio.move_on_after(_REFUSAL_SECONDS), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await stream.send_all(head.encode() + body)
        await stream.aclose()


@define(eq=False)
class _Connection:
    app: ASGIApp
    stream: trio.abc.Stream
    config: BridgeConfig
    peer: HttpPeer
    _scope: trio.CancelScope = field(factory=trio.CancelScope)
    _reading: trio.CancelScope = field(factory=trio.CancelScope)
    _send_lock: trio.Lock = field(factory=trio.Lock)
    _ending: bool = False
    _protocol: BoundedH11Protocol = field(init=False)

    async def run(self, head: bytes) -> None:
        self._allow(self.config.limits.request_seconds)
        with self._scope:
            async with trio.open_nursery() as applications:
                self._protocol = self._open_protocol(applications)
                await self._read(head)
            with trio.move_on_after(self.config.limits.close_seconds):
                await self._close()

    def _open_protocol(self, nursery: trio.Nursery) -> BoundedH11Protocol:
        protocol = BoundedH11Protocol(
            ASGIWrapper(cast(Any, self.app)),  # Any: hypercorn and starlette name the same ASGI types differently
            self.config.hypercorn,
            self.config.context(),
            ApplicationTasks(nursery),
            ConnectionState({}),
            self.peer.secure,
            self.peer.client,
            self.peer.server,
            self._send,
        )
        protocol.read_strictly(self.config.limits)
        return protocol

    def _allow(self, seconds: float) -> None:
        self._scope.deadline = trio.current_time() + seconds

    async def _read(self, head: bytes) -> None:
        with self._reading:
            data = head or await self._receive()
            while data and not self._ending:
                await self._protocol.handle(RawData(data))
                data = await self._receive()
            if self._ending:
                await self._discard()
            else:
                await self._protocol.handle(RawData(b""))
        await self._protocol.handle(Closed())

    async def _receive(self) -> bytes:
        try:
            return bytes(await self.stream.receive_some(_RECEIVE_BYTES))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    async def _discard(self) -> None:
        # What the client still sends is read and thrown away, so that the system does not answer it with a reset that
        # overtakes the reply; bounded in time by the scope and in bytes by the largest body a client may send at all.
        left = self.config.limits.publish_body_bytes
        while left > 0 and (data := await self._receive()):
            left -= len(data)

    async def _send(self, event: Event) -> None:
        """Hypercorn's way out: bytes, the end, or a change between busy and idle."""
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Closed):
            await self._end()
        elif isinstance(event, Updated):
            self._become(idle=event.idle)

    def _become(self, *, idle: bool) -> None:
        limits, ending = self.config.limits, self.config.ending
        self._allow(limits.keep_alive_seconds if idle else limits.request_seconds)
        if idle:
            ending.release(self)
        elif not ending.requested.is_set():  # what comes later is answered too, but not waited for
            ending.hold(self)

    async def _write(self, data: bytes) -> None:
        try:
            async with self._send_lock:
                await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # Nobody is left to answer: whatever still works on a reply may stop.
            self._scope.cancel()
            await trio.lowlevel.checkpoint()

    async def _end(self) -> None:
        """Send nothing more, and give the client `close_seconds` to read what was sent and close its side."""
        if self._ending:
            return
        self._ending = True
        self._allow(self.config.limits.close_seconds)
        if isinstance(self.stream, trio.abc.HalfCloseableStream):
            try:
                async with self._send_lock:
                    await self.stream.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._scope.cancel()
                await trio.lowlevel.checkpoint()
        elif not self._protocol.owes_input:
            self._reading.cancel()  # TLS cannot close one side alone, and nothing is left to wait for

    async def _close(self) -> None:
        with suppress(trio.BrokenResourceError):  # The peer went first.
            await self.stream.aclose()
