"""What a client is doing, and what it did."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

__all__ = ["ClientState", "ClientStatistics"]


class ClientState(Enum):
    """What a client is doing."""

    CONNECTING = "connecting"
    """Dialling, shaking hands or authenticating."""
    CONNECTED = "connected"
    """Requests are sent as they come."""
    WAITING = "waiting"
    """The next attempt to connect is some seconds off."""
    CLOSED = "closed"
    """There will be no connection any more."""


@frozen(kw_only=True)
class ClientStatistics:
    """A snapshot."""

    state: ClientState
    """Where it stands."""
    connections: int
    """Connections that were opened, the present one included."""
    messages_received: int
    """Messages of the server, over all connections."""
    messages_sent: int
    """Messages to the server, over all connections."""
    pending: int
    """Requests that await their reply or a connection."""
    connection_id: str
    """What the server calls the present connection; empty when there is none."""
    last_ending: str
    """Why the last connection or attempt ended; empty if none did. Parts of it come from the server."""
