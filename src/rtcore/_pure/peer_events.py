# cython: language_level=3, auto_pickle=False, annotation_typing=False
"""What a peer says, of which there is much: the events that `FrameExchange` makes for every message and ping."""

from __future__ import annotations

__all__ = ["MessageReceived", "PingReceived", "PongReceived"]


class MessageReceived:
    """A whole message, inflated; text is valid UTF-8."""

    __slots__ = ("data", "text")
    __match_args__ = ("text", "data")

    text: bool
    data: bytes

    def __init__(self, text: bool, data: bytes) -> None:
        self.text = text
        self.data = data

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MessageReceived):
            return NotImplemented
        return self.text == other.text and self.data == other.data

    def __repr__(self) -> str:
        return f"MessageReceived(text={self.text!r}, data={self.data!r})"


class PingReceived:
    """A ping; its pong is queued already."""

    __slots__ = ("payload",)
    __match_args__ = ("payload",)

    payload: bytes

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PingReceived):
            return NotImplemented
        return self.payload == other.payload

    def __repr__(self) -> str:
        return f"PingReceived(payload={self.payload!r})"


class PongReceived:
    """A pong, asked for or not."""

    __slots__ = ("payload",)
    __match_args__ = ("payload",)

    payload: bytes

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PongReceived):
            return NotImplemented
        return self.payload == other.payload

    def __repr__(self) -> str:
        return f"PongReceived(payload={self.payload!r})"
