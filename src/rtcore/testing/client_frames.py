"""
WebSocket frames as a strict client sees them.

Written apart from the code under test, from RFC 6455 and RFC 7692 alone, so that a fault there cannot hide here.
"""

from __future__ import annotations

import zlib
from typing import Final

from attrs import define, field, frozen

from rtcore.values.opcodes import Opcode

__all__ = ["Frame", "FrameReader", "MessageJoiner", "mask_frame"]

_TAIL: Final = b"\x00\x00\xff\xff"


@frozen(kw_only=True)
class Frame:
    """One frame from the server, whole."""

    opcode: Opcode
    payload: bytes
    fin: bool = True
    compressed: bool = False
    """RSV1: the message is deflated."""

    @property
    def control(self) -> bool:
        """Whether it is a close, ping or pong."""
        return self.opcode >= Opcode.CLOSE


def mask_frame(
    opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0, mask: bytes | None = b"\x37\xfa\x21\x3d"
) -> bytes:
    """
    One frame as a client sends it, or as no client should.

    Args:
        opcode: 0 to 15.
        payload: Any length, a control frame's too.
        fin: Whether it ends its message.
        rsv: The three reserved bits, 0 to 7; 4 is RSV1.
        mask: Four bytes; None: unmasked, which a server must refuse.
    """
    size, bit = len(payload), 0 if mask is None else 0x80
    first = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if size < 126:
        length = bytes([bit | size])
    elif size < 65536:
        length = bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([bit | 127]) + size.to_bytes(8, "big")
    if mask is None:
        return first + length + payload
    key = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
    return first + length + mask + masked


@define(eq=False)
class FrameReader:
    """
    Bytes in, frames out; whatever a server must not send is an `AssertionError`.

    It checks what RFC 6455 asks of each frame (5.2, 5.5) and of their order: fragments only of one message at a time,
    nothing after a close frame, shortest length forms.
    """

    compression: bool = False
    """Whether permessage-deflate was agreed on, so that RSV1 may be set."""
    _buffer: bytearray = field(factory=bytearray, init=False)
    _open: bool = field(default=False, init=False)
    _closed: bool = field(default=False, init=False)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete."""
        self._buffer += data
        frames: list[Frame] = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        assert not (self._closed and self._buffer), f"bytes after the close frame: {bytes(self._buffer[:40])!r}"
        return frames

    def end(self) -> None:
        """The stream ended: no frame may be half."""
        assert not self._buffer, f"the stream ended inside a frame: {bytes(self._buffer[:40])!r}"

    def _next(self) -> Frame | None:
        buffer = self._buffer
        if len(buffer) < 2 or self._closed:
            return None
        first, second = buffer[0], buffer[1]
        assert not second & 0x80, "a server must not mask"
        size, start = second & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(buffer) < start:
                return None
            shortest = 126 if size == 126 else 65536
            size = int.from_bytes(buffer[2:start], "big")
            assert shortest <= size < 1 << 63, f"length {size} in a form of {start - 2} bytes"
        if len(buffer) < start + size:
            return None
        frame = Frame(
            opcode=Opcode(first & 0x0F),
            payload=bytes(buffer[start : start + size]),
            fin=bool(first & 0x80),
            compressed=bool(first & 0x40),
        )
        del buffer[: start + size]
        assert not first & 0x30, "RSV2 and RSV3 belong to no extension here"
        self._check(frame)
        return frame

    def _check(self, frame: Frame) -> None:
        if frame.control:
            assert frame.fin, "a control frame must not be fragmented"
            assert not frame.compressed, "a control frame must not be compressed"
            assert len(frame.payload) <= 125, f"a control frame of {len(frame.payload)} bytes"
            assert frame.opcode is not Opcode.CLOSE or len(frame.payload) != 1, "a close frame of one byte"
            self._closed = frame.opcode is Opcode.CLOSE
            return
        assert self._open == (frame.opcode is Opcode.CONTINUATION), "a fragment out of place"
        assert not frame.compressed or (self.compression and not self._open), "RSV1 out of place"
        self._open = not frame.fin


@define(eq=False)
class MessageJoiner:
    """Frames in, messages out: inflated, and text is valid UTF-8."""

    window_bits: int = 15
    context_takeover: bool = False
    """Whether the server may refer to its earlier messages."""
    _parts: list[Frame] = field(factory=list, init=False)
    _inflater: zlib._Decompress | None = field(default=None, init=False)

    def add(self, frame: Frame) -> str | bytes | None:
        """The message that a data frame ends; None while it goes on."""
        self._parts.append(frame)
        if not frame.fin:
            return None
        parts, self._parts = self._parts, []
        payload = b"".join(part.payload for part in parts)
        if parts[0].compressed:
            payload = self._inflate(payload)
        return payload.decode() if parts[0].opcode is Opcode.TEXT else payload

    def _inflate(self, payload: bytes) -> bytes:
        if self._inflater is None or not self.context_takeover:
            self._inflater = zlib.decompressobj(-self.window_bits)
        return self._inflater.decompress(payload + _TAIL)
