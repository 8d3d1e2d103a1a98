"""
Notifications in the store.

    notifications            WORKSPACE/USER/ID       one to a user
    workspace_notifications  WORKSPACE/ID            one to a workspace
    notification_places      ID                      whose it is
    notification_readers     WORKSPACE/USER/marks    what a user has read
                             WORKSPACE/USER/visit    when a user was here last
    notification_deadlines   MILLISECONDS/KIND/ID    what has to be done then, the earliest first
    notification_requests    a digest                what a request with a key was answered
    notification_sequence    reserved                ids below have perhaps been given

Names in keys are percent-encoded, slashes too: a token may name the user `b/a` of `w`, who is not the `a` of `w/b`.

Whatever waits for a time waits in the store, in the order of its times: memory knows the earliest alone, and a restart
is nothing special.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable
from typing import Any, Final
from urllib.parse import quote, unquote

from rtcore.errors import ErrorCode, RequestError, StoreError
from rtcore.features.notifications.escalation import next_step
from rtcore.features.notifications.inbox import Inbox
from rtcore.features.notifications.kept_notifications import (
    Deadline,
    deadline_of,
    marks_of,
    notification_of,
    place_of,
    visit_of,
)
from rtcore.features.notifications.notification import Notification, Place
from rtcore.features.notifications.notification_json import document_of
from rtcore.features.notifications.read_marks import ReadMarks
from rtcore.protocol.json_codec import json_dumps
from rtcore.store.store import Change, Delete, Put, Store

__all__ = [
    "Deadline",
    "NotificationStore",
    "deadline_change",
    "deadlines_of",
    "forgetting",
    "keeping",
    "key_of",
    "mark_change",
    "size_of",
    "visit_change",
]

_logger = logging.getLogger("rtcore.notifications")

_USERS: Final = "notifications"
_WORKSPACES: Final = "workspace_notifications"
_PLACES: Final = "notification_places"
_READERS: Final = "notification_readers"
_DEADLINES: Final = "notification_deadlines"
REQUESTS: Final = "notification_requests"
SEQUENCE: Final = "notification_sequence"

_PAGE: Final = 200
"""Documents read at once where there may be many."""


def key_of(*names: str) -> str:
    """A key that no other names have: each percent-encoded, with slashes between."""
    return "/".join(quote(name, safe="") for name in names)


def deadline_change(deadline: Deadline, *, done: bool = False) -> Change:
    """Keep a deadline, or forget it."""
    if done:
        return Delete(_DEADLINES, deadline.key)
    return Put(_DEADLINES, deadline.key, {"at": deadline.at, "kind": deadline.kind, "id": deadline.id})


def size_of(notification: Notification) -> int:
    """Bytes of its JSON."""
    return len(json_dumps(document_of(notification)))


def keeping(notification: Notification, *, new: bool = False) -> list[Change]:
    """What keeps a notification; `new`: and all that goes with it, which never changes."""
    changes: list[Change] = [Put(*_address(notification), document_of(notification))]
    if new:
        place = notification.place
        changes.append(Put(_PLACES, notification.id, {"workspace": place.workspace, "user": place.user}))
        changes += [deadline_change(deadline) for deadline in deadlines_of(notification)]
    return changes


def forgetting(notification: Notification) -> list[Change]:
    """What forgets a notification, and all that goes with it."""
    changes: list[Change] = [Delete(*_address(notification)), Delete(_PLACES, notification.id)]
    return changes + [deadline_change(deadline, done=True) for deadline in deadlines_of(notification)]


def deadlines_of(notification: Notification) -> list[Deadline]:
    """Its end, and the step that comes next."""
    deadlines = [Deadline(at=notification.ends_at, kind="end", id=notification.id)]
    following = next_step(notification)
    if following is not None:
        deadlines.append(Deadline(at=following.due_at, kind="escalate", id=notification.id))
    return deadlines


def mark_change(reader: Place, marks: ReadMarks) -> Change:
    """What keeps what a user has read."""
    return Put(_READERS, key_of(*_names(reader), "marks"), marks.document())


def visit_change(reader: Place, at: float) -> Change:
    """What keeps when a user was here last."""
    return Put(_READERS, key_of(*_names(reader), "visit"), at)


def _address(notification: Notification) -> tuple[str, str]:
    collection = _WORKSPACES if notification.place.user is None else _USERS
    return collection, key_of(*_names(notification.place), notification.id)


def _names(place: Place) -> tuple[str, ...]:
    return (place.workspace,) if place.user is None else (place.workspace, place.user)


class NotificationStore:
    """Where notifications outlive the process, as far as the hub's store does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, changes: Iterable[Change]) -> None:
        """
        Make changes, all or none; a checkpoint, and durable when it returns.

        Raises:
            RequestError: `server.unavailable`; then nothing has changed. The log has the cause.
        """
        try:
            await self._store.write(changes)
        except StoreError as error:
            raise _unavailable(error, "written") from error

    async def load(self, place: Place) -> Inbox:
        """All of an inbox; a checkpoint. RequestError `server.unavailable` if it cannot be read."""
        inbox = Inbox(place)
        prefix = key_of(*_names(place), "")
        collection = _WORKSPACES if place.user is None else _USERS
        if place.user is not None:
            for key, document in await self._page(_READERS, prefix=prefix):
                if key.endswith("/marks"):
                    inbox.marks = marks_of(_READERS, key, document)
                else:
                    inbox.visited_at = visit_of(document)
        after: str | None = None
        while page := await self._page(collection, prefix=prefix, after=after):
            for key, document in page:
                if (notification := notification_of(collection, key, document)) is not None:
                    inbox.put(notification, size_of(notification))
            if len(page) < _PAGE:
                break
            after = page[-1][0]
        return inbox

    async def find_place(self, id: str) -> Place | None:
        """Whose a notification is; a checkpoint."""
        document = await self.get(_PLACES, id)
        return None if document is None else place_of(_PLACES, id, document)

    async def get(self, collection: str, key: str) -> Any:  # Any: what was put there
        """A document, or None; a checkpoint. RequestError `server.unavailable` if it cannot be read."""
        try:
            return await self._store.get(collection, key)
        except StoreError as error:
            raise _unavailable(error, "read") from error

    async def marks_of(self, workspace: str) -> AsyncGenerator[tuple[str, ReadMarks]]:
        """What each user of a workspace has read, page by page."""
        after: str | None = None
        prefix = key_of(workspace, "")
        while page := await self._page(_READERS, prefix=prefix, after=after):
            for key, document in page:
                user, _, what = key.removeprefix(prefix).partition("/")
                if what == "marks":
                    yield unquote(user), marks_of(_READERS, key, document)
            after = page[-1][0]

    async def deadlines(self) -> list[Deadline]:
        """The earliest ones; a checkpoint."""
        after: str | None = None
        while page := await self._page(_DEADLINES, after=after):
            read = (deadline_of(key, document) for key, document in page)
            if found := [deadline for deadline in read if deadline is not None]:
                return found
            after = page[-1][0]
        return []

    async def _page(self, collection: str, *, prefix: str = "", after: str | None = None) -> list[tuple[str, Any]]:
        try:
            return await self._store.read(collection, prefix=prefix, after=after, limit=_PAGE)
        except StoreError as error:
            raise _unavailable(error, "read") from error


def _unavailable(error: StoreError, action: str) -> RequestError:
    _logger.error("notifications could not be %s: %s", action, error)
    return RequestError(ErrorCode.UNAVAILABLE, f"notifications could not be {action}", retry_after=1.0)
