# cython: language_level=3, auto_pickle=False, annotation_typing=False
"""
Frames that come in: bytes to parts of messages.

The parser hands out what it has as soon as it has it, unmasked: a frame that comes in ten pieces gives ten parts, so
text can be checked byte by byte, nothing is held twice, and memory grows with what came, never with what was announced.
It checks all that a frame header can be wrong about, and the order of frames: which is everything of the protocol that
needs no look at the payload. Control frames come whole (they have 125 bytes at most).

After the first violation the parser stays failed: the parts before it are handed out, `failure` says what came next,
and all further bytes are ignored.

Source: RFC 6455, sections 5.2 to 5.5; RFC 7692, section 6.
"""

from __future__ import annotations

from rtcore.errors import RemoteProtocolError

from .masking import unmask_slice

__all__ = ["FrameParser"]

_FIN = 0x80
_RSV1 = 0x40
_MASKED = 0x80
_CONTINUATION = 0x0
_TEXT = 0x1
_BINARY = 0x2
_CLOSE = 0x8
_PONG = 0xA
_CONTROL_BYTES = 125
"""Longest payload of a control frame, and longest length that fits into the second byte of a header."""
_LARGEST_LIMIT = 1 << 62
"""So that sums of two lengths fit into 64 bits in the compiled twin."""


