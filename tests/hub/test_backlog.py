"""The backlog: what leaves first, what goes when there is no room, and what is said of it."""

from __future__ import annotations

from rtcore.hub.backlog import Backlog
from rtcore.hub.counters import Counters
from rtcore.hub.cursor import Cursor
from rtcore.hub.entry import Entry
from rtcore.hub.event_log import EventLog, Retention
from rtcore.hub.filters import MATCH_ALL
from rtcore.hub.results import Range
from rtcore.hub.subscriber import Subscriber
from rtcore.hub.view import View
from rtcore.values.channels import Overflow
from rtcore.values.events import Event, Lane

HIGH, NORMAL, LOW = Lane.HIGH, Lane.NORMAL, Lane.LOW


class Silent(Subscriber):
    """Owns the backlog, takes nothing."""

    def flush(self) -> None:
        raise AssertionError("not asked here")

    def overflowed(self) -> None:
        raise AssertionError("not asked here")


class Lagging:
    """One channel of a subscriber that takes nothing: every event goes to its backlog."""

    def __init__(self, *, events: int = 100, bytes: int = 10_000, overflow: Overflow = Overflow.DROP_OLDEST) -> None:
        self.backlog = Backlog(events, bytes)
        subscriber = Silent(None, Counters(), lag_events=events, lag_bytes=bytes, clock=lambda: 0.0)
        self.log = EventLog(Retention(events=10, seconds=1000.0, bytes=1_000_000))
        self.view = View("c", self.log, MATCH_ALL, None, None, lambda: 0.0)
        self.cursor = Cursor(subscriber, self.view, next=0, overflow=overflow)

    def add(
        self, lane: Lane = NORMAL, *, key: str | None = None, size: int = 10, type: str = "t", replayed: bool = False
    ) -> int:
        """Publish one event into the backlog; returns how many had to go."""
        offset = self.log.newest + 1
        event = Event(
            channel="c", type=type, data=None, timestamp=1.0, offset=offset, lane=lane, key=key, body=b"x" * size
        )
        entry = self.log.append(event)
        self.view.append(entry)
        self.backlog.append(self.cursor, entry, replayed=replayed)
        self.cursor.next = self.view.head
        return self.backlog.shrink()

    def taken(self) -> list[int]:
        offsets = []
        while (waiting := self.backlog.take()) is not None:
            offsets.append(waiting.event.offset)
        return offsets

    def lost(self) -> list[tuple[Range, int]]:
        loss = self.cursor.loss
        return [] if loss is None else loss.exact_ranges()

    def held(self) -> int:
        """Entries in all queues, the dead included."""
        return sum(map(len, (*self.backlog._lanes, *(self.cursor.owed or ()))))


def spans(*wanted: tuple[Lane, int, int, int]) -> list[tuple[Range, int]]:
    return [(Range(lane=lane, first=first, last=last), count) for lane, first, last, count in wanted]


def test_the_highest_lane_leaves_first_and_each_in_its_order() -> None:
    lagging = Lagging()
    for lane in (LOW, NORMAL, HIGH, LOW, HIGH, NORMAL):
        lagging.add(lane)
    peeked = lagging.backlog.peek()
    assert peeked is not None
    assert peeked.event.offset == 3
    assert lagging.taken() == [3, 5, 2, 6, 1, 4]
    assert lagging.backlog.peek() is None
    assert not lagging.backlog
    assert (lagging.backlog.events, lagging.backlog.bytes, lagging.backlog.waiting) == (0, 0, 0)


def test_the_low_lane_is_dropped_first_and_then_the_oldest_of_all() -> None:
    """Output of a tool may go before a task's progress does, even where it is newer; a failure only by its age."""
    lagging = Lagging(events=4)
    for lane in (HIGH, NORMAL, LOW, LOW):
        assert lagging.add(lane) == 0
    assert [lagging.add(NORMAL) for _ in range(4)] == [1, 1, 1, 1]
    assert lagging.lost() == spans((HIGH, 1, 1, 1), (NORMAL, 2, 2, 1), (LOW, 3, 4, 2))
    assert lagging.taken() == [5, 6, 7, 8]


def test_what_was_asked_for_is_never_dropped() -> None:
    """A replay is bounded by its request; a live event that finds no room beside it goes by its own limit."""
    lagging = Lagging(events=2)
    for _ in range(5):
        assert lagging.add(LOW, replayed=True) == 0
    assert lagging.backlog.events == 0
    for _ in range(3):
        lagging.add(LOW)
    assert lagging.lost() == spans((LOW, 6, 6, 1))
    assert lagging.backlog.waiting == 7
    assert lagging.taken() == [1, 2, 3, 4, 5, 7, 8]


def test_one_oversized_event_may_wait_alone() -> None:
    """Otherwise an event larger than the limit could never reach a slow subscriber."""
    lagging = Lagging(bytes=100)
    assert lagging.add(size=500) == 0
    assert lagging.backlog.full
    assert lagging.add(size=10) == 1
    assert lagging.lost() == spans((NORMAL, 1, 1, 1))
    assert lagging.backlog.bytes == 10
    assert lagging.add(size=500) == 1
    assert lagging.taken() == [3]


