"""A view: shared frames, slices, windows, and entries that stay while somebody needs them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rtcore.hub.encoding import Encoding
from rtcore.hub.event_log import EventLog, Retention
from rtcore.hub.filters import MATCH_ALL, compile_filter
from rtcore.hub.results import Batch
from rtcore.hub.view import View
from rtcore.protocol.envelope import encode_event_body
from rtcore.values.events import Event, Lane
from rtcore.values.limits import Limits


class CountedLines(Encoding):
    """One line a message; counts how many were made."""

    def __init__(self) -> None:
        self.made = 0

    def wire(self, text: bytes) -> bytes:
        self.made += 1
        return text + b"\n"


class Stream:
    """A log with one view over it."""

    def __init__(self, *, batch: Batch | None = None, where: dict[str, Any] | None = None, history: int = 100) -> None:
        self.log = EventLog(Retention(events=history, seconds=1000.0, bytes=10_000_000))
        self.encoding = CountedLines()
        self.batch = batch
        self.where = MATCH_ALL if where is None else compile_filter(where, Limits())
        self.view = self.new_view(self.encoding)

    def new_view(self, encoding: Encoding) -> View:
        return View("c", self.log, self.where, encoding, self.batch, lambda: 1_736_942_400.0)

    def add(self, count: int = 1, *, lane: Lane = Lane.NORMAL, data: Any = None) -> Event:
        for _ in range(count):
            offset = self.log.newest + 1
            event = Event(
                channel="c",
                type="t",
                data=data,
                timestamp=1.0,
                offset=offset,
                epoch=self.log.epoch,
                lane=lane,
                body=encode_event_body("c", "t", data, 1.0, offset, None),
            )
            entry = self.log.append(event)
            if self.where.matches(event.type, "c", data):
                self.view.append(entry)
        return event

    def offsets(self, start: int, stop: int) -> list[int]:
        return [entry.event.offset for entry in self.view.entries(start, stop)]


def lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def test_two_cursors_at_one_place_are_given_the_same_bytes() -> None:
    """A thousand connections that keep up cost one join and one frame an event."""
    stream = Stream()
    stream.add(3)
    stream.view.close_window()
    data, stop = stream.view.slice(0, 10_000)
    again, _ = stream.view.slice(0, 10_000)
    assert again is data
    assert stop == 3
    assert stream.encoding.made == 3
    late, _ = stream.view.slice(1, 10_000)
    assert data.endswith(late)
    assert stream.encoding.made == 3, "another place joins the same frames anew"


def test_frames_outlive_the_tick() -> None:
    """A replay sends the frames that were made when the events were new."""
    stream = Stream()
    stream.add(2)
    stream.view.close_window()
    first, _ = stream.view.slice(0, 10_000)
    stream.view.settle()
    second, _ = stream.view.slice(0, 10_000)
    assert second == first
    assert stream.encoding.made == 2


def test_a_slice_ends_at_its_bytes_but_takes_one_event_at_least() -> None:
    stream = Stream()
    size = len(stream.add(5).body)
    stream.view.close_window()
    places = []
    start = 0
    while start < stream.view.due:
        data, start = stream.view.slice(start, 2 * size)
        places.append((len(lines(data)), start))
    assert places == [(2, 2), (2, 4), (1, 5)]
    data, stop = stream.view.slice(0, 1)
    assert (len(lines(data)), stop) == (1, 1)


def test_a_batch_is_one_message_of_so_many_events_at_most() -> None:
    stream = Stream(batch=Batch(events=3, seconds=1.0))
    stream.add(5)
    stream.view.close_window()
    data, stop = stream.view.slice(0, 10_000)
    assert stream.view.slice(0, 10_000)[0] is data
    [message] = lines(data)
    assert message["type"] == "batch"
    assert [event["offset"] for event in message["data"]["events"]] == [1, 2, 3]
    assert stop == 3
    [message] = lines(stream.view.slice(3, 10_000)[0])
    assert [event["offset"] for event in message["data"]["events"]] == [4, 5]
    assert stream.encoding.made == 2, "a batch is framed once, its events are not framed at all"


def test_no_more_slices_are_kept_than_are_worth_it() -> None:
    """Cursors scattered over a long replay must not make the view hold it many times over."""
    stream = Stream()
    stream.add(50)
    stream.view.close_window()
    for start in range(50):
        stream.view.slice(start, 10_000)
    assert len(stream.view._slices) <= 8
    stream.view.settle()
    assert not stream.view._slices


def test_an_open_window_holds_its_events_back() -> None:
    stream = Stream(batch=Batch(events=3, seconds=1.0))
    assert not stream.view.window_full(stream.add())
    assert not stream.view.window_full(stream.add())
    assert (stream.view.due, stream.view.head) == (0, 2)
    assert stream.view.settle() == []
    assert stream.view.window_full(stream.add()), "the third event fills it"
    stream.view.close_window()
    assert [entry.event.offset for entry in stream.view.settle()] == [1, 2, 3]
    assert not stream.view.window_full(stream.add()), "counting begins anew"


def test_a_high_event_closes_the_window_at_once() -> None:
    stream = Stream(batch=Batch(events=100, seconds=1.0))
    stream.add()
    assert stream.view.window_full(stream.add(lane=Lane.HIGH))


def test_many_bytes_close_the_window() -> None:
    """A window of a thousand large events must not wait to become a write of megabytes."""
    stream = Stream(batch=Batch(events=100, seconds=1.0))
    assert not stream.view.window_full(stream.add(data="x" * 40_000))
    assert stream.view.pending_bytes > 40_000
    assert stream.view.window_full(stream.add(data="x" * 40_000))
    stream.view.close_window()
    stream.view.settle()
    assert stream.view.pending_bytes == 0


def test_a_view_without_a_window_is_always_due() -> None:
    stream = Stream()
    assert stream.view.window_full(stream.add())


def test_a_new_view_begins_with_what_the_log_holds_and_the_filter_passes() -> None:
    stream = Stream(where={"n": {"gte": 3}})
    for number in range(1, 6):
        stream.add(data={"n": number})
    view = stream.new_view(CountedLines())
    assert [entry.event.offset for entry in view.entries(0, view.head)] == [3, 4, 5]
    assert view.due == view.flushed == view.head == 3, "the past is not news"
    assert [view.offset_before(index) for index in range(4)] == [2, 3, 4, 5]
    assert view.index_from(4) == 1


def test_what_the_filter_leaves_out_is_settled_too() -> None:
    """A subscriber that nothing was for still comes back at the newest offset, not at its last event."""
    stream = Stream(where={"n": 1})
    stream.add(data={"n": 1})
    stream.add(9, data={"n": 2})
    assert stream.view.offset_before(stream.view.head) == 10


def test_entries_leave_with_their_events() -> None:
    stream = Stream(history=3)
    for _ in range(10):
        stream.add()
        stream.view.close_window()
        stream.view.settle()
    assert (stream.view.first, stream.view.head) == (7, 10)
    assert stream.offsets(0, 10) == [8, 9, 10]


def test_entries_that_were_not_sent_stay_beyond_the_history() -> None:
    """History bounds the past; what is published in this tick still has to leave."""
    stream = Stream(history=0)
    stream.add(10)
    assert stream.offsets(0, 10) == list(range(1, 11))
    stream.view.close_window()
    stream.view.settle()
    stream.add()
    assert stream.offsets(0, 11) == [11]


def test_entries_are_not_evicted_under_a_cursor_that_was_set_back() -> None:
    """Between the promise of a replay and the tick that sends it, a burst may push the log on."""
    stream = Stream(history=5)
    stream.add(5)
    stream.view.close_window()
    stream.view.settle()
    stream.view.hold_from(2)
    stream.add(20)
    assert stream.offsets(2, 25) == list(range(3, 26))
    stream.view.close_window()
    stream.view.settle()
    stream.add()
    assert stream.view.first == 21, "after the tick the log alone decides"


def test_a_view_for_this_process_has_no_wire_form() -> None:
    stream = Stream()
    view = View("c", stream.log, MATCH_ALL, None, None, lambda: 0.0)
    with pytest.raises(AssertionError, match="no wire form"):
        view.wire(b"{}")


def test_snapshot_tells_what_is_held_and_what_waits_for_its_window() -> None:
    stream = Stream(batch=Batch(events=10, seconds=1.0), where={"x": 1}, history=3)
    stream.add(4, data={"x": 1})
    stream.view.close_window()
    stream.view.settle()
    newest = stream.add(2, data={"x": 1})
    stream.add(1, data={"x": 2})
    figures = stream.view.statistics()
    assert (figures.channel, figures.filtered, figures.batch) == ("c", True, stream.batch)
    assert (figures.subscribers, figures.behind) == (0, 0)
    assert (figures.events, figures.pending_events) == (3, 2)
    assert figures.bytes == 3 * len(newest.body)
    assert not Stream().view.statistics().filtered
