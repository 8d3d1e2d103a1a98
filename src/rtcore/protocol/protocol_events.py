"""What comes in on a WebSocket connection: what `ConnectionState` makes of its bytes."""

from __future__ import annotations

from attrs import define

from rtcore._fast import MessageReceived, PingReceived, PongReceived

__all__ = [
    "CloseReceived",
    "MessageReceived",
    "PingReceived",
    "PongReceived",
    "ProtocolEvent",
    "ProtocolFailed",
]


@define
class CloseReceived:
    """The peer's close frame: its last word. 1005 where it named no code."""

    code: int
    reason: str


@define
class ProtocolFailed:
    """The peer broke the protocol; the close frame that says so is queued, and nothing more is read."""

    code: int
    reason: str


ProtocolEvent = MessageReceived | PingReceived | PongReceived | CloseReceived | ProtocolFailed
