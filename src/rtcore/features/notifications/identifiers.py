"""
Identifiers of notifications: they grow, whatever the clock does and however often the server is restarted.

A reader's position says "everything up to here", so nothing that comes later may stand before it. The store keeps a
number that none given so far has reached; it is moved on in the same write as the notification that needs it, a
thousand at a time. What a restart skips of that thousand is lost, which harms nobody.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.notifications.notification_store import SEQUENCE
from rtcore.store.store import Change, Put
from rtcore.values.shown import show

__all__ = ["Identifiers", "check_identifier"]

KEY: Final = "reserved"
_STRIDE: Final = 1000
"""Identifiers reserved at once."""
_FORM: Final = re.compile(r"([0-9a-f]{12})-[0-9a-f]{8}")


def check_identifier(id: object, field: str) -> int:
    """
    The number of an identifier.

    Raises:
        RequestError: If no notification can have it: compared as text it would stand anywhere, such as behind all.
    """
    form = _FORM.fullmatch(id) if isinstance(id, str) else None
    if form is None:
        message = f"{field}: expected the id of a notification, got {show(id)}"
        raise RequestError(ErrorCode.MALFORMED, message, field=field)
    return int(form[1], 16)


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

    def check_place(self, id: str, field: str) -> None:
        """
        Return if an identifier says how far among the others: one that was given, whatever became of what it was for.

        Raises:
            RequestError: If it cannot be one, or none has come so far: what comes yet may stand before it.
        """
        if check_identifier(id, field) >= self._next:
            message = f"{field}: no notification so far has the id {show(id)}"
            raise RequestError(ErrorCode.NOT_FOUND, message, field=field)

    def written(self, changes: list[Change]) -> None:
        """The write that had these changes has returned."""
        for change in changes:
            if isinstance(change, Put) and isinstance(change.document, int):
                self._reserved = max(self._reserved, change.document)
