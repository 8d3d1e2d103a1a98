"""How an event becomes the bytes of one wire: views with equal encodings share their frames."""

from __future__ import annotations

from typing import Protocol

from attrs import field, frozen

from rtcore._fast import MessageDeflater, encode_frame
from rtcore.values.opcodes import Opcode

__all__ = ["Encoding", "FrameEncoding", "TextEncoding"]


class Encoding(Protocol):
    """A hashable rule from the JSON text of a message to what is written; equal rules give equal bytes."""

    def wire(self, text: bytes) -> bytes:
        """The complete wire form of one message; consecutive forms may be joined."""
        ...


@frozen
class TextEncoding:
    """The JSON text itself: for transports that make their own frames."""

    def wire(self, text: bytes) -> bytes:
        """The text as it is."""
        return text


@frozen
class FrameEncoding:
    """
    One unmasked WebSocket text frame a message, compressed where the peer negotiated it and it helps.

    Shared frames are made without context takeover, so that any connection of the same window may be sent them, in any
    order and between its own messages. Source: RFC 7692, section 7.1.1.
    """

    window_bits: int | None = None
    """LZ77 window of the peer's inflater, 9 to 15; None: not compressed."""
    level: int = -1
    """Level of zlib, 1 to 9, or -1 for its default."""
    compress_from: int = 128
    """Messages of fewer bytes go out as they are: a deflate block around them saves less than it costs."""
    _deflater: MessageDeflater | None = field(init=False, eq=False, repr=False)

    @_deflater.default
    def _make_deflater(self) -> MessageDeflater | None:
        return None if self.window_bits is None else MessageDeflater(self.window_bits, self.level)

    def wire(self, text: bytes) -> bytes:
        """One complete frame."""
        if self._deflater is not None and len(text) >= self.compress_from:
            packed = self._deflater.compress(text)
            if len(packed) < len(text):
                return encode_frame(Opcode.TEXT, packed, rsv1=True)
        return encode_frame(Opcode.TEXT, text)

    @property
    def bytes_saved(self) -> int:
        """Bytes that compression has kept off the wire, counted once per message, not per delivery."""
        return 0 if self._deflater is None else self._deflater.bytes_in - self._deflater.bytes_out
