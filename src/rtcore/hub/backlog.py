"""
What waits for a subscriber that cannot take more just now.

One backlog a subscriber, over all its channels: three lanes, each in order of arrival. It leaves highest lane first. When
live events exceed the limit, the low lane loses its oldest first, and when that is empty the oldest of all goes; each loss
is noted at its cursor, exactly. Replayed events were asked for and are bounded by the request, so they do not count as lag.
A drop always takes the oldest live event of its lane, and a notice leaves before any later event of its channel: so one
range per lane names what was lost without a gap.
"""

from __future__ import annotations

from collections import deque

from rtcore.hub.cursor import Cursor, Entry, Loss, Waiting
from rtcore.values.events import Lane

__all__ = ["Backlog"]


class Backlog:
    """
    Events waiting for one subscriber, bounded in events and bytes.

    Args:
        maximum_events: Live events that may wait.
        maximum_bytes: Bytes of encoded live events that may wait; one event always may.
    """

    __slots__ = ("_by_key", "_lanes", "_sequence", "_superseded", "bytes", "events", "losers", "maximum_bytes",
                 "maximum_events", "waiting")

    def __init__(self, maximum_events: int, maximum_bytes: int) -> None:
        self.maximum_events = maximum_events
        self.maximum_bytes = maximum_bytes
        self.events = 0
        """Live events waiting."""
        self.bytes = 0
        """Bytes of the live events waiting."""
        self.waiting = 0
        """All events waiting, replayed ones included."""
        self.losers: dict[Cursor, None] = {}
        """Cursors with a loss that their client was not told of yet."""
        self._lanes: tuple[deque[Waiting], deque[Waiting], deque[Waiting]] = (deque(), deque(), deque())
        self._by_key: dict[tuple[Cursor, Lane, str], Waiting] = {}
        self._sequence = 0
        self._superseded = 0

    def __bool__(self) -> bool:
        return self.waiting > 0 or bool(self.losers)

    @property
    def full(self) -> bool:
        """Whether one more live event would push another out."""
        return self.events >= self.maximum_events or self.bytes >= self.maximum_bytes

    def append(self, cursor: Cursor, entry: Entry, *, replayed: bool = False, conflate: bool = False) -> None:
        """Let an event wait; `shrink` afterwards keeps the bounds."""
        self._sequence += 1
        event = entry.event
        waiting = Waiting(cursor, entry, replayed, self._sequence)
        if conflate and event.key is not None:
            self._supersede(waiting, (cursor, event.lane, event.key))
        self._lanes[event.lane].append(waiting)
        cursor.owed[event.lane].append(waiting)
        self._count(waiting, 1)

    def shrink(self) -> int:
        """Drop until the bounds hold; returns how many events were dropped, each noted at its cursor."""
        dropped = 0
        while self.events > self.maximum_events or (self.bytes > self.maximum_bytes and self.events > 1):
            victim = self._oldest_live(self._lanes[Lane.LOW]) or min(
                filter(None, map(self._oldest_live, self._lanes)), key=lambda waiting: waiting.sequence
            )
            self._remove(victim)
            loss = victim.cursor.loss
            if loss is None:
                loss = victim.cursor.loss = Loss()
                self.losers[victim.cursor] = None
            loss.add(victim)
            dropped += 1
        return dropped

    def take(self) -> Waiting | None:
        """Remove and return what leaves next: the oldest of the highest lane; None when nothing waits."""
        for lane in self._lanes:
            while lane:
                waiting = lane.popleft()
                if not waiting.gone:
                    self._forget(waiting)
                    return waiting
        return None

    def peek(self) -> Waiting | None:
        """What `take` would return, left where it is."""
        for lane in self._lanes:
            while lane and lane[0].gone:
                lane.popleft()
            if lane:
                return lane[0]
        return None

    def discard(self, cursor: Cursor) -> None:
        """Forget what waits for a cursor that is leaving."""
        for lane in cursor.owed:
            for waiting in lane:
                if not waiting.gone:
                    waiting.gone = True
                    self._count(waiting, -1)
                    self._forget_key(waiting)
            lane.clear()
        self.losers.pop(cursor, None)
        self._compact()

    def _supersede(self, newer: Waiting, key: tuple[Cursor, Lane, str]) -> None:
        older = self._by_key.get(key)
        if older is not None and not older.replayed:
            # Only within a lane: the newer one stands where the older one was owed, so no position is ever ahead.
            newer.conflated = older.conflated + 1
            older.gone = True
            self._count(older, -1)
            self._superseded += 1
        self._by_key[key] = newer
        if self._superseded > 64 + self.waiting:  # else a hot key would leave one dead entry an event
            self._compact()

    def _compact(self) -> None:
        for queue in self._lanes:
            cursors = {waiting.cursor for waiting in queue if waiting.gone}
            for lane in [queue, *(owed for cursor in cursors for owed in cursor.owed)]:
                kept = [waiting for waiting in lane if not waiting.gone]
                lane.clear()
                lane.extend(kept)
        self._superseded = 0

    @staticmethod
    def _oldest_live(lane: deque[Waiting]) -> Waiting | None:
        return next((waiting for waiting in lane if not (waiting.gone or waiting.replayed)), None)

    def _remove(self, waiting: Waiting) -> None:
        self._lanes[waiting.event.lane].remove(waiting)
        self._forget(waiting)

    def _forget(self, waiting: Waiting) -> None:
        owed = waiting.cursor.owed[waiting.event.lane]
        while owed and owed[0].gone:
            owed.popleft()
        if owed and owed[0] is waiting:
            owed.popleft()
        else:
            owed.remove(waiting)
        self._count(waiting, -1)
        self._forget_key(waiting)

    def _forget_key(self, waiting: Waiting) -> None:
        event = waiting.event
        if event.key is not None and self._by_key.get((waiting.cursor, event.lane, event.key)) is waiting:
            del self._by_key[(waiting.cursor, event.lane, event.key)]

    def _count(self, waiting: Waiting, sign: int) -> None:
        self.waiting += sign
        if not waiting.replayed:
            self.events += sign
            self.bytes += sign * len(waiting.event.body)
