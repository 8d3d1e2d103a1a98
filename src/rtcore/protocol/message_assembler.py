"""
From parts of frames to messages.

All parts of a message go to the end of one growing buffer, so a fragment costs what its bytes cost. Text is checked and
compressed data inflated part by part, as it comes: a peer that sends one wrong byte at the head of a long message hears
of it at once, and one that sends a bomb gets no further than the limit.
"""

from __future__ import annotations

from typing import Final

from rtcore._fast import MessageInflater, Utf8Validator, is_utf8
from rtcore.errors import RemoteProtocolError
from rtcore.values.opcodes import CloseCode, Opcode

__all__ = ["MessageAssembler", "checked_message"]

_TEXT: Final = Opcode.TEXT.value


def checked_message(opcode: int, payload: bytes) -> bytes:
    """
    A message that came in one part, uncompressed, as nearly all do.

    Raises:
        RemoteProtocolError: With 1007 if it is text, and not UTF-8.
    """
    if opcode == _TEXT and not is_utf8(payload):
        raise _not_text()
    return payload


class MessageAssembler:
    """
    Joins the parts that a `FrameParser` hands out.

    Args:
        inflater_bits: Logarithm of the window of compressed messages, 8 to 15; None where compression was not agreed.
        context_takeover: Whether a compressed message may refer to the ones before it.
        maximum_message_bytes: Largest message, inflated, in bytes.
    """

    __slots__ = ("_buffer", "_context_takeover", "_inflater", "_inflater_bits", "_maximum", "_open", "_validator")

    def __init__(self, *, inflater_bits: int | None, context_takeover: bool, maximum_message_bytes: int) -> None:
        self._inflater_bits = inflater_bits
        self._context_takeover = context_takeover
        self._maximum = maximum_message_bytes
        # Made when first needed: most connections are idle and send small messages in one piece.
        self._buffer: bytearray | None = None
        self._inflater: MessageInflater | None = None
        self._validator: Utf8Validator | None = None
        self._open = False

    def add(self, opcode: int, last: bool, compressed: bool, payload: bytes) -> bytes | None:
        """
        Take the next part of a message.

        Args:
            opcode: That of the message: text or binary.
            last: Whether the message ends with this part.
            compressed: Whether the message is; the same for all its parts.
            payload: n >= 0 bytes, unmasked.

        Returns:
            The message, inflated, if it ended; otherwise None.

        Raises:
            RemoteProtocolError: With 1007 if text is not UTF-8 or data cannot be inflated; with 1009 if the message
                inflates to more than its limit. The assembler is of no more use then.
        """
        if last and not compressed and not self._open:
            return checked_message(opcode, payload)
        return self._add_to_buffer(opcode, last, compressed, payload)

    @property
    def buffered_bytes(self) -> int:
        """Bytes held of a message that has not ended."""
        return len(self._buffer) if self._buffer is not None else 0

    def _add_to_buffer(self, opcode: int, last: bool, compressed: bool, payload: bytes) -> bytes | None:
        if compressed:
            payload = self._inflate(payload, last)
        if opcode == _TEXT:
            self._check_text(payload, last)
        if last:
            self._open = False
            if self._buffer is None:
                return payload
            self._buffer += payload
            message = bytes(self._buffer)
            self._buffer = None
            return message
        self._open = True
        if self._buffer is None:
            self._buffer = bytearray(payload)
        else:
            self._buffer += payload
        return None

    def _inflate(self, payload: bytes, last: bool) -> bytes:
        inflater = self._inflater
        if inflater is None:
            if self._inflater_bits is None:
                raise RemoteProtocolError("compressed message without an extension")
            inflater = MessageInflater(self._inflater_bits, self._context_takeover, self._maximum)
            self._inflater = inflater
        inflated = inflater.feed(payload)
        return inflated + inflater.finish() if last else inflated

    def _check_text(self, payload: bytes, last: bool) -> None:
        validator = self._validator
        if validator is None:
            validator = self._validator = Utf8Validator()
        # A validator at the end of a text owes nothing, so it needs no reset before the next.
        if not validator.feed(payload) or (last and not validator.complete):
            raise _not_text()


def _not_text() -> RemoteProtocolError:
    return RemoteProtocolError("text message is not UTF-8", close_code=CloseCode.INVALID_DATA)
