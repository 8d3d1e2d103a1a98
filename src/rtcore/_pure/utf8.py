"""
UTF-8 checked as it comes, so that a peer hears of the first wrong byte and not of the last frame.

A sequence is refused at the first byte that no valid text can have in that place: an overlong form at its second byte,
a surrogate at its second byte, a code point past U+10FFFF at its second byte, a byte that begins nothing at once.

Source: RFC 3629, section 4; RFC 6455, section 8.1.
"""

from __future__ import annotations

import codecs

__all__ = ["Utf8Validator", "is_utf8"]


def is_utf8(data: bytes) -> bool:
    """
    Whether these bytes are text by themselves.

    Args:
        data: n >= 0 bytes.

    Raises:
        TypeError: If `data` is not `bytes`.
    """
    if type(data) is not bytes:
        raise TypeError("data must be bytes")
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class Utf8Validator:
    """
    Checks one text that comes in pieces.

    Once `feed` has said False, it says so until `reset`.
    """

    __slots__ = ("_decoder", "_failed")

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._failed = False

    def feed(self, data: bytes) -> bool:
        """
        Take the next bytes; whether all so far may be the beginning of a text.

        Args:
            data: n >= 0 bytes, cut anywhere.

        Raises:
            TypeError: If `data` is not `bytes`.
        """
        if type(data) is not bytes:
            raise TypeError("data must be bytes")
        if self._failed:
            return False
        if data.isascii() and not self._pending():
            return True
        try:
            self._decoder.decode(data)
        except UnicodeDecodeError:
            self._failed = True
            return False
        # Python waits for the third byte of a surrogate, because some of its error handlers would let it pass.
        self._failed = b"\xed\xa0" <= self._pending() < b"\xee"
        return not self._failed

    @property
    def complete(self) -> bool:
        """Whether the bytes so far are a whole text: valid, and not cut within a character."""
        return not self._failed and not self._pending()

    def reset(self) -> None:
        """Begin with a new text."""
        self._decoder.reset()
        self._failed = False

    def _pending(self) -> bytes:
        return self._decoder.getstate()[0]
