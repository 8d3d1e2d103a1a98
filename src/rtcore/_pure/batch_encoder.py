"""
Put ready JSON texts together without parsing them again.

An event is encoded once, up to but without its position; what differs between subscribers is a few bytes at the end. A
batch is the same texts between a fixed head and tail. Nothing here looks inside a text: the caller vouches for it.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["encode_batch", "encode_message", "join"]


def encode_message(body: bytes, position: bytes) -> bytes:
    """
    Close an event's body with its position.

    Args:
        body: JSON object text without its closing brace, and not empty: `{"type":"x"`.
        position: Text form of a position, of characters that JSON needs no escapes for.

    Returns:
        `body` + `,"position":"` + `position` + `"}`.
    """
    return b"".join((body, b',"position":"', position, b'"}'))


def encode_batch(messages: Sequence[bytes], timestamp: bytes) -> bytes:
    """
    Wrap messages in one `batch` message, in the order given.

    Args:
        messages: Complete JSON texts.
        timestamp: RFC 3339 text.

    Returns:
        `{"type":"batch","data":{"events":[...]},"timestamp":"..."}`.
    """
    return b"".join(
        (b'{"type":"batch","data":{"events":[', b",".join(messages), b']},"timestamp":"', timestamp, b'"}')
    )


def join(parts: Sequence[bytes]) -> bytes:
    """Join frames or texts that lie end to end into the bytes of one write."""
    return b"".join(parts)
