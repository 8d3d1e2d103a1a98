"""
A value that was refused, as the message that refuses it repeats it: short, on one line, and never a secret.

Scalars are shown as JSON, all else by its kind. What might be a token or a key, as any text that stands where text was
not expected, is asked for as `secret`, which leaves the kind alone.
"""

from __future__ import annotations

import json
import math
from typing import Final

from rtcore.values.secret import Secret

__all__ = ["JSON_KINDS", "Kinds", "show"]

Kinds = tuple[tuple[type | tuple[type, ...], str], ...]
"""Words by type; the first that fits counts."""

JSON_KINDS: Final[Kinds] = (
    (type(None), "null"),
    (dict, "an object"),
    ((list, tuple, set, frozenset), "an array"),
    (str, "text"),
    (bool, "a boolean"),
    ((int, float), "a number"),
)

_SHOWN: Final = 60
"""Longest piece of a text that a message repeats, in characters; and most digits of a whole number."""
_SHOWN_BITS: Final = 199
"""A number of so many bits has at most 60 digits."""


def show(value: object, *, secret: bool = False, kinds: Kinds = JSON_KINDS) -> str:
    """
    A refused value, for a message.

    Args:
        value: Anything. Of a long text only the beginning is looked at, so that the cost is the same for any.
        secret: Tell the kind alone. What is a `Secret` already tells no more than its length.
        kinds: What kinds are called there.

    Returns:
        A piece of one line. Text is cut to 60 characters, with its length; a whole number of more digits is counted in
        bits.
    """
    if isinstance(value, Secret):
        return f"{len(value.reveal().encode())} bytes"
    if not secret and isinstance(value, str):
        return _show_text(value)
    if not secret and isinstance(value, bool):
        return json.dumps(value)
    if not secret and isinstance(value, int | float):
        return _show_number(value)
    return next((words for kind, words in kinds if isinstance(value, kind)), type(value).__name__)


def _show_text(text: str) -> str:
    piece = text[:_SHOWN]
    # What a terminal or a log would not show as it is (line ends, marks that turn the direction) is escaped.
    shown = json.dumps(piece, ensure_ascii=not piece.isprintable())
    return shown if len(text) <= _SHOWN else f"{shown}... ({len(text)} characters)"


def _show_number(number: float) -> str:
    if isinstance(number, float):
        return repr(float(number)) if math.isfinite(number) else str(number)
    # Python writes no number of over 4300 digits at all.
    bits = number.bit_length()
    return str(int(number)) if bits <= _SHOWN_BITS else f"a whole number of {bits} bits"
