"""Activities in their order, the newest so many; and which of them somebody looks for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import merge

from attrs import field, frozen

from rtcore.features.activity.activity import Activity

__all__ = ["ActivityQuery", "Timeline", "search"]


def _fold(text: str | None) -> str | None:
    return None if text is None else text.casefold()


@frozen(kw_only=True)
class ActivityQuery:
    """What somebody looks for; what is None does not matter."""

    categories: frozenset[str] | None = None
    types: frozenset[str] | None = None
    actor: str | None = None
    related: str | None = None
    """An id of something that it has to do with, whatever it is called."""
    text: str | None = field(default=None, converter=_fold)
    """Part of title, actor, type or an id; upper and lower case are the same."""
    since: float | None = None
    """Not before this time, in Unix seconds."""
    until: float | None = None
    """Before this time."""
    before: int | None = None
    """With a smaller sequence number: the next page."""

    def matches(self, activity: Activity) -> bool:
        """Whether an activity is looked for."""
        return (
            (self.before is None or activity.sequence < self.before)
            and (self.categories is None or activity.category in self.categories)
            and (self.types is None or activity.type in self.types)
            and (self.actor is None or activity.actor == self.actor)
            and (self.since is None or activity.timestamp >= self.since)
            and (self.until is None or activity.timestamp < self.until)
            and (self.related is None or self.related in activity.related.values())
            and (self.text is None or self.text in activity.words)
        )


class Timeline:
    """
    Args:
        kept: Newest activities that are kept.
    """

    def __init__(self, kept: int) -> None:
        self._activities: deque[Activity] = deque(maxlen=kept)

    def __len__(self) -> int:
        return len(self._activities)

    def append(self, activity: Activity) -> None:
        """Add the newest."""
        self._activities.append(activity)

    def newest_first(self) -> Iterator[Activity]:
        """All of them."""
        return reversed(self._activities)


def search(timelines: Iterable[Timeline], query: ActivityQuery, limit: int) -> tuple[list[Activity], bool]:
    """
    The newest activities of several timelines that are looked for.

    Args:
        timelines: Where to look.
        query: What for.
        limit: Most activities.

    Returns:
        The activities, newest first, and whether there are more.
    """
    found: list[Activity] = []
    together = merge(*(timeline.newest_first() for timeline in timelines), key=lambda each: -each.sequence)
    for activity in together:
        if query.matches(activity):
            if len(found) == limit:
                return found, True
            found.append(activity)
    return found, False
