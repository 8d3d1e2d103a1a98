"""Who is here, and when each was here last before: so that a page can show what came meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from attrs import define, field

from rtcore.features.notifications.notification import Place
from rtcore.hub.hub import Hub
from rtcore.hub.subscriber import Subscriber

__all__ = ["Visits"]


@define(eq=False)
class _Visit:
    last: float | None
    subscribers: set[Subscriber] = field(factory=set)


class Visits:
    """
    A visit begins with a user's first connection that subscribes, and ends with the last of them.

    Args:
        hub: Tells which connections have ended.
        ended: Told of each user who has gone, and when.
    """

    def __init__(self, hub: Hub, ended: Callable[[Place, float], None]) -> None:
        self._hub = hub
        self._ended = ended
        self._visits: dict[Place, _Visit] = {}

    def __len__(self) -> int:
        return len(self._visits)

    def last(self, reader: Place) -> float | None:
        """When a visitor was here last before, in Unix seconds; None: never."""
        visit = self._visits.get(reader)
        return None if visit is None else visit.last

    def begin(self, reader: Place, subscriber: Subscriber, last: float | None) -> None:
        """A connection of a user subscribes; `last` counts where he was not here yet."""
        if subscriber.over:
            return
        visit = self._visits.setdefault(reader, _Visit(last))
        if subscriber not in visit.subscribers:
            visit.subscribers.add(subscriber)
            self._hub.when_gone(subscriber, partial(self._gone, reader, subscriber))

    def _gone(self, reader: Place, subscriber: Subscriber) -> None:
        visit = self._visits[reader]
        visit.subscribers.discard(subscriber)
        if not visit.subscribers:
            del self._visits[reader]
            self._ended(reader, self._hub.clock())
