"""
Connections, from the moment that it is known what they want until they are gone; one task each.

A plain socket comes here with its request head read (`arrivals`); a stream (TLS, memory, other systems) before its
first byte. What goes wrong with one stays with it.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Final

import trio
from starlette.types import ASGIApp

from rtcore._fast import SocketSlot, Traffic
from rtcore.errors import HandshakeRefused
from rtcore.hub.encoding import frame_encoding
from rtcore.hub.hub import Hub
from rtcore.protocol.connection_state import ConnectionState
from rtcore.server.admission import ConnectionPool
from rtcore.server.connection_names import ConnectionNames
from rtcore.server.draining import Drain
from rtcore.server.hooks import Presence
from rtcore.server.http_bridge import BridgeConfig, HttpPeer, serve_http
from rtcore.server.incoming import Incoming
from rtcore.server.reception import HttpRequest, Reception, Upgrade, refuse
from rtcore.server.unfinished import Unfinished
from rtcore.transports.socket_transport import SocketTransport
from rtcore.transports.stream_transport import StreamTransport
from rtcore.transports.transport import Transport
from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.limits import Limits

__all__ = ["Connections"]

logger = logging.getLogger("rtcore.server")

_TLS_BUFFER_BYTES: Final = 256 * 1024


class Connections:
    """
    Args:
        hub: Where they subscribe and publish.
        reception: Decides what a request head wants.
        pool: Where each of them has taken a place, and gives it back.
        limits: Bounds on each of them.
        traffic: Where their bytes are counted.
        presence: Told of those that come and go.
        drain: Closes them when the server ends.
        app: Answers HTTP.
        bridge: Limits of HTTP.
    """

    def __init__(
        self,
        hub: Hub,
        reception: Reception,
        *,
        pool: ConnectionPool,
        limits: Limits,
        traffic: Traffic,
        presence: Presence,
        drain: Drain,
        app: ASGIApp,
        bridge: BridgeConfig,
    ) -> None:
        self.nursery: trio.Nursery | None = None
        """Where their tasks live, while the server runs."""
        self.unfinished = Unfinished(limits.handshakes)
        """Those whose handshake is not over."""
        self.refused: dict[str, int] = {}
        """How many were refused, by status."""
        self._hub = hub
        self._reception = reception
        self._pool = pool
        self._limits = limits
        self._traffic = traffic
        self._presence = presence
        self._drain = drain
        self._app = app
        self._bridge = bridge
        self._names = ConnectionNames()

    def accept(
        self, incoming: Incoming, prepare: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Serve one more stream; arguments as for `serve`."""
        self._begin(self._alone, self.serve, incoming, prepare)

    def _begin(self, task: Callable[..., Awaitable[None]], *arguments: object) -> None:
        assert self.nursery is not None, "only a running server accepts"
        self.nursery.start_soon(task, *arguments, name="rtcore connection")  # a name made for each is 100 bytes

    def upgraded(self, slot: SocketSlot, upgrade: Upgrade) -> None:
        """A plain socket became a WebSocket connection."""
        self._upgraded(SocketTransport(slot), upgrade)

    def _upgraded(self, transport: Transport, upgrade: Upgrade) -> None:
        try:
            connection = self._new_connection(transport, upgrade)
            self._begin(connection.run, upgrade.profile.handler, self)
        except BaseException:  # there is no task that would do it
            self._pool.release(upgrade.address, upgrade.profile.path)
            transport.abort()
            raise

    def arrived_http(self, incoming: Incoming, wanted: HttpRequest) -> None:
        """A plain socket wants HTTP."""
        self._begin(self._alone, self._serve_http, incoming, wanted)

    def arrived_refused(self, incoming: Incoming, refused: HandshakeRefused) -> None:
        """A plain socket gets no further."""
        self._note_refusal(incoming, refused)
        self._begin(self._alone, self._refuse, incoming, refused)

    async def _alone(self, task: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """A fault of ours with one of them must not end the others; WebSocket connections see to that themselves."""
        try:
            await task(*arguments)
        except* Exception as errors:
            self._traffic.errors += 1
            logger.error("a connection failed", exc_info=errors)

    async def _refuse(self, incoming: Incoming, refused: HandshakeRefused) -> None:
        try:
            await refuse(incoming.stream, refused)
        finally:
            await _close(incoming.stream)

    async def _serve_http(self, incoming: Incoming, wanted: HttpRequest) -> None:
        peer = HttpPeer(client=incoming.client, server=incoming.server, secure=incoming.secure)
        try:
            await serve_http(self._app, incoming.stream, wanted.bytes_read, config=self._bridge, peer=peer)
        finally:
            await _close(incoming.stream)

    # What the task of each WebSocket connection tells

    def opened(self, connection: WebSocketConnection) -> None:
        """Its handshake is answered."""
        self._drain.add(connection)
        self._presence.opened(connection)

    def closed(self, connection: WebSocketConnection) -> None:
        """Its handler has ended."""
        self._presence.closed(connection)

    def gone(self, connection: WebSocketConnection) -> None:
        """Its socket is closed."""
        self._drain.remove(connection)
        self._pool.release(connection.address, connection.path)

    async def serve(
        self, incoming: Incoming, prepare: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """
        Serve one connection from its first byte until it is gone, or is a WebSocket connection with a task of its own.

        What goes wrong with it stays with it.

        Args:
            incoming: The connection; owned from here on.
            prepare: Async function to await within the handshake's deadline: TLS's own handshake.
        """
        handed_over = False
        try:
            wanted = await self._receive(incoming, prepare)
            if isinstance(wanted, HttpRequest):
                await self._serve_http(incoming, wanted)
            elif wanted is not None:
                self._upgraded_stream(incoming, wanted)
                handed_over = True
        finally:
            if not handed_over:
                await _close(incoming.stream)

    def _upgraded_stream(self, incoming: Incoming, upgrade: Upgrade) -> None:
        """Its new task holds nothing of the handshake: no frame, no arguments."""
        assert self.nursery is not None, "only a running server accepts"
        # A socket has a buffer of its own; TLS in Trio has none that takes without waiting.
        buffer_bytes = _TLS_BUFFER_BYTES if incoming.secure else 0
        self._upgraded(StreamTransport(incoming.stream, self.nursery, buffer_bytes), upgrade)

    async def _receive(
        self, incoming: Incoming, prepare: Callable[[], Awaitable[None]] | None
    ) -> Upgrade | HttpRequest | None:
        try:
            with trio.move_on_after(self._limits.handshake_seconds) as scope, self.unfinished.include(scope):
                if prepare is not None:
                    await prepare()
                return await self._reception.receive(incoming)
        except HandshakeRefused as refused:
            self._note_refusal(incoming, refused)
            await refuse(incoming.stream, refused)
        except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError) as error:
            logger.debug("%s: gone before its handshake: %s", incoming.client[0], error)
        return None

    def _note_refusal(self, incoming: Incoming, refused: HandshakeRefused) -> None:
        logger.info("%s: refused with %d: %s", incoming.client[0], refused.status, refused)
        self.refused[str(refused.status)] = self.refused.get(str(refused.status), 0) + 1

    def _new_connection(self, transport: Transport, upgrade: Upgrade) -> WebSocketConnection:
        accepted, profile = upgrade.accepted, upgrade.profile
        limits = profile.limits or self._limits
        connection = WebSocketConnection(
            self._hub,
            transport,
            ConnectionState(
                maximum_message_bytes=limits.message_bytes, compression=accepted.compression, traffic=self._traffic
            ),
            frame_encoding(accepted.compression, profile.event_names),
            connection_id=self._names.take(),
            limits=limits,
            opening=accepted.response,
            early=upgrade.early,
        )
        connection.address, connection.path = upgrade.address, profile.path
        connection.identity = upgrade.identity
        connection.conversation = profile.conversation(connection)
        return connection


async def _close(stream: trio.abc.Stream) -> None:
    """Close without a good-bye that a peer could hold up; within a second even when cancelled."""
    with trio.move_on_after(1, shield=True):
        await trio.aclose_forcefully(stream)
