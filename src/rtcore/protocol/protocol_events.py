"""What comes in on a WebSocket connection: what `ConnectionState` makes of its bytes."""

from __future__ import annotations

from attrs import define

__all__ = [
    "CloseReceived",
    "MessageReceived",
    "PingReceived",
    "PongReceived",
    "ProtocolEvent",
    "ProtocolFailed",
]


@define
class MessageReceived:
    """A whole message, inflated; text is valid UTF-8."""

    text: bool
    data: bytes


@define
class PingReceived:
    """A ping; its pong is queued already."""

    payload: bytes


@define
class PongReceived:
    """A pong, asked for or not."""

    payload: bytes


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
