"""Names of connections: random, so that a restarted server gives none a second time."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["ConnectionNames"]

_NAME_BYTES: Final = 8
_BLOCK: Final = 256
"""Names made of one block of random bytes: asking the system for each costs more than reading its request does."""


class ConnectionNames:
    """Unique names, 16 hexadecimal characters each."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def take(self) -> str:
        """A name that nobody has."""
        if not self._names:
            digits, size = os.urandom(_NAME_BYTES * _BLOCK).hex(), 2 * _NAME_BYTES
            self._names = [digits[start : start + size] for start in range(0, len(digits), size)]
        return self._names.pop()
