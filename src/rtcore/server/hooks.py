"""The coming and going of connections: what an application hangs on to it, and the events that tell of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from attrs import frozen

from rtcore.errors import HubClosed, RequestError
from rtcore.hub.hub import Hub
from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.events import Json
from rtcore.values.identity import Identity

__all__ = ["CONNECTIONS_CHANNEL", "ConnectionHooks", "ConnectionInfo", "Presence"]

logger = logging.getLogger("rtcore.server")

CONNECTIONS_CHANNEL: Final = "connections"
"""Where `connection.connected` and `connection.disconnected` are published."""


@frozen(kw_only=True)
class ConnectionInfo:
    """Who connected; the identity as it is when the hook runs."""

    connection_id: str
    address: str
    path: str
    identity: Identity | None
    """None while the connection has not authenticated."""


def _nothing(info: ConnectionInfo) -> None:
    return None


@frozen(kw_only=True)
class ConnectionHooks:
    """
    Synchronous functions, called in the server's task of the connection.

    For each connection `connected` runs once after the handshake and `disconnected` once when it is over, however it
    ends,
    shutdown included. What they raise closes that connection with 1011 and goes to the log.
    """

    connected: Callable[[ConnectionInfo], None] = _nothing
    disconnected: Callable[[ConnectionInfo], None] = _nothing


class Presence:
    """
    Tells hooks and channel of each connection, exactly once each way.

    Args:
        hub: Where the events are published.
        hooks: The application's own.
    """

    def __init__(self, hub: Hub, hooks: ConnectionHooks) -> None:
        self._hub = hub
        self._hooks = hooks

    def opened(self, connection: WebSocketConnection) -> None:
        """A connection is there."""
        if self._hooks.connected is not _nothing:  # first: one that it refuses was never there for anybody else
            self._hooks.connected(_info(connection))
        self._publish("connection.connected", connection)

    def closed(self, connection: WebSocketConnection) -> None:
        """It is over."""
        self._publish("connection.disconnected", connection)
        if self._hooks.disconnected is not _nothing:
            self._hooks.disconnected(_info(connection))

    def _publish(self, type: str, connection: WebSocketConnection) -> None:
        identity = connection.identity
        data: dict[str, Json] = {"connection_id": connection.connection_id}
        if identity is not None and not identity.anonymous:
            data["user_id"] = identity.user
        # At the very end, or with the hub full of channels, there is nobody to tell; the connection is not to blame.
        try:
            self._hub.publish(CONNECTIONS_CHANNEL, type, data)
        except (HubClosed, RequestError) as error:
            logger.debug("%s of %s is told to nobody: %s", type, connection.connection_id, error)


def _info(connection: WebSocketConnection) -> ConnectionInfo:
    return ConnectionInfo(
        connection_id=connection.connection_id,
        address=connection.address,
        path=connection.path,
        identity=connection.identity,
    )
