"""
Notifications as they are read from the store, which need not give what was written: a disk may have damaged it.

One document that cannot be read must not take an inbox away from its user, or the hub from everybody. So it is left
where it is, passed over, and named in the log. Only where identifiers go on from is needed by all: without it the hub
does not begin.
"""

from __future__ import annotations

import logging
from typing import Any, Final
from urllib.parse import quote

from attrs import frozen

from rtcore.errors import StoreError
from rtcore.features.notifications.notification import Notification, Place
from rtcore.features.notifications.notification_json import of_document, to_wire
from rtcore.features.notifications.read_marks import ReadMarks
from rtcore.protocol.json_codec import json_dumps
from rtcore.values.shown import show

__all__ = ["Deadline", "deadline_of", "marks_of", "notification_of", "place_of", "sequence_of", "visit_of"]

_logger = logging.getLogger("rtcore.notifications")
_DAMAGED = (AttributeError, KeyError, OverflowError, TypeError, ValueError)

_KINDS: Final = frozenset({"end", "escalate", "forget"})


@frozen(kw_only=True)
class Deadline:
    """What has to be done when."""

    at: float
    kind: str
    """`end`, `escalate` or `forget`."""
    id: str
    """Of a notification, or of a request."""

    @property
    def key(self) -> str:
        """In the store: the earliest comes first."""
        return f"{max(0, int(self.at * 1000)):013x}/{self.kind}/{self.id}"


def deadline_of(key: str, document: Any) -> Deadline | None:  # Any: what the store gave, here and below
    """The deadline under a key, by the key itself where the document is damaged; None if that is no key."""
    try:
        deadline = Deadline(**document)
        if deadline.key == key and deadline.kind in _KINDS:
            return deadline
    except _DAMAGED:
        pass  # said below
    _logger.error("notification_deadlines/%s: the document is damaged; its key is believed", key)
    try:
        milliseconds, kind, id = key.split("/", 2)
        # The middle of the millisecond: rounded either way, its key is this one again, which goes when it is done.
        return Deadline(at=(int(milliseconds, 16) + 0.5) / 1000, kind=kind, id=id) if kind in _KINDS else None
    except ValueError:
        return None


def place_of(collection: str, key: str, document: Any) -> Place | None:
    """Whose a notification is; None if that is damaged, which the log says."""
    try:
        place = Place(**document)
        if not isinstance(place.workspace, str) or not isinstance(place.user, str | None):
            raise TypeError("a name is no text")
    except _DAMAGED as error:
        _tell_damage(collection, key, error)
        return None
    return place


def sequence_of(collection: str, key: str, document: Any) -> int:
    """
    Below which number identifiers have perhaps been given; 0 where there is no document.

    Raises:
        StoreError: If it is damaged: what came later would stand before what is there.
    """
    if document is None:
        return 0
    if not isinstance(document, int) or isinstance(document, bool) or document < 0:
        raise StoreError(f"{collection}/{key}: the document is damaged: expected a whole number, got {show(document)}")
    return document


def notification_of(collection: str, key: str, document: Any) -> Notification | None:
    """The notification under a key; None if it is damaged, which the log says."""
    try:
        notification = of_document(document)
        if key.rpartition("/")[2] != quote(notification.id, safe=""):
            raise ValueError(f"it has the id {notification.id}")
        json_dumps(to_wire(notification))  # what cannot be told is of no use to anybody
    except _DAMAGED as error:
        _tell_damage(collection, key, error)
        return None
    return notification


def marks_of(collection: str, key: str, document: Any) -> ReadMarks:
    """What a user has read; nothing if that is damaged, which the log says."""
    try:
        return ReadMarks.of_document(document)
    except _DAMAGED as error:
        _tell_damage(collection, key, error)
        return ReadMarks()


def visit_of(document: Any) -> float | None:
    """When a user was here last; None if that cannot be read."""
    return document if isinstance(document, (int, float)) else None


def _tell_damage(collection: str, key: str, error: Exception) -> None:
    what = type(error).__name__
    _logger.error("%s/%s: the document is damaged, and passed over: %s: %s", collection, key, what, error)
