"""A connection before anybody knows what it wants, and who is at its other end."""

from __future__ import annotations

import socket

import trio
from attrs import define

from rtcore.values.hot import value

__all__ = ["Incoming", "Peer", "own_address"]


@value
class Peer:
    """The other end of a connection, as far as the system knows."""

    client: tuple[str, int]
    """Its address and port."""
    secure: bool
    """Whether it came over TLS."""


@define(eq=False, kw_only=True)
class Incoming:
    """A connection as a stream: TLS, memory in a test, or a socket that has left the table."""

    stream: trio.abc.Stream
    client: tuple[str, int] = ("", 0)
    """The peer's address and port."""
    server: tuple[str, int] = ("", 0)
    """Our own."""
    secure: bool = False

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        return Peer(client=self.client, secure=self.secure)


def own_address(connected: socket.socket) -> tuple[str, int]:
    """This end's address and port; empty where it has none, as a UNIX socket."""
    name = connected.getsockname()
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else ("", 0)
