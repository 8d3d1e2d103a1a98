"""
Frames that go out: messages to bytes.

Source: RFC 6455, section 5.2; RFC 7692, section 6.
"""

from __future__ import annotations

from .masking import apply_mask

__all__ = ["encode_frame", "frame_header"]

_FIN = 0x80
_RSV1 = 0x40
_MASKED = 0x80
_SHORT_BYTES = 125
"""Longest length that fits into the second byte of a header."""


def frame_header(opcode: int, length: int, rsv1: bool = False, fin: bool = True, masked: bool = False) -> bytes:
    """
    The header of a frame, without the masking key.

    Args:
        opcode: 0 to 15.
        length: Bytes of payload, below 2**63.
        rsv1: Whether the message is compressed; on its first frame only.
        fin: Whether the frame is the last of its message.
        masked: Whether a masking key follows; from clients only.

    Returns:
        2, 4 or 10 bytes.

    Raises:
        ValueError: If a number is outside its range.

    Source: RFC 6455, section 5.2.
    """
    if not 0 <= opcode <= 15:
        raise ValueError(f"opcode must be 0 to 15, got {opcode}")
    if not 0 <= length < 1 << 63:
        raise ValueError(f"length must be 0 to 2**63 - 1, got {length}")
    first = opcode | (_FIN if fin else 0) | (_RSV1 if rsv1 else 0)
    second = _MASKED if masked else 0
    if length <= _SHORT_BYTES:
        return bytes((first, second | length))
    if length <= 0xFFFF:
        return bytes((first, second | 126, length >> 8, length & 0xFF))
    return bytes((first, second | 127)) + length.to_bytes(8, "big")


def encode_frame(opcode: int, payload: bytes, rsv1: bool = False, fin: bool = True, mask: bytes | None = None) -> bytes:
    """
    A whole frame.

    Args:
        opcode: 0 to 15.
        payload: n >= 0 bytes.
        rsv1: Whether the message is compressed; on its first frame only.
        fin: Whether the frame is the last of its message.
        mask: None from a server; from a client, 4 bytes that nobody can foresee.

    Raises:
        TypeError: If `payload` or `mask` is not `bytes`.
        ValueError: If `opcode` is outside its range or `mask` is not 4 bytes long.

    Source: RFC 6455, section 5.2.
    """
    if type(payload) is not bytes or (mask is not None and type(mask) is not bytes):
        raise TypeError("payload and mask must be bytes")
    header = frame_header(opcode, len(payload), rsv1, fin, mask is not None)
    if mask is None:
        return header + payload
    return header + mask + apply_mask(payload, mask)
