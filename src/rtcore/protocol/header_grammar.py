"""
The head of an HTTP/1.1 request, read strictly.

What is looser than the grammar here is refused, not repaired: another party on the way may have repaired it
differently, and two readings of one request are how requests are smuggled. Refused are lines that end in a bare LF,
folded lines, spaces before a colon, control characters, a second `Host`, and all else the grammar has no place for.

Sources: RFC 9112, sections 2 to 5; RFC 9110, section 5.
"""

from __future__ import annotations

from rtcore._fast import RequestHead, check_head_bytes, check_line_bytes, parse_request_head, whole_head_bytes
from rtcore.errors import HandshakeRefused
from rtcore.values.limits import Limits

__all__ = ["HeadReader", "RequestHead", "parse_request_head", "split_list"]


class HeadReader:
    """
    Collects a request head as it comes, and refuses one that grows too long before it is whole.

    Every byte is looked at once, whatever the pieces. One empty line before the request line is passed over, as RFC
    9112, section 2.2, asks.

    Args:
        limits: `request_head_bytes` and `request_line_bytes` are the bounds.
    """

    __slots__ = ("_buffer", "_limits", "_line_start", "_lines", "_passed_over", "_scanned")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer: bytearray | None = None
        self._lines = 0
        self._line_start = 0
        self._passed_over = False
        self._scanned = 0

    @property
    def buffered_bytes(self) -> int:
        """Bytes held of a head that is not whole."""
        return len(self._buffer or b"")

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """
        Take the next bytes of the connection.

        Args:
            data: n >= 0 bytes, cut anywhere.

        Returns:
            The head with its closing empty line, and what came after it; None if the head has not ended.

        Raises:
            HandshakeRefused: With 400 at a bare LF; 414 or 431 as soon as a line or the head is too long.
        """
        if self._buffer is None:
            stop = whole_head_bytes(data)
            # What is no longer than a line may be has no line that is too long.
            if 0 < stop <= self._limits.request_line_bytes and stop <= self._limits.request_head_bytes:
                return data[:stop], data[stop:]
            self._buffer = bytearray()
        return self._collect(self._buffer, data)

    def _collect(self, buffer: bytearray, data: bytes) -> tuple[bytes, bytes] | None:
        buffer += data
        while True:
            newline = buffer.find(b"\n", self._scanned)
            if newline < 0:
                self._scanned = len(buffer)
                # A CR that came last may belong to the line's end, which is no part of its length.
                self._check_line(self._scanned - self._line_start - buffer.endswith(b"\r"))
                check_head_bytes(self._scanned, self._limits)
                return None
            if newline == 0 or buffer[newline - 1] != 0x0D:
                raise HandshakeRefused(400, "line ends in a bare LF")
            length = newline - 1 - self._line_start
            self._check_line(length)
            check_head_bytes(newline + 1, self._limits)
            if length == 0:
                if self._lines:
                    return bytes(buffer[: newline + 1]), bytes(buffer[newline + 1 :])
                if self._passed_over:
                    raise HandshakeRefused(400, "request begins with empty lines")
                self._passed_over = True
                del buffer[: newline + 1]
                newline = -1
            else:
                self._lines += 1
            self._line_start = self._scanned = newline + 1

    def _check_line(self, length: int) -> None:
        check_line_bytes(length, self._lines == 0, self._limits)


def split_list(values: tuple[str, ...]) -> tuple[str, ...]:
    """
    The elements of a comma-separated list that may be spread over several headers; empty elements are left out, as RFC
    9110, section 5.6.1.2, asks. Not for lists with quoted strings.
    """
    elements = (element.strip(" \t") for value in values for element in value.split(","))
    return tuple(element for element in elements if element)
