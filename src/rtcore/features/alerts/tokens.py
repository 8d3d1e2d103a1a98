"""The words of a condition, each with its column."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from enum import Enum
from typing import Final

from attrs import frozen

from rtcore.errors import ConditionError

__all__ = ["DURATION_UNITS", "Token", "TokenKind", "tokenize"]

DURATION_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
"""Seconds of each unit that may follow a number, such as `500ms` or `1h`."""

_PATTERN: Final = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?P<unit>[A-Za-z_][A-Za-z0-9_]*)?
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)
    | `(?P<quoted>[^`\x00-\x1f\x7f]+)`
    | (?P<text>"(?:[^"\\\x00-\x1f]|\\["\\])*"|'(?:[^'\\\x00-\x1f]|\\['\\])*')
    | (?P<sign><=|>=|==|!=|&&|\|\||[<>=!+\-*/%(),])
    """,
    re.VERBOSE | re.ASCII,
)
_WORDS: Final = frozenset({"and", "or", "not", "true", "false"})
_MEANT: Final = {"=": "==", "&&": "and", "||": "or", "!": "not"}
"""Signs of other languages, and what they are called here."""
_ESCAPED: Final = re.compile(r"\\(.)")


class TokenKind(Enum):
    """What a token is."""

    NUMBER = "a number"
    DURATION = "a duration"
    TEXT = "text"
    NAME = "a name"
    WORD = "a word"
    SIGN = "a sign"
    END = "the end"


@frozen
class Token:
    """One word, sign or value."""

    kind: TokenKind
    text: str
    """As it was written; of a name in back quotes and of text: what is between the quotes."""
    column: int
    """Where it begins, from 1."""
    number: float = 0.0
    """Value of a number; seconds of a duration."""

    @property
    def shown(self) -> str:
        """The token as an error names it."""
        return "the end" if self.kind is TokenKind.END else f'"{self.text}"'


def tokenize(text: str) -> Iterator[Token]:
    """
    The tokens of a condition, and an `END` after them; linear in the text.

    Raises:
        ConditionError: At what is none.
    """
    position = 0
    while position < len(text):
        match = _PATTERN.match(text, position)
        if match is None:
            raise ConditionError(_unreadable(text[position]), position + 1)
        if match.lastgroup != "space":
            yield _token(match, position + 1)
        position = match.end()
    yield Token(TokenKind.END, "", len(text) + 1)


def _unreadable(character: str) -> str:
    if character in "\"'":
        return "text has no end, or an escape other than of a quote and of a backslash"
    return "name in back quotes has no end" if character == "`" else f"unexpected character {character!a}"


def _token(match: re.Match[str], column: int) -> Token:
    if match["number"] is not None:
        return _number(match["number"], match["unit"], column)
    if match["name"] is not None:
        return Token(TokenKind.WORD if match["name"] in _WORDS else TokenKind.NAME, match["name"], column)
    if match["quoted"] is not None:
        return Token(TokenKind.NAME, match["quoted"], column)
    if match["text"] is not None:
        return Token(TokenKind.TEXT, _ESCAPED.sub(r"\1", match["text"][1:-1]), column)
    sign = match["sign"]
    if sign in _MEANT:
        raise ConditionError(f'"{sign}" is not known; use "{_MEANT[sign]}"', column)
    return Token(TokenKind.SIGN, sign, column)


def _number(digits: str, unit: str | None, column: int) -> Token:
    number = float(digits)
    if not math.isfinite(number):
        raise ConditionError("number is too large", column)
    if unit is None:
        return Token(TokenKind.NUMBER, digits, column, number)
    if unit not in DURATION_UNITS:
        raise ConditionError(
            f'"{unit}" is no unit of time; there are {", ".join(DURATION_UNITS)}', column + len(digits)
        )
    return Token(TokenKind.DURATION, digits + unit, column, number * DURATION_UNITS[unit])
