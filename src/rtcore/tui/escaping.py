"""Text from elsewhere, made fit for a terminal: it must not move the cursor, recolour, or answer in the user's name."""

from __future__ import annotations

__all__ = ["escape"]


def escape(text: str) -> str:
    """
    The text with every character that is not printable as a backslash sequence, and so on one line.

    That is control characters (so also what begins an escape sequence), marks that turn the direction of writing, line
    separators, and lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
