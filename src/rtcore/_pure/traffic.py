# cython: language_level=3, auto_pickle=False, annotation_typing=False
"""What went over the wire, counted for all connections together."""

from __future__ import annotations

__all__ = ["Traffic"]


class Traffic:
    """Running totals since the server began."""

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "errors",
        "messages_in",
        "messages_out",
        "pings_in",
        "rate_violations",
    )

    messages_in: int
    messages_out: int
    """Replies and other own messages; events are counted by the hub as delivered."""
    bytes_in: int
    bytes_out: int
    pings_in: int
    errors: int
    """Connections that ended through a fault of the peer or of ours."""
    rate_violations: int

    def __init__(self) -> None:
        self.messages_in = 0
        self.messages_out = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.pings_in = 0
        self.errors = 0
        self.rate_violations = 0