class FrameParser:
    """
    Reads the frames of one direction of a connection.

    Args:
        maximum_message_bytes: Largest message, in bytes, 1 to 2**62. A frame that announces more, alone or with the
            fragments before it, is refused with 1009 as soon as its length is known. Under compression this bounds the
            compressed bytes, at a quarter and 1 KiB more: deflate may make random data a little longer.
        compression: Whether permessage-deflate was agreed, so that RSV1 may be set.
        masked: Whether frames must be masked (from a client) or must not be (from a server).

    Raises:
        ValueError: If `maximum_message_bytes` is outside its range.
    """

    __slots__ = (
        "_compression",
        "_final",
        "_length",
        "_mask",
        "_masked",
        "_maximum",
        "_maximum_compressed",
        "_message_bytes",
        "_message_compressed",
        "_message_opcode",
        "_opcode",
        "_pending",
        "_remaining",
        "_rsv1",
        "_within_frame",
        "failure",
    )

    failure: RemoteProtocolError | None
    """The violation that ended the reading; None while there was none."""

    def __init__(self, maximum_message_bytes: int, compression: bool = False, masked: bool = True) -> None:
        if not 1 <= maximum_message_bytes <= _LARGEST_LIMIT:
            raise ValueError(f"maximum_message_bytes must be 1 to 2**62, got {maximum_message_bytes}")
        self.failure = None
        self._maximum = maximum_message_bytes
        self._maximum_compressed = maximum_message_bytes + maximum_message_bytes // 4 + 1024
        self._compression = compression
        self._masked = masked
        # Bytes of a header, or of a control frame, that has not come whole: at most 131.
        self._pending = b""
        # The message that is open between its first and its last fragment: opcode 0 means none.
        self._message_opcode = 0
        self._message_compressed = False
        self._message_bytes = 0
        # The frame whose header was read last.
        self._opcode = 0
        self._final = False
        self._rsv1 = False
        self._length = 0
        self._mask = b""
        # How much of the payload of a data frame is still to come, and whether that frame is being read.
        self._within_frame = False
        self._remaining = 0

    def feed(self, data: bytes) -> list[tuple[int, bool, bool, bytes]]:
        """
        Take the next bytes of the stream.

        Args:
            data: n >= 0 bytes, cut anywhere.

        Returns:
            Parts, in order: opcode (of the message, where the frame is a continuation), whether the part is the last of
            its message, whether the message is compressed, and the payload. Control frames are parts that are last.
            Parts that are empty and not last are left out.

        Raises:
            TypeError: If `data` is not `bytes`. No bytes raise anything: see `failure`.
        """
        if type(data) is not bytes:
            raise TypeError("data must be bytes")
        parts: list[tuple[int, bool, bool, bytes]] = []
        if self.failure is not None:
            return parts
        if self._pending:
            data = self._pending + data
            self._pending = b""
        position = 0
        end = len(data)
        while True:
            if not self._within_frame:
                start = position
                position = self._read_header(data, start, end)
                if position < 0:
                    if self.failure is None and start < end:
                        self._pending = data[start:]
                    break
                if self._opcode >= _CLOSE:
                    stop = position + self._length
                    if stop > end:
                        self._pending = data[start:]
                        break
                    parts.append((self._opcode, True, False, self._payload(data, position, stop, 0)))
                    position = stop
                    continue
                self._begin_data_frame()
            available = end - position
            if available > self._remaining:
                available = self._remaining
            self._take_payload(parts, data, position, position + available)
            position += available
            if self._within_frame:
                break
        return parts

    def _begin_data_frame(self) -> None:
        """Enter the payload of the data frame whose header was just read."""
        if self._opcode != _CONTINUATION:
            self._message_opcode = self._opcode
            self._message_compressed = self._rsv1
            self._message_bytes = 0
        self._message_bytes += self._length
        self._remaining = self._length
        self._within_frame = True

    def _take_payload(self, parts: list[tuple[int, bool, bool, bytes]], data: bytes, start: int, stop: int) -> None:
        """Hand out what there is of the open data frame, and leave the frame where that is its end."""
        phase = (self._length - self._remaining) & 3
        self._remaining -= stop - start
        ended = self._remaining == 0
        last = ended and self._final
        if stop > start or last:
            payload = self._payload(data, start, stop, phase)
            parts.append((self._message_opcode, last, self._message_compressed, payload))
        if ended:
            self._within_frame = False
            if last:
                self._message_opcode = 0

    def _payload(self, data: bytes, start: int, stop: int, phase: int) -> bytes:
        if self._masked:
            return unmask_slice(data, start, stop, self._mask, phase)
        return data[start:stop]

    def _read_header(self, data: bytes, position: int, end: int) -> int:
        """Read one header into the fields; the position after it, or -1 if it is not all there or wrong (`failure`)."""
        if end - position < 2:
            return -1
        octets = data
        first = octets[position]
        length = octets[position + 1] & 0x7F
        self._opcode = first & 0x0F
        self._final = (first & _FIN) != 0
        self._rsv1 = (first & _RSV1) != 0
        if not self._check_start(first, ((octets[position + 1] & _MASKED) != 0), length):
            return -1
        position += 2
        if length > _CONTROL_BYTES:
            width = 2 if length == 126 else 8
            if width == 8 and position < end and octets[position] & 0x80:
                self._fail(1002, "frame length has its highest bit set")
                return -1
            if end - position < width:
                return -1
            length = 0
            for index in range(position, position + width):
                length = (length << 8) | octets[index]
            if length <= (_CONTROL_BYTES if width == 2 else 0xFFFF):
                self._fail(1002, f"frame length {length} is not in its shortest form")
                return -1
            position += width
        if self._opcode < _CLOSE and not self._check_size(length):
            return -1
        self._length = length
        if self._masked:
            if end - position < 4:
                return -1
            self._mask = octets[position : position + 4]
            position += 4
        return position

    def _check_start(self, first: int, masked: bool, length: int) -> bool:
        """Whether the first two bytes of a header may stand here."""
        opcode = first & 0x0F
        if first & 0x30:
            return self._fail(1002, "reserved bit RSV2 or RSV3 is set")
        if (opcode > _BINARY and opcode < _CLOSE) or opcode > _PONG:
            return self._fail(1002, f"reserved opcode {opcode}")
        if opcode >= _CLOSE:
            if not self._final:
                return self._fail(1002, "control frame is fragmented")
            if length > _CONTROL_BYTES:
                return self._fail(1002, "control frame exceeds 125 bytes")
            if self._rsv1:
                return self._fail(1002, "RSV1 is set on a control frame")
        elif opcode == _CONTINUATION:
            if self._message_opcode == 0:
                return self._fail(1002, "continuation without a message to continue")
            if self._rsv1:
                return self._fail(1002, "RSV1 is set on a continuation")
        elif self._message_opcode != 0:
            return self._fail(1002, "new message within a fragmented message")
        elif self._rsv1 and not self._compression:
            return self._fail(1002, "RSV1 is set without an extension")
        if masked != self._masked:
            return self._fail(1002, "frame is not masked" if self._masked else "frame is masked")
        return True

    def _check_size(self, length: int) -> bool:
        """Whether a data frame of this length keeps the message within its limit."""
        before = 0
        compressed = self._rsv1
        if self._opcode == _CONTINUATION:
            before = self._message_bytes
            compressed = self._message_compressed
        limit = self._maximum_compressed if compressed else self._maximum
        if length > limit - before:
            # No sum here: it may not fit into 64 bits.
            return self._fail(1009, f"frame of {length} bytes after {before} exceeds the message limit of {limit}")
        return True

    def _fail(self, close_code: int, reason: str) -> bool:
        self.failure = RemoteProtocolError(reason, close_code=close_code)
        return False
