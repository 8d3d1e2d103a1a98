"""
What waits for a subscriber that cannot take more just now.

One backlog a subscriber, over all its channels: three lanes, each in order of arrival. It leaves highest lane first.
When
live events exceed the limit, the low lane loses its oldest first, and when that is empty the oldest of all goes; each
loss
is noted at its cursor, exactly. Replayed events were asked for and are bounded by the request, so they do not count
as lag.
A drop always takes the oldest live event of its lane, and a notice leaves before any later event of its channel: so one
range per lane names what was lost without a gap.
"""

from __future__ import annotations

from collections import deque

from attrs import evolve

from rtcore.hub.cursor import Cursor, Lanes, Loss, Waiting, new_lanes
from rtcore.hub.entry import Entry
from rtcore.values.channels import Overflow
from rtcore.values.events import Lane

__all__ = ["Backlog"]


class Backlog:
    """
    Events waiting for one subscriber, bounded in events and bytes.

    Args:
        maximum_events: Live events that may wait.
        maximum_bytes: Bytes of encoded live events that may wait; one event always may.
    """

    __slots__ = (
        "_by_key",
        "_dead",
        "_lanes",
        "_sequence",
        "bytes",
        "events",
        "losers",
        "maximum_bytes",
        "maximum_events",
        "waiting",
    )

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
        self._lanes: Lanes | tuple[()] = ()
        self._by_key: dict[tuple[Cursor, Lane, str], Waiting] = {}
        self._sequence = 0
        self._dead = 0

    def __bool__(self) -> bool:
        return self.waiting > 0 or bool(self.losers)

    @property
    def full(self) -> bool:
        """Whether one more live event would push another out."""
        return self.events >= self.maximum_events or self.bytes >= self.maximum_bytes

    @property
    def over(self) -> bool:
        """Whether more live events wait than may: so much is left where `shrink` may not drop."""
        return self.events > self.maximum_events or (self.bytes > self.maximum_bytes and self.events > 1)

    def append(self, cursor: Cursor, entry: Entry, *, replayed: bool = False) -> None:
        """
        Let an event wait; `shrink` afterwards keeps the bounds.

        Args:
            cursor: Whose it is.
            entry: The event.
            replayed: It was asked for as part of the past: outside the limits, and nothing takes its place.
        """
        self._sequence += 1
        event = entry.event
        self._add(Waiting(cursor, entry, replayed, self._sequence, event.offset))

    def carry(self, waiting: Waiting, cursor: Cursor) -> None:
        """Let what waited for a former cursor wait for its successor, last in line."""
        self._sequence += 1
        self._add(evolve(waiting, cursor=cursor, sequence=self._sequence, gone=False))

    def _add(self, waiting: Waiting) -> None:
        cursor, event = waiting.cursor, waiting.event
        if event.key is not None and cursor.overflow is Overflow.CONFLATE and not waiting.replayed:
            self._supersede(waiting, (cursor, event.lane, event.key))
        lanes = self._lanes = self._lanes or new_lanes()
        lanes[event.lane].append(waiting)
        cursor.owe(waiting)
        self._count(waiting, 1)
        if self._dead > 64 + self.waiting:
            self._compact()

    def shrink(self) -> int:
        """
        Drop until the bounds hold; returns how many events were dropped, each noted at its cursor.

        It stops at an event whose channel would rather lose the subscriber than the event.
        """
        dropped = 0
        if not self._lanes:
            return dropped
        while self.over:
            victim = self._oldest_live(self._lanes[Lane.LOW]) or min(
                filter(None, map(self._oldest_live, self._lanes)), key=lambda waiting: waiting.sequence
            )
            if victim.cursor.overflow is Overflow.DISCONNECT:
                break
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
                    self._settle(waiting)
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
        for waiting in list(cursor.waiting()):
            self._settle(waiting)
        cursor.owed = None
        self.losers.pop(cursor, None)
        self._compact()

    def _supersede(self, newer: Waiting, key: tuple[Cursor, Lane, str]) -> None:
        older = self._by_key.get(key)
        if older is not None:
            # Only within a lane: what the newer one stands for is owed there until it is settled.
            newer.conflated += older.conflated + 1
            newer.owed_from = older.owed_from
            older.gone = True
            self._count(older, -1)
            self._dead += 1
        self._by_key[key] = newer

    @staticmethod
    def _oldest_live(lane: deque[Waiting]) -> Waiting | None:
        return next((waiting for waiting in lane if not (waiting.gone or waiting.replayed)), None)

    def _remove(self, waiting: Waiting) -> None:
        self._lanes[waiting.event.lane].remove(waiting)
        self._dead += 1
        self._settle(waiting)

    def _settle(self, waiting: Waiting) -> None:
        waiting.gone = True
        self._count(waiting, -1)
        self._forget_key(waiting)

    def _forget_key(self, waiting: Waiting) -> None:
        event = waiting.event
        if event.key is not None and self._by_key.get((waiting.cursor, event.lane, event.key)) is waiting:
            del self._by_key[(waiting.cursor, event.lane, event.key)]

    def _compact(self) -> None:
        """Take out the dead: a hot key, or drops behind a long replay, would otherwise leave one an event."""
        cursors = {waiting.cursor for queue in self._lanes for waiting in queue}
        for queue in self._lanes:
            _keep(queue, [waiting for waiting in queue if not waiting.gone])
        for owed in (owed for cursor in cursors for owed in cursor.owed or ()):
            _keep(owed, [waiting for waiting in owed if not waiting.gone])
        self._dead = 0

    def _count(self, waiting: Waiting, sign: int) -> None:
        self.waiting += sign
        if not waiting.replayed:
            self.events += sign
            self.bytes += sign * len(waiting.event.body)


def _keep(queue: deque[Waiting], kept: list[Waiting]) -> None:
    queue.clear()
    queue.extend(kept)
