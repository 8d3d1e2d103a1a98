"""A profile: what answers at one path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import frozen

from rtcore.hub.session import PROTOCOL_NAME
from rtcore.transports.websocket_connection import WebSocketConnection

__all__ = ["EndpointHandler", "Profile", "echo"]

EndpointHandler = Callable[[WebSocketConnection], Awaitable[None]]
"""Serves one connection until it ends; its `identity` is None while the client has yet to authenticate."""


@frozen(kw_only=True)
class Profile:
    """One WebSocket endpoint."""

    path: str
    converse: EndpointHandler
    subprotocols: tuple[str, ...] = (PROTOCOL_NAME,)
    authenticates_itself: bool = True
    """Whether a client may connect without a token and send it in its first message."""

    @classmethod
    def of_handler(cls, path: str, handler: EndpointHandler) -> Profile:
        """An endpoint whose messages an application handles; where tokens are needed, one must be in the handshake."""
        return cls(path=path, converse=handler, subprotocols=(), authenticates_itself=False)


async def echo(connection: WebSocketConnection) -> None:
    """Send each message back, text as text and binary as binary."""
    while True:
        for message in await connection.receive():
            await connection.send(message.data, text=message.text)
