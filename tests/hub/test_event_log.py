"""The event log: what it keeps, and whether it still reaches back to what is asked of it."""

from __future__ import annotations

import pytest

from rtcore.hub.event_log import EventLog, Retention, Start
from rtcore.values.events import Event, Lane
from rtcore.values.positions import (
    FromOffset,
    FromPosition,
    FromTimestamp,
    LastEvents,
    Position,
    Since,
    WithinSeconds,
)


def filled(count: int, *, events: int = 100, seconds: float = 1000.0, bytes: int = 10_000, size: int = 10) -> EventLog:
    """A log with events 1 to `count`, one a second, the first at 1.0."""
    log = EventLog(Retention(events=events, seconds=seconds, bytes=bytes))
    for offset in range(1, count + 1):
        add(log, float(offset), size)
    return log


def add(log: EventLog, timestamp: float, size: int = 10) -> None:
    log.append(
        Event(
            channel="c",
            type="t",
            data=None,
            timestamp=timestamp,
            offset=log.newest + 1,
            epoch=log.epoch,
            lane=Lane.NORMAL,
            body=b"x" * size,
        )
    )


def held(log: EventLog) -> list[int]:
    return [event.offset for event in log.events(0, log.newest + 10)]


@pytest.mark.parametrize(
    ("log", "kept"),
    [
        pytest.param(filled(10, events=3), [8, 9, 10], id="events"),
        pytest.param(filled(10, bytes=35), [8, 9, 10], id="bytes"),
        pytest.param(filled(10, seconds=2.0), [8, 9, 10], id="age"),
        pytest.param(filled(10, events=3, bytes=20, seconds=5.0), [9, 10], id="the-tightest-of-three"),
        pytest.param(filled(10, events=0), [], id="nothing"),
        pytest.param(filled(10, bytes=5), [], id="an-event-larger-than-all-history"),
    ],
)
def test_each_bound_forgets_the_oldest_first_and_recovery_says_so(log: EventLog, kept: list[int]) -> None:
    """A client may skip its reload only if `recovered` is true, so one event too few must make it false."""
    assert held(log) == kept
    assert (log.newest, log.oldest) == (10, kept[0] if kept else 11)
    assert (len(log), log.bytes) == (len(kept), 10 * len(kept))
    assert log.locate(FromOffset(log.oldest), 10.0).recovered
    assert not log.locate(FromOffset(log.oldest - 1), 10.0).recovered
    assert log.locate(FromPosition(Position.at(log.epoch, log.oldest - 1)), 10.0).recovered
    assert not log.locate(FromPosition(Position.at(log.epoch, log.oldest - 2)), 10.0).recovered


def test_events_grow_too_old_without_a_new_one() -> None:
    """A quiet channel must not hand out what its retention has given up."""
    log = filled(5, seconds=10.0)
    log.expire(13.0)
    assert held(log) == [3, 4, 5]
    log.expire(100.0)
    assert held(log) == []
    assert log.last_timestamp == 5.0, "time must not go back after all is forgotten"
    assert log.newest == 5


def test_an_offset_that_does_not_follow_is_refused() -> None:
    log = filled(2)
    with pytest.raises(ValueError, match="offset 2 does not follow 2"):
        log.append(Event(channel="c", type="t", data=None, timestamp=3.0, offset=2))
    assert held(log) == [1, 2]


@pytest.mark.parametrize(
    ("since", "offset", "recovered"),
    [
        pytest.param(FromOffset(7), 7, True, id="offset-held"),
        pytest.param(FromOffset(6), 6, True, id="offset-oldest"),
        pytest.param(FromOffset(5), 6, False, id="offset-forgotten"),
        pytest.param(FromOffset(0), 6, False, id="offset-0"),
        pytest.param(FromOffset(11), 11, True, id="offset-next"),
        pytest.param(FromOffset(12), 11, False, id="offset-beyond"),
        pytest.param(FromTimestamp(6.0), 6, True, id="time-of-the-oldest"),
        pytest.param(FromTimestamp(5.5), 6, True, id="time-between"),
        pytest.param(FromTimestamp(5.0), 6, False, id="time-of-the-newest-forgotten"),
        pytest.param(FromTimestamp(8.5), 9, True, id="time-inside"),
        pytest.param(FromTimestamp(99.0), 11, True, id="time-to-come"),
        pytest.param(WithinSeconds(2.0), 8, True, id="seconds-border-included"),
        pytest.param(WithinSeconds(5.0), 6, False, id="seconds-border-forgotten"),
        pytest.param(LastEvents(2), 6, True, id="last-begins-with-all-and-is-cut-after-the-filter"),
    ],
)
def test_places_in_a_log_that_holds_6_to_10(since: Since, offset: int, recovered: bool) -> None:
    log = filled(10, events=5)
    start = log.locate(since, 10.0)
    assert (start.offset, start.recovered) == (offset, recovered)
    assert start.last == (2 if isinstance(since, LastEvents) else None)


def test_offset_0_means_from_the_beginning() -> None:
    assert filled(3).locate(FromOffset(0), 3.0) == Start(offset=1, recovered=True)
    assert filled(0).locate(FromOffset(0), 3.0) == Start(offset=1, recovered=True)


def test_a_position_of_another_epoch_or_of_the_future_gets_all_and_is_told() -> None:
    """After a restart the numbers begin again: an old position that happens to be in range means nothing."""
    log = filled(10, events=5)
    everything = Start(offset=6, recovered=False)
    assert log.locate(FromPosition(Position.at("other", 8)), 10.0) == everything
    assert log.locate(FromPosition(Position.at(log.epoch, 11)), 10.0) == everything
    assert log.locate(FromPosition(Position(log.epoch, 11, 8, 8)), 10.0) == everything, "one lane is enough"


def test_a_position_is_met_from_its_oldest_debt_on() -> None:
    """Who was overtaken has had some of what follows; the start carries the position so that it is not sent twice."""
    log = filled(10, events=5)
    overtaken = Position(log.epoch, 9, 7, 10)
    assert log.locate(FromPosition(overtaken), 10.0) == Start(offset=8, recovered=True, settled=overtaken)
    newest = Position.at(log.epoch, 10)
    assert log.locate(FromPosition(newest), 10.0) == Start(offset=11, recovered=True, settled=newest)


def test_slices_of_the_log_are_clamped_to_what_is_held() -> None:
    log = filled(10, events=5)
    assert [event.offset for event in log.events(2, 8)] == [6, 7]
    assert log.events(11, 20) == []
    assert log.events(8, 3) == []