def test_bytes_are_kept_to_the_limit() -> None:
    lagging = Lagging(bytes=100)
    assert [lagging.add(size=40) for _ in range(3)] == [0, 0, 1]
    assert lagging.backlog.bytes == 80
    assert lagging.add(size=90) == 2
    assert lagging.taken() == [4]


def test_a_loss_names_count_and_types_exactly_until_it_is_told() -> None:
    lagging = Lagging(events=1)
    for number in range(6):
        lagging.add(type=f"t{number % 2}")
    loss = lagging.cursor.loss
    assert loss is not None
    assert (loss.count, loss.types, loss.conflated) == (5, {"t0": 3, "t1": 2}, 0)
    assert list(lagging.backlog.losers) == [lagging.cursor]
    lagging.taken()
    assert lagging.backlog, "a loss that was not told of is still to be had"


def test_a_loss_names_only_so_many_types() -> None:
    """A publisher of ever new types must not make a notice grow without end; the count stays exact."""
    lagging = Lagging(events=1)
    for number in range(101):
        lagging.add(type=f"t{number}")
    loss = lagging.cursor.loss
    assert loss is not None
    assert (loss.count, len(loss.types), loss.types["other"]) == (100, 51, 50)


def test_a_leaving_cursor_takes_all_along_and_leaves_the_other_alone() -> None:
    lagging = Lagging(events=3)
    other = Cursor(lagging.cursor.subscriber, lagging.view, next=0)
    lagging.add(key="k")
    event = Event(channel="c", type="t", data=None, timestamp=1.0, offset=1, body=b"x")
    lagging.backlog.append(other, Entry(event))
    for _ in range(2):
        lagging.add()
    lagging.backlog.discard(lagging.cursor)
    assert lagging.backlog.losers == {}
    assert not lagging.cursor.behind
    assert (lagging.backlog.events, lagging.backlog.bytes, lagging.backlog.waiting) == (1, 1, 1)
    assert lagging.taken() == [1]
    assert not lagging.backlog


def test_the_newest_of_a_key_stands_for_the_older_ones_of_its_lane() -> None:
    """Across lanes nothing may be merged: the position owes each lane its own."""
    lagging = Lagging(overflow=Overflow.CONFLATE)
    for lane, key in ((NORMAL, "a"), (NORMAL, "b"), (LOW, "a"), (NORMAL, "a"), (NORMAL, None), (NORMAL, "a")):
        lagging.add(lane, key=key)
    assert lagging.backlog.events == 4
    waiting = []
    while (each := lagging.backlog.take()) is not None:
        waiting.append((each.event.offset, each.conflated, each.owed_from))
    assert waiting == [(2, 0, 2), (5, 0, 5), (6, 2, 1), (3, 0, 3)]


def test_keys_mean_nothing_where_the_channel_does_not_conflate() -> None:
    lagging = Lagging()
    for _ in range(3):
        lagging.add(key="a")
    assert lagging.taken() == [1, 2, 3]


def test_a_replayed_event_keeps_its_place_beside_a_newer_one_of_its_key() -> None:
    """The past was asked for event by event."""
    lagging = Lagging(overflow=Overflow.CONFLATE)
    lagging.add(key="a", replayed=True)
    lagging.add(key="a")
    lagging.add(key="a")
    assert lagging.taken() == [1, 3]


def test_an_event_that_was_taken_is_not_stood_for() -> None:
    lagging = Lagging(overflow=Overflow.CONFLATE)
    lagging.add(key="a")
    lagging.taken()
    lagging.add(key="a")
    waiting = lagging.backlog.take()
    assert waiting is not None
    assert (waiting.conflated, waiting.owed_from) == (0, 2)


def test_a_dropped_event_names_those_it_stood_for() -> None:
    lagging = Lagging(events=2, overflow=Overflow.CONFLATE)
    for key in ("a", "a", "a", "b", "c"):
        lagging.add(key=key)
    loss = lagging.cursor.loss
    assert loss is not None
    assert (loss.exact_ranges(), loss.conflated) == (spans((NORMAL, 3, 3, 1)), 2)
    lagging.add(key="a")
    assert lagging.taken() == [5, 6], "a key whose event was dropped begins anew"


def test_a_hot_key_does_not_grow_the_queues() -> None:
    """100,000 updates of one counter while nobody reads: one event waits, and hardly more is held."""
    lagging = Lagging(overflow=Overflow.CONFLATE)
    lagging.add(key="cold")
    for _ in range(100_000):
        lagging.add(key="hot")
    assert lagging.backlog.waiting == 2
    assert lagging.held() < 300
    assert lagging.taken() == [1, 100_001]
    assert lagging.cursor.position.offset == 100_001


def test_drops_behind_a_replay_do_not_grow_the_queues() -> None:
    lagging = Lagging(events=5)
    for _ in range(10):
        lagging.add(replayed=True)
    for _ in range(10_000):
        lagging.add()
    assert lagging.backlog.waiting == 15
    assert lagging.held() < 300
    loss = lagging.cursor.loss
    assert loss is not None
    assert loss.count == 9_995


def test_event_that_may_not_be_lost_stays_and_says_so() -> None:
    """The caller disconnects: see `Subscriber`."""
    lagging = Lagging(events=2, overflow=Overflow.DISCONNECT)
    assert [lagging.add() for _ in range(4)] == [0, 0, 0, 0]
    assert (lagging.backlog.over, lagging.backlog.events) == (True, 4)
    assert lagging.lost() == []
