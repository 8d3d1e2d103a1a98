"""
Identifiers of notifications: they grow, whatever the clock does and however often the server is restarted.

A reader's position says "everything up to here", so nothing that comes later may stand before it. The store keeps a
number that none given so far has reached; it is moved on in the same write as the notification that needs it, a
thousand at a time. What a restart skips of that thousand is lost, which harms nobody.
"""

from __future__ import annotations

import secrets
from typing import Final

from rtcore.features.notifications.notification_store import SEQUENCE
from rtcore.store.store import Change, Put

__all__ = ["Identifiers"]

KEY: Final = "reserved"
_STRIDE: Final = 1000
"""Identifiers reserved at once."""


class Identifiers:
    """See the module."""

    def __init__(self) -> None:
        self._next = 0
        self._reserved = 0

    def begin(self, reserved: int) -> None:
        """Go on where the store says."""
        self._next = self._reserved = reserved

    def take(self) -> tuple[str, list[Change]]:
        """
        An identifier, and what must be in the same write as what it is for.

        The write must be called before the next checkpoint: so that writes come in the order of their identifiers.
        """
        number = self._next
        self._next += 1
        changes: list[Change] = []
        if number >= self._reserved:
            changes.append(Put(SEQUENCE, KEY, number + _STRIDE))
        # Chance besides, so that no identifier of one store is that of another thing in the next.
        return f"{number:012x}-{secrets.token_hex(4)}", changes

    def written(self, changes: list[Change]) -> None:
        """The write that had these changes has returned."""
        for change in changes:
            if isinstance(change, Put) and isinstance(change.document, int):
                self._reserved = max(self._reserved, change.document)
