"""Text that must not be shown."""

from __future__ import annotations

import hmac
from typing import Final

__all__ = ["HIDDEN", "Secret"]

HIDDEN: Final = "(hidden)"
"""What stands in reports and logs in the place of a secret."""


class Secret:
    """
    Text that appears in no `repr`, log line, error or settings report; only `reveal` hands it out.

    A type of its own, and not a field that is left out of one `repr`, because settings are also printed field by field,
    compared in test failures and turned into tables.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"expected text, got {type(text).__name__}")
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret{HIDDEN}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled")
