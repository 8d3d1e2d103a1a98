"""Pages of the past: what is in them, where they end, and what they say is gone."""

from __future__ import annotations

from typing import Any

import pytest

from rtcore.hub.event_log import EventLog, Retention
from rtcore.hub.filters import MATCH_ALL, compile_filter
from rtcore.hub.replay import read_history
from rtcore.hub.results import HistoryPage, Range
from rtcore.values.events import Event, Lane
from rtcore.values.limits import Limits
from rtcore.values.positions import FromOffset, FromPosition, LastEvents, Position

LANES = (Lane.HIGH, Lane.NORMAL, Lane.LOW)


def filled(held: int = 10) -> EventLog:
    """Events 1 to 10, 10 bytes each, lanes low, high, normal in turns, of which the newest `held` are left."""
    log = EventLog(Retention(events=held, seconds=1000.0, bytes=10_000))
    for offset in range(1, 11):
        lane = LANES[(offset + 1) % 3]
        log.append(
            Event(
                channel="c",
                type="t",
                data={"n": offset},
                timestamp=float(offset),
                offset=offset,
                epoch=log.epoch,
                lane=lane,
                body=b"x" * 10,
            )
        )
    return log


def read(log: EventLog, **options: Any) -> HistoryPage:
    arguments: dict[str, Any] = {
        "since": None,
        "where": MATCH_ALL,
        "ranges": (),
        "maximum_events": 100,
        "maximum_bytes": 1000,
        "now": 10.0,
    }
    return read_history(log, "c", **(arguments | options))


def offsets(page: HistoryPage) -> list[int]:
    return [event.offset for event in page.events]


@pytest.mark.parametrize("bound", [{"maximum_events": 4}, {"maximum_bytes": 45}])
def test_pages_follow_each_other_without_gap_or_repeat(bound: dict[str, int]) -> None:
    log = filled()
    page = read(log, **bound)
    assert (offsets(page), page.more, page.position) == ([1, 2, 3, 4], True, Position.at(log.epoch, 4))
    page = read(log, since=FromPosition(page.position), **bound)
    assert (offsets(page), page.more) == ([5, 6, 7, 8], True)
    page = read(log, since=FromPosition(page.position), **bound)
    assert (offsets(page), page.more, page.position) == ([9, 10], False, Position.at(log.epoch, 10))


def test_a_page_holds_one_event_whatever_its_size() -> None:
    assert offsets(read(filled(), maximum_bytes=1)) == [1]


def test_the_last_events_are_the_last_that_pass_the_filter() -> None:
    where = compile_filter({"n": {"lte": 6}}, Limits())
    assert offsets(read(filled(), since=LastEvents(2), where=where)) == [5, 6]


def test_a_filtered_page_that_is_complete_ends_at_the_newest() -> None:
    log = filled()
    page = read(log, where=compile_filter({"n": 3}, Limits()))
    assert (offsets(page), page.more, page.position.offset) == ([3], False, 10)


def test_what_an_overtaken_position_has_had_is_left_out() -> None:
    log = filled()
    page = read(log, since=FromPosition(Position(log.epoch, 10, 6, 4)))
    assert [offset for offset in range(5, 11) if offset not in offsets(page)] == [
        event.offset
        for event in log.events(5, 11)
        if (event.lane is Lane.HIGH) or (event.lane is Lane.NORMAL and event.offset <= 6)
    ]


def test_ranges_give_their_lane_only_and_each_event_once() -> None:
    log = filled()
    lane = LANES[0]
    wanted = [event.offset for event in log.events(2, 10) if event.lane is lane]
    ranges = [Range(lane=lane, first=2, last=9), Range(lane=lane, first=5, last=9)]
    page = read(log, ranges=ranges)
    assert (offsets(page), page.recovered, page.missing) == (wanted, True, 0)


def test_ranges_that_reach_below_the_log_are_counted_without_a_walk() -> None:
    """The numbers are the client's: a range of 10**17 offsets costs as much as one of two."""
    ranges = [Range(lane=Lane.LOW, first=2, last=10**17), Range(lane=Lane.LOW, first=4, last=8)]
    page = read(filled(held=4), ranges=ranges)
    assert (page.recovered, page.missing) == (False, 5)


def test_an_offset_that_is_gone_is_said_to_be() -> None:
    page = read(filled(held=4), since=FromOffset(1))
    assert (offsets(page), page.recovered, page.missing) == ([7, 8, 9, 10], False, 6)
