"""Snapshots of the protocol's state."""

from __future__ import annotations

from attrs import frozen

__all__ = ["ProtocolStatistics"]


@frozen(kw_only=True)
class ProtocolStatistics:
    """What the WebSocket protocol knows of one connection."""

    window_bits: int | None
    """Base-2 logarithm of the deflate window of messages to the peer; None where no compression was agreed."""
    pings_received: int
    """Pings of the peer since the handshake, answered or not."""
    pongs_received: int
    """Pongs of the peer since the handshake, asked for or not."""
    control_pending: bool
    """Whether a pong, a ping or the close frame waits to be written."""
    close_sent: bool
    """Whether our close frame is queued or gone."""
    close_received: bool
    """Whether the peer's close frame came."""
    closed: bool
    """Whether nothing is left to read or to write."""
    close_code: int | None
    """Why the connection ends: the code of whoever began; 1006 where nobody said; None while it is open."""
    close_reason: str
    """The text that came with it."""
