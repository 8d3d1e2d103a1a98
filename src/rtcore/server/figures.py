"""What the server counts beside the hub, as one snapshot for the HTTP side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from attrs import field, frozen

__all__ = ["EndpointFigures", "ServerFigures", "ServerPort"]


@frozen(kw_only=True)
class EndpointFigures:
    """Connections of the endpoints that speak one dialect."""

    connections: int
    """Just now."""
    maximum: int
    """Most that are admitted at once."""


@frozen(kw_only=True)
class ServerFigures:
    """Connections and their traffic; totals count since the server began."""

    started_at: float
    """When the server began, in Unix seconds."""
    connections: int = 0
    """WebSocket connections just now."""
    connections_total: int = 0
    """WebSocket connections ever admitted."""
    connections_maximum: int = 0
    """Most connections that are admitted at once."""
    dialects: Mapping[str, EndpointFigures] = field(factory=dict)
    """The same of the endpoints that speak a dialect, by its name."""
    refused: Mapping[str, int] = field(factory=dict)
    """Connections refused, by the HTTP status of the answer."""
    messages_received: int = 0
    """Messages from clients."""
    messages_sent: int = 0
    """Replies and other messages of the server's own; events are counted by the hub."""
    bytes_received: int = 0
    bytes_sent: int = 0
    errors: int = 0
    """Connections that ended through a fault."""
    rate_violations: int = 0
    """Messages and requests over the rate limit."""
    compression_bytes_in: int = 0
    """Bytes of messages before compression."""
    compression_bytes_out: int = 0
    """Bytes of the same messages after it."""


class ServerPort(Protocol):
    """What the HTTP side needs to know of the server around it."""

    @property
    def started(self) -> bool:
        """Whether new clients are welcome."""

    @property
    def draining(self) -> bool:
        """Whether it is on its way out."""

    def retry_after(self) -> float:
        """Seconds that a client is told to wait that finds no room, or finds it on its way out."""

    def statistics(self) -> ServerFigures:
        """A snapshot."""
