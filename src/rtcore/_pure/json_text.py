"""
What is asked of JSON texts, or written into them, without reading them: passes over bytes on the way of each message.
"""

from __future__ import annotations

import re
from array import array
from itertools import accumulate

from rtcore.values import events

__all__ = ["encode_event_text", "format_timestamp", "holds_null", "json_depth_exceeds"]

# The closing quote is optional and the repeats are possessive: text that ends inside a string costs one pass.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEPS = bytes.maketrans(b"[]{}", b"\x01\xff\x01\xff")  # as signed bytes: one level down, one level up
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_PLAIN = re.compile(r'[ !#-\[\]-~]*+', re.ASCII)  # printable ASCII without quote and backslash
_INTEGERS = range(-(2**63), 2**63)


def json_depth_exceeds(text: bytes, maximum_depth: int) -> bool:
    """
    Whether a text is nested deeper than so many arrays and objects, be it JSON or not.

    Nothing recurses, and the time is linear in the text. Nearly all messages have fewer brackets than levels allowed,
    which a count shows.

    Raises:
        TypeError: If it is not bytes.
    """
    _check_bytes(text)
    if maximum_depth < 0:
        return True
    if text.count(b"[") + text.count(b"{") <= maximum_depth:
        return False
    steps = array("b", _STRING.sub(b"", text).translate(_STEPS, _NOT_BRACKETS))
    return max(accumulate(steps), default=0) > maximum_depth


def holds_null(text: bytes) -> bool:
    """
    Whether `null` stands anywhere in a text, be it as a value or inside of a string.

    Raises:
        TypeError: If it is not bytes.
    """
    _check_bytes(text)
    return b"null" in text


def format_timestamp(seconds: float) -> str:
    """As `rtcore.values.events.format_timestamp`; every message of the server has a time, so it is compiled too."""
    return events.format_timestamp(seconds)


def encode_event_text(channel: str, type: str, data: bytes, timestamp: float, offset: int) -> bytes:
    """
    The JSON text of an event up to but without its closing brace.

    Args:
        channel: Its channel, of characters that JSON needs no escapes for.
        type: Its type, likewise.
        data: JSON text; taken as it is.
        timestamp: Unix seconds.
        offset: A whole number of 64 bits.

    Raises:
        ValueError: If a name has other characters, or the time is outside the years 1 to 9999.
        OverflowError: If the offset or the time is too large for the system.
        TypeError: If `data` is not bytes.
    """
    _check_bytes(data)
    if not _PLAIN.fullmatch(channel) or not _PLAIN.fullmatch(type):
        raise ValueError("a channel or type has characters that JSON escapes")
    if offset not in _INTEGERS:
        raise OverflowError("offset has more than 64 bits")
    head = f'{{"type":"{type}","channel":"{channel}","data":'
    tail = f',"timestamp":"{events.format_timestamp(timestamp)}","offset":{offset}'
    return b"".join((head.encode(), data, tail.encode()))


def _check_bytes(text: bytes) -> None:
    if type(text) is not bytes:
        raise TypeError(f"bytes are needed, not {type(text).__name__}")
