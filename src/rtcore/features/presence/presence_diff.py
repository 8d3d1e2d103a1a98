"""
What has to be told of a workspace: the difference between who is there and the list as it was told.

Only users whose connections said something are looked at. One who came and left in the meantime is no news, nor is one
who changed and changed back. Who came, who left and whose status is another goes into `presence:update`; where only a
page or an activity is another, into `presence:activity`, so that whoever wants to know who is online may leave those
out. Each record says all of its user, not what changed: applied twice, or over a newer list, it does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final

from attrs import frozen

from rtcore.features.presence.appearance import UserPresence
from rtcore.features.presence.presence_state import PresenceState
from rtcore.features.presence.roster import Roster
from rtcore.values.events import Json

__all__ = ["ACTIVITY", "UPDATE", "Change", "Part", "changes", "parts"]

UPDATE: Final = "presence:update"
ACTIVITY: Final = "presence:activity"

_LEFT_BYTES: Final = 8
"""Around a name in the list of those who left; the name itself may be 6 bytes for each of its characters."""


class _Kind(Enum):
    JOINED = "joined"
    LEFT = "left"
    CHANGED = "changed"
    ACTIVE = "users"


@frozen
class Change:
    """One user's."""

    kind: _Kind
    user: str
    presence: UserPresence | None
    """None: he left."""
    text: bytes

    def apply(self, roster: Roster) -> None:
        """It has been told."""
        if self.presence is None:
            roster.drop(self.user)
        else:
            roster.put(self.presence, self.text)


@frozen(kw_only=True)
class Part:
    """One event, and what is told with it."""

    type: str
    data: dict[str, Json]
    changes: list[Change]


def changes(users: Iterable[str], state: PresenceState, roster: Roster) -> list[Change]:
    """What is new of some users, in their order."""
    return [change for user in users if (change := _compare(user, state.find(user), roster.find(user))) is not None]


def _compare(user: str, seen: UserPresence, told: UserPresence | None) -> Change | None:
    if seen.status == "offline":
        return None if told is None else Change(_Kind.LEFT, user, None, b"")
    if told is None:
        return Change(_Kind.JOINED, user, seen, seen.text())
    if seen == told:
        return None
    same = (seen.status, seen.since) == (told.status, told.since)
    return Change(_Kind.ACTIVE if same else _Kind.CHANGED, user, seen, seen.text())


def parts(told: list[Change], total: int, maximum_bytes: int) -> Iterator[Part]:
    """
    The events that tell some changes.

    Args:
        told: The changes.
        total: Users in the list before.
        maximum_bytes: About how long the data of one event may be; one change is always in it.
    """
    for some in _split([change for change in told if change.kind is not _Kind.ACTIVE], maximum_bytes):
        lists: dict[str, list[Json]] = {"joined": [], "left": [], "changed": []}
        for change in some:
            lists[change.kind.value].append(change.user if change.presence is None else change.presence.record())
        total += len(lists["joined"]) - len(lists["left"])
        yield Part(type=UPDATE, data={**lists, "total": total}, changes=some)
    for some in _split([change for change in told if change.kind is _Kind.ACTIVE], maximum_bytes):
        records: list[Json] = [change.presence.record() for change in some if change.presence is not None]
        yield Part(type=ACTIVITY, data={"users": records}, changes=some)


def _split(told: list[Change], maximum_bytes: int) -> Iterator[list[Change]]:
    some: list[Change] = []
    size = 0
    for change in told:
        bytes = len(change.text) or 6 * len(change.user) + _LEFT_BYTES
        if some and size + bytes > maximum_bytes:
            yield some
            some, size = [], 0
        some.append(change)
        size += bytes
    if some:
        yield some
