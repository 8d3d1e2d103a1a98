"""Text from elsewhere, made fit for a terminal: it must not move the cursor, recolour, or answer in the user's name."""

from __future__ import annotations

__all__ = ["escape", "escape_json"]


def escape(text: str) -> str:
    """
    The text with every character that is not printable as a backslash sequence, and so on one line.

    That is control characters (so also what begins an escape sequence), marks that turn the direction of writing, line
    separators, and lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def escape_json(text: str) -> str:
    """
    The same JSON text without characters that are not printable: JSON itself lets DEL, C1 controls and marks stand.

    They can only be inside strings, where an escape means the same. Source: RFC 8259, section 7.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _json_escape(ord(char)) for char in text)


def _json_escape(code: int) -> str:
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
