"""A connection before anybody knows what it wants: bytes, either as a transport or as a stream."""

from __future__ import annotations

import socket
from typing import Final

import trio
from attrs import define, field

from rtcore.transports.socket_transport import SocketTransport
from rtcore.transports.stream_transport import StreamTransport
from rtcore.transports.transport import Transport

__all__ = ["Incoming"]

_TLS_BUFFER_BYTES: Final = 256 * 1024


@define(eq=False)
class Incoming:
    """
    A connection as it was accepted.

    The WebSocket side takes it as a transport, the HTTP side as a stream; whichever is called for, the other is not
    made.
    """

    transport: Transport
    client: tuple[str, int]
    """Address and port of the peer; an empty name where there is none."""
    server: tuple[str, int]
    secure: bool
    _source: socket.socket | trio.abc.Stream = field(repr=False)

    @classmethod
    def of_socket(cls, connected: socket.socket, client: tuple[str, int]) -> Incoming:
        """A plain TCP connection."""
        server = connected.getsockname()
        return cls(
            transport=SocketTransport(connected),
            client=client,
            server=(str(server[0]), int(server[1])),
            secure=False,
            source=connected,
        )

    @classmethod
    def of_stream(
        cls,
        stream: trio.abc.Stream,
        *,
        client: tuple[str, int] = ("", 0),
        server: tuple[str, int] = ("", 0),
        secure: bool = False,
    ) -> Incoming:
        """Any stream: TLS, or memory in a test."""
        # A socket has a buffer of its own; TLS in Trio has none that takes without waiting.
        transport = StreamTransport(stream, _TLS_BUFFER_BYTES if secure else 0)
        return cls(transport=transport, client=client, server=server, secure=secure, source=stream)

    def stream(self) -> trio.abc.Stream:
        """The connection as a stream; the transport must not be used any more."""
        if isinstance(self._source, socket.socket):
            return trio.SocketStream(trio.socket.from_stdlib_socket(self._source))
        return self._source
