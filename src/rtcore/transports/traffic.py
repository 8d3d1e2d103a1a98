"""What went over the wire, counted for all connections together."""

from __future__ import annotations

from attrs import define

__all__ = ["Traffic"]


@define(eq=False)
class Traffic:
    """Running totals since the server began."""

    messages_in: int = 0
    messages_out: int = 0
    """Replies and other own messages; events are counted by the hub as delivered."""
    bytes_in: int = 0
    bytes_out: int = 0
    pings_in: int = 0
    errors: int = 0
    """Connections that ended through a fault of the peer or of ours."""
    rate_violations: int = 0
