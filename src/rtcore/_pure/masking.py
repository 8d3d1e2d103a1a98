"""
The XOR that clients put over their payloads.

Python has no loop over bytes that is fast, but integers of any size XOR in one step, and converting bytes to an integer
and back takes time proportional to their number.

Source: RFC 6455, section 5.3.
"""

from __future__ import annotations

__all__ = ["apply_mask", "unmask_slice"]


def apply_mask(data: bytes | bytearray | memoryview, mask: bytes) -> bytes:
    """
    XOR a payload with its repeating key.

    Args:
        data: Payload, n >= 0 contiguous bytes; not kept after the call.
        mask: Key, exactly 4 bytes.

    Returns:
        n new bytes.

    Raises:
        ValueError: If `mask` is not 4 bytes long.
        BufferError: If `data` is a view with gaps.

    Source: RFC 6455, section 5.3.
    """
    if isinstance(data, memoryview) and not data.contiguous:
        raise BufferError("payload is not contiguous")
    if len(mask) != 4:
        raise ValueError(f"mask of {len(mask)} bytes: must be 4")
    octets = bytes(data)
    return _exclusive_or(octets, mask * (len(octets) // 4 + 1))


def unmask_slice(data: bytes, start: int, stop: int, mask: bytes, phase: int) -> bytes:
    """
    XOR a piece of a payload that lies within a larger buffer, without copying it out first.

    Args:
        data: The buffer.
        start: First byte of the piece.
        stop: One past its last byte; `0 <= start <= stop <= len(data)`.
        mask: Key, exactly 4 bytes.
        phase: Which byte of the key the piece begins with, 0 to 3: the number of payload bytes before it, modulo 4.

    Returns:
        `stop - start` new bytes.

    Raises:
        TypeError: If `data` or `mask` is not `bytes`.
        ValueError: If an argument is outside its range.
    """
    if type(data) is not bytes or type(mask) is not bytes:
        raise TypeError("data and mask must be bytes")
    if len(mask) != 4:
        raise ValueError(f"mask of {len(mask)} bytes: must be 4")
    if not 0 <= phase <= 3:
        raise ValueError(f"phase {phase}: must be 0 to 3")
    if not 0 <= start <= stop <= len(data):
        raise ValueError(f"piece from {start} to {stop} of {len(data)} bytes")
    mask = mask[phase:] + mask[:phase]
    return _exclusive_or(data[start:stop], mask * ((stop - start) // 4 + 1))


def _exclusive_or(octets: bytes, key: bytes) -> bytes:
    """XOR with a key that is at least as long."""
    size = len(octets)
    combined = int.from_bytes(octets, "little") ^ int.from_bytes(key[:size], "little")
    return combined.to_bytes(size, "little")
