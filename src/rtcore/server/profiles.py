"""A profile: what answers at one path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import field, frozen

from rtcore.hub.session import PROTOCOL_NAME
from rtcore.protocol.protocol_events import MessageReceived
from rtcore.transports.conversation import Conversation
from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.limits import Limits

__all__ = ["ECHO", "EndpointHandler", "MessageHandler", "Profile"]

EndpointHandler = Callable[[WebSocketConnection], Awaitable[None]]
"""Serves one connection until it ends; its `identity` is None while the client has yet to authenticate."""


@frozen
class MessageHandler:
    """
    An endpoint that only reacts: a function that is called with each message, where an `EndpointHandler` would loop.

    The function must not block. No task is woken for a message, so this is the cheapest kind of endpoint by far.
    """

    function: Callable[[WebSocketConnection, MessageReceived], None]


@frozen(kw_only=True)
class Profile:
    """One WebSocket endpoint; it has a handler, or a conversation for each connection."""

    path: str
    handler: EndpointHandler | None = None
    conversation: Callable[[WebSocketConnection], Conversation | None] = field(default=lambda connection: None)
    dialect: str | None = None
    """The name of what is spoken here; None: what an application's handler makes of it."""
    subprotocols: tuple[str, ...] = (PROTOCOL_NAME,)
    authenticates_itself: bool = True
    """Whether a client may connect without a token and send it in its first message."""
    anonymous: bool = False
    """Whether clients have no identity here, even where others need one."""
    limits: Limits | None = None
    """Bounds on its connections; None: those of the server."""
    connections: int | None = None
    """Most connections here at once; None: as many as the server has room for."""
    event_names: tuple[tuple[str, str], ...] = ()
    """What types of events are called here, where that is not their own name; by type."""

    @classmethod
    def of_handler(cls, path: str, handler: EndpointHandler | MessageHandler) -> Profile:
        """An endpoint whose messages an application handles; where tokens are needed, one must be in the handshake."""
        if isinstance(handler, MessageHandler):
            function = handler.function
            return cls(
                path=path,
                conversation=lambda connection: _Reactions(connection, function),
                subprotocols=(),
                authenticates_itself=False,
            )
        return cls(path=path, handler=handler, subprotocols=(), authenticates_itself=False)


class _Reactions:
    """The conversation of a `MessageHandler`."""

    __slots__ = ("_connection", "_function")

    def __init__(
        self, connection: WebSocketConnection, function: Callable[[WebSocketConnection, MessageReceived], None]
    ) -> None:
        self._connection = connection
        self._function = function

    def begin(self) -> None:
        return None

    def handle(self, message: MessageReceived) -> None:
        self._function(self._connection, message)

    def pinged(self) -> None:
        return None

    def end(self) -> None:
        return None


def _echo(connection: WebSocketConnection, message: MessageReceived) -> None:
    connection.send_message(message.data, text=message.text)


ECHO = MessageHandler(_echo)
"""Sends each message back, text as text and binary as binary."""
