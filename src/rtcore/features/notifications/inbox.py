"""
The notifications of one user, or those to one workspace, in the order of sending; and what a user has read.

No clock and no store: times are arguments, and what is in an inbox has been written before.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from attrs import define, field

from rtcore.features.notifications.notification import Notification, Place
from rtcore.features.notifications.read_marks import ReadMarks

__all__ = ["Inbox", "unread_in"]


@define(eq=False)
class Inbox:
    """
    Args:
        place: Whose.
        marks: What was read, where it is a user's.
        visited_at: When this user was here last, in Unix seconds; None: never.
    """

    place: Place
    marks: ReadMarks = field(factory=ReadMarks)
    visited_at: float | None = None
    bytes: int = field(default=0, init=False)
    """Bytes of its notifications as JSON."""
    _kept: dict[str, tuple[Notification, int]] = field(factory=dict, init=False)
    _order: list[str] = field(factory=list, init=False)
    _keys: dict[str, str] = field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, id: object) -> bool:
        return id in self._kept

    def __iter__(self) -> Iterator[Notification]:
        """All, the oldest first."""
        return (self._kept[id][0] for id in self._order)

    def find(self, id: str) -> Notification | None:
        """One of them."""
        entry = self._kept.get(id)
        return None if entry is None else entry[0]

    def with_key(self, key: str) -> Notification | None:
        """The one of a key."""
        id = self._keys.get(key)
        return None if id is None else self._kept[id][0]

    def put(self, notification: Notification, size: int) -> None:
        """Keep it, in the place of the one of the same id; `size` is that of its JSON, in bytes."""
        id = notification.id
        known = self._kept.get(id)
        if known is None:
            insort(self._order, id)
        self.bytes += size - (0 if known is None else known[1])
        self._kept[id] = (notification, size)
        if notification.key is not None:
            self._keys[notification.key] = id

    def remove(self, id: str) -> None:
        """Forget one; idempotent."""
        entry = self._kept.pop(id, None)
        if entry is None:
            return
        notification, size = entry
        self.bytes -= size
        del self._order[bisect_left(self._order, id)]
        if notification.key is not None and self._keys.get(notification.key) == id:
            del self._keys[notification.key]

    def too_many(self, most: int, *, coming: int = 0) -> list[Notification]:
        """
        Those that must go so that no more than `most` are kept when so many have come: the oldest, but what is to go to
        somebody else while nobody reads it stays as long as there is another.
        """
        number = max(0, len(self._order) + coming - most)
        if not number:
            return []
        by_need = sorted(self._order, key=lambda id: self._is_needed(self._kept[id][0]))
        return [self._kept[id][0] for id in by_need[:number]]

    def _is_needed(self, notification: Notification) -> bool:
        waits = len(notification.copies) < len(notification.steps) or notification.origin is not None
        return waits and not self.marks.is_read(notification.id)

    def after(self, id: str) -> Iterator[Notification]:
        """Those that were sent after one, the oldest first."""
        return (self._kept[each][0] for each in self._order[bisect_right(self._order, id) :])

    def newest_first(self, before: str | None = None) -> Iterator[Notification]:
        """All, or those that were sent before one, the newest first."""
        end = len(self._order) if before is None else bisect_left(self._order, before)
        return (self._kept[each][0] for each in reversed(self._order[:end]))

    def newest_up_to(self, id: str) -> str:
        """The id of the one sent last that is not after this one; empty where there is none."""
        end = bisect_right(self._order, id)
        return self._order[end - 1] if end else ""


def unread_in(inbox: Inbox, marks: ReadMarks, now: float) -> list[Notification]:
    """What a reader has not read of an inbox, the newest first; without what is over by now."""
    unread = [each for each in inbox.after(marks.position) if each.ends_at > now and not marks.is_read(each.id)]
    return unread[::-1]
