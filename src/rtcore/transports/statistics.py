"""Snapshots of connections."""

from __future__ import annotations

from attrs import frozen

from rtcore.hub.statistics import SubscriberStatistics
from rtcore.protocol.statistics import ProtocolStatistics

__all__ = ["ConnectionStatistics"]


@frozen(kw_only=True)
class ConnectionStatistics(SubscriberStatistics):
    """One WebSocket connection: what it has subscribed to, and what went over its wire since the handshake's answer."""

    connection_id: str
    """Its unique name in logs."""
    address: str
    """Whom it counts for: the peer, or the client that a trusted proxy names."""
    path: str
    """The path that it asked for."""
    user: str | None
    """Who is at the other end; None while that is not known, or nobody."""
    bytes_received: int
    """Bytes from the peer, frames and all."""
    bytes_sent: int
    """Bytes that the transport took, the handshake's answer included."""
    messages_received: int
    """Messages from the peer."""
    messages_sent: int
    """Replies and other messages of its own; events are counted by the hub as delivered."""
    unsent_bytes: int
    """Bytes of its own messages, and of a write that was cut short, which wait for the transport."""
    idle_seconds: float
    """Since the last message of the peer; time that a handler was away does not count."""
    ended: bool
    """Whether its closing has begun."""
    protocol: ProtocolStatistics
    """Compression, pings, and who has said good-bye."""
