"""The broadcaster: what is published in one tick leaves in one flush, and bursts cannot outgrow memory."""

from __future__ import annotations

from collections.abc import Callable

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from rtcore.hub.encoding import Encoding
from rtcore.hub.hub import Hub
from rtcore.hub.results import Batch
from rtcore.hub.subscriber import Subscriber
from rtcore.values.events import Lane
from rtcore.values.limits import Limits

OpenHub = Callable[..., Hub]


class Lines(Encoding):
    """One line a message."""

    def wire(self, text: bytes) -> bytes:
        return text + b"\n"


class Sink(Subscriber):
    """Takes everything while `taking`; remembers how many events each flush gave it."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(Lines(), hub.counters, lag_events=100, lag_bytes=1_000_000, clock=hub.clock)
        self.flushes: list[int] = []
        self.taking = True
        self.before: Callable[[], object] = lambda: None

    def flush(self) -> None:
        self.before()
        if not self.taking:
            self.flushes.append(0)
            self.fall_behind()
            return
        self.flushes.append(self.take(10_000_000).count(b"\n"))

    def overflowed(self) -> None:
        raise AssertionError("no channel here disconnects")


async def test_many_events_of_a_tick_are_one_flush(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    """Per event and connection nothing may cost a write or a wake-up."""
    hub = open_hub()
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        sink = Sink(hub)
        for channel in ("a", "b"):
            hub.attach_cursor(sink, channel)
        await wait_all_tasks_blocked()
        sink.flushes.clear()
        for number in range(100):
            hub.publish("ab"[number % 2], "t", number)
        assert sink.flushes == [], "nothing leaves inside publish"
        await wait_all_tasks_blocked()
        assert sink.flushes == [100]
        hub.publish("a", "t", None)
        await wait_all_tasks_blocked()
        assert sink.flushes == [100, 1]
        nursery.cancel_scope.cancel()


async def test_what_a_flush_publishes_leaves_in_the_same_tick(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    """Presence is published while connections are flushed; the flush does not nest, nor is the event forgotten."""
    hub = open_hub()
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        sink, publisher = Sink(hub), Sink(hub)
        hub.attach_cursor(sink, "a")
        hub.attach_cursor(publisher, "a")
        hub.broadcaster.flush()
        depth = deepest = 0
        left = 3

        def publish() -> None:
            nonlocal depth, deepest, left
            depth += 1
            deepest = max(depth, deepest)
            if left:
                left -= 1
                for _ in range(300):
                    hub.publish("a", "t", left)
            depth -= 1

        publisher.before = publish
        sink.flushes.clear()
        hub.publish("a", "t", None)
        hub.broadcaster.flush()
        assert deepest == 1
        assert sum(sink.flushes) == 901
        nursery.cancel_scope.cancel()


async def test_a_burst_leaves_while_it_is_published(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    """A publisher that never yields must not fill memory: views hold the burst limit at most, plus the history."""
    hub = open_hub(limits=Limits(history_events=10))
    sink = Sink(hub)
    hub.attach_cursor(sink, "a")
    hub.broadcaster.flush()
    view = sink.cursors["a"].view
    largest = 0
    for number in range(10_000):
        hub.publish("a", "t", number)
        largest = max(largest, view.head - view.first)
    assert largest <= 256 + 10
    assert sum(sink.flushes) >= 10_000 - 256
    hub.broadcaster.flush()
    assert sum(sink.flushes) == 10_000


async def test_a_burst_of_bytes_leaves_early(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    hub = open_hub()
    sink = Sink(hub)
    hub.attach_cursor(sink, "a")
    hub.broadcaster.flush()
    sink.flushes.clear()
    for _ in range(9):
        hub.publish("a", "t", "x" * 32 * 1024)
    assert sink.flushes == [8], "256 KiB are enough"


async def test_a_burst_past_somebody_who_takes_nothing_stays_bounded(
    open_hub: OpenHub, autojump_clock: MockClock
) -> None:
    hub = open_hub()
    sink = Sink(hub)
    sink.taking = False
    hub.attach_cursor(sink, "a")
    for number in range(10_000):
        hub.publish("a", "t", number)
    view = sink.cursors["a"].view
    assert sink.backlog.events == 100
    assert view.head - view.first <= 256 + 100
    assert sink.dropped == 9_900


async def test_a_window_closes_by_time_and_leaves_no_timer(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    hub = open_hub()
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        sink = Sink(hub)
        hub.attach_cursor(sink, "a", batch=Batch(events=10, seconds=2.0))
        await wait_all_tasks_blocked()
        sink.flushes.clear()
        hub.publish("a", "t", 1)
        await trio.sleep(1.5)
        hub.publish("a", "t", 2)
        assert sink.flushes == []
        assert hub.statistics().timers == 1
        await trio.sleep(1)
        assert sink.flushes == [1], "one batch, two seconds after its first event"
        assert hub.statistics().timers == 0
        nursery.cancel_scope.cancel()


async def test_a_window_closed_early_cancels_its_timer(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    hub = open_hub()
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        sink = Sink(hub)
        hub.attach_cursor(sink, "a", batch=Batch(events=10, seconds=2.0))
        hub.publish("a", "t", 1)
        hub.publish("a", "t", 2, lane=Lane.HIGH)
        assert hub.statistics().timers == 0
        await wait_all_tasks_blocked()
        sink.flushes.clear()
        await trio.sleep(5)
        assert sink.flushes == []
        nursery.cancel_scope.cancel()


async def test_the_window_of_a_view_that_was_left_costs_nothing(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    """Clients come and go within a window; their timers must not outlive them."""
    hub = open_hub()
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        sink = Sink(hub)
        hub.attach_cursor(sink, "a", batch=Batch(events=10, seconds=2.0))
        hub.publish("a", "t", 1)
        await wait_all_tasks_blocked()
        sink.flushes.clear()
        hub.detach(sink)
        assert hub.statistics().timers == 0
        await trio.sleep(5)
        assert sink.flushes == []
        nursery.cancel_scope.cancel()


async def test_a_subscriber_that_has_ended_is_not_flushed(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    hub = open_hub()
    sink = Sink(hub)
    hub.attach_cursor(sink, "a")
    hub.publish("a", "t", 1)
    hub.detach(sink)
    hub.broadcaster.flush()
    assert sink.flushes == []


async def test_latency_is_counted_for_those_who_were_sent_it(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    hub = open_hub()
    ahead, behind = Sink(hub), Sink(hub)
    behind.taking = False
    for sink in (ahead, behind):
        hub.attach_cursor(sink, "a")
    hub.publish("a", "t", 1)
    hub.broadcaster.flush()
    [latency] = hub.statistics().latency
    assert (latency.event_type, latency.count) == ("t", 1)
