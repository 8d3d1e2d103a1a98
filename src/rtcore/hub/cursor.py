"""
A cursor: one subscriber's place in a view, and all that a subscription costs.

Subscribers that keep up all stand where the view does: in step with it, a cursor has not even a number of its own. One
that was set back has one. Once its connection takes no more, the events that wait for it stand in its backlog, lane by
lane; then the cursor knows per lane what it owes, and its position says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from attrs import Factory, define, field

from rtcore.hub.entry import Entry
from rtcore.hub.results import Batch, Range
from rtcore.values.channels import Overflow
from rtcore.values.events import Event, Lane
from rtcore.values.positions import Position

if TYPE_CHECKING:  # a cursor joins the two, so each side names it
    from rtcore.hub.subscriber import Subscriber
    from rtcore.hub.view import View

__all__ = ["Cursor", "Lanes", "Loss", "Waiting", "new_lanes"]

_TYPES_NAMED = 50  # kinds that one notice names; a publisher of ever new types must not make it grow without end


@define(eq=False)
class Waiting:
    """An event in a subscriber's backlog."""

    cursor: Cursor
    entry: Entry
    replayed: bool
    """Asked for as part of the past: outside the limits of live lag."""
    sequence: int
    """Order of arrival in the backlog, across channels."""
    owed_from: int
    """The oldest offset that is settled only with this event: its own, or that of the first it stands for."""
    conflated: int = 0
    """Older events of the same key that this one stands for."""
    gone: bool = False
    """It waits no more: taken, dropped, or a newer event of the same key took its place."""

    @property
    def event(self) -> Event:
        """The event itself."""
        return self.entry.event


@define(eq=False)
class Loss:
    """What was dropped since the last notice: exact, whatever its size."""

    ranges: dict[Lane, tuple[int, int, int]] = Factory(dict)
    """First offset, last offset and count per lane."""
    types: dict[str, int] = Factory(dict)
    conflated: int = 0
    """Events that a dropped one stood for."""

    def add(self, waiting: Waiting) -> None:
        """Take note of a dropped event."""
        event = waiting.event
        first, last, count = self.ranges.get(event.lane, (event.offset, event.offset, 0))
        self.ranges[event.lane] = (min(first, event.offset), max(last, event.offset), count + 1)
        name = event.type if event.type in self.types or len(self.types) < _TYPES_NAMED else "other"
        self.types[name] = self.types.get(name, 0) + 1
        self.conflated += waiting.conflated

    @property
    def count(self) -> int:
        """Events dropped."""
        return sum(count for _, _, count in self.ranges.values())

    def until(self, offset: int, again: Iterable[Event] | None) -> Loss | None:
        """
        What of it lies up to an offset; all of it where that cannot be told exactly, and None where nothing is left.

        Args:
            offset: The last one that counts.
            again: What of it lies beyond, among other events that may not be part of it; None: that is not known.
        """
        if all(first > offset for first, _, _ in self.ranges.values()):
            return None
        if again is None:
            return self
        ranges, types = dict(self.ranges), dict(self.types)
        for event in again:
            first, last, count = ranges.get(event.lane, (0, -1, 0))
            if first <= event.offset <= last:
                name = event.type if event.type in types else "other"
                ranges[event.lane], types[name] = (first, last, count - 1), types.get(name, 0) - 1
        beyond = sum(count for first, _, count in ranges.values() if first > offset)
        kept = {lane: (first, min(last, offset), n) for lane, (first, last, n) in ranges.items() if first <= offset}
        if beyond or min(types.values()) < 0 or any(count < 1 for _, _, count in kept.values()):
            return self
        return Loss(kept, {name: count for name, count in types.items() if count}, self.conflated)

    def exact_ranges(self) -> list[tuple[Range, int]]:
        """Each lane's range with its count, highest lane first."""
        return [(Range(lane=lane, first=a, last=b), n) for lane, (a, b, n) in sorted(self.ranges.items())]


Lanes = tuple[deque[Waiting], deque[Waiting], deque[Waiting]]
"""Events waiting, by lane: high, normal, low."""


def new_lanes() -> Lanes:
    """Three empty lanes, 2 KiB: made when something first waits, since most subscribers keep up for ever."""
    return deque(), deque(), deque()


@define(eq=False)
class Cursor:
    """A place in a view."""

    subscriber: Subscriber
    view: View
    _next: int
    place: int = field(default=-1, init=False)
    """Its place in the view's group of those in step; -1 while it is not among them."""
    replay_until: int = 0
    """Entries below this index were asked for as part of the past."""
    overflow: Overflow = Overflow.DROP_OLDEST
    batch: Batch | None = None
    acknowledged: Position | None = None
    """The last position that the client said it has dealt with."""
    loss: Loss | None = None
    owed: Lanes | None = field(default=None, init=False)
    """What waits in the subscriber's backlog for this cursor, by lane; None while nothing ever did."""

    @property
    def next(self) -> int:
        """Index of the first entry of the view not yet taken; settable while it is not in step."""
        return self.view.flushed if self.place >= 0 else self._next

    @next.setter
    def next(self, index: int) -> None:
        assert self.place < 0, "whoever is in step stands where the view does"
        self._next = index

    @property
    def channel(self) -> str:
        """Name of the channel."""
        return self.view.channel_name

    @property
    def behind(self) -> bool:
        """Whether something of this cursor stands in the backlog."""
        return any(True for _ in self.waiting())

    @property
    def caught_up(self) -> bool:
        """Whether nothing of what was published up to now is still to come."""
        return self.next >= self.view.head and not self.behind

    def waiting(self) -> Iterator[Waiting]:
        """What stands in the backlog for it, lane by lane."""
        return (waiting for lane in self.owed or () for waiting in lane if not waiting.gone)

    def owe(self, waiting: Waiting) -> None:
        """Take note of an event that was put into the backlog for it."""
        if self.owed is None:
            self.owed = new_lanes()
        self.owed[waiting.event.lane].append(waiting)

    def inherit(self, former: Cursor) -> None:
        """Take over what an earlier cursor of the same channel leaves: a loss not told of yet stays owed."""
        self.acknowledged = former.acknowledged
        if former.loss is not None:
            self.loss = former.loss
            self.subscriber.backlog.losers[self] = None

    @property
    def position(self) -> Position:
        """What is settled: delivered, left out by the filter, or named as dropped."""
        settled = self.view.offset_before(self.next)
        if self.owed is None:
            return Position.at(self.view.log.epoch, settled)
        high, normal, low = (self._settled(lane, settled) for lane in self.owed)
        return Position(self.view.log.epoch, high, normal, low)

    def _settled(self, lane: deque[Waiting], settled: int) -> int:
        while lane and lane[0].gone:
            lane.popleft()
        if not lane:
            return settled
        if self.overflow is Overflow.CONFLATE:  # a newer event may stand for one older than the first of the lane
            return min(waiting.owed_from for waiting in lane if not waiting.gone) - 1
        return lane[0].owed_from - 1
