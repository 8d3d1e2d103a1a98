"""What names and texts of a chat may be: one rule for Python, commands, and paths of the HTTP side."""

from __future__ import annotations

import re
from typing import Final

from rtcore.errors import ErrorCode, RequestError
from rtcore.values.shown import show

__all__ = ["NAME_LENGTH", "SESSION_ID_PATTERN", "TEXT_LENGTH", "check_session_id", "check_text"]

NAME_LENGTH: Final = 200
"""Longest id, name or subject, in characters."""
TEXT_LENGTH: Final = 10_000
"""Longest text of a message, in characters."""

SESSION_ID_PATTERN: Final = r"^(?!\.\.?$)[^/\\\x00-\x1f\x7f]+$"
"""What a session may be called: see `check_session_id`."""

_SESSION_ID: Final = re.compile(SESSION_ID_PATTERN)


def check_text(name: str, value: str, *, most: int = NAME_LENGTH, least: int = 1) -> None:
    """
    Return if this is text of `least` to `most` characters that can be sent.

    Args:
        name: What it is called, for the error.
        value: What was given.
        most: In characters.
        least: In characters.

    Raises:
        RequestError: If it is not.
    """
    if not isinstance(value, str) or not least <= len(value) <= most:
        got = f"{len(value)}" if isinstance(value, str) else type(value).__name__
        raise RequestError(ErrorCode.MALFORMED, f"{name}: expected {least} to {most} characters, got {got}", field=name)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RequestError(ErrorCode.MALFORMED, f"{name}: expected text that UTF-8 can carry", field=name) from error


def check_session_id(value: str) -> None:
    """
    Return if a session may have this id.

    It is the last part of the path `/sessions/ID`: a slash would part it there, however it is written, a backslash is
    one to browsers, dots mean a place, and control characters are cut off on the way.

    Raises:
        RequestError: If it may not; the error repeats the id and the rule.
    """
    check_text("session_id", value)
    if _SESSION_ID.fullmatch(value) is None:
        rule = "neither . nor .., without /, \\ and control characters"
        raise RequestError(
            ErrorCode.MALFORMED, f"session_id: expected an id {rule}, got {show(value)}", field="session_id"
        )
