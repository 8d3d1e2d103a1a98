"""The timeout watcher: deadlines in order, with one task and no work while nothing is due."""

from __future__ import annotations

from collections.abc import Callable

import trio
from trio.testing import MockClock

from rtcore.hub.timeouts import TimeoutWatcher


class Log:
    """Notes who was called and when."""

    def __init__(self) -> None:
        self.start = trio.current_time()
        self.calls: list[tuple[str, float]] = []

    def at(self, seconds: float) -> float:
        return self.start + seconds

    def note(self, name: str, again: float | None = None) -> Callable[[], float | None]:
        def callback() -> float | None:
            self.calls.append((name, round(trio.current_time() - self.start, 6)))
            return again

        return callback


async def test_callbacks_come_in_the_order_of_their_deadlines(autojump_clock: MockClock) -> None:
    """Equal deadlines keep the order in which they were set; an earlier one shortens a sleep under way."""
    watcher, log = TimeoutWatcher(), Log()
    watcher.call_at(log.at(3), log.note("third"))
    async with trio.open_nursery() as nursery:
        await nursery.start(watcher.run)
        watcher.call_at(log.at(2), log.note("second"))
        watcher.call_at(log.at(2), log.note("second again"))
        await trio.sleep(0.5)
        watcher.call_at(log.at(1), log.note("first"))
        await trio.sleep(10)
        assert log.calls == [("first", 1.0), ("second", 2.0), ("second again", 2.0), ("third", 3.0)]
        assert len(watcher) == 0
        nursery.cancel_scope.cancel()


async def test_a_callback_names_its_next_deadline(autojump_clock: MockClock) -> None:
    """A connection's timer lives as long as the connection: one entry, whatever happens in between."""
    watcher, log = TimeoutWatcher(), Log()
    deadlines = [4.0, 9.0]

    def callback() -> float | None:
        log.note("turn")()
        return log.at(deadlines.pop(0)) if deadlines else None

    async with trio.open_nursery() as nursery:
        await nursery.start(watcher.run)
        watcher.call_at(log.at(1), callback)
        await trio.sleep(20)
        assert log.calls == [("turn", 1.0), ("turn", 4.0), ("turn", 9.0)]
        assert len(watcher) == 0
        nursery.cancel_scope.cancel()


async def test_a_cancelled_timer_never_calls(autojump_clock: MockClock) -> None:
    """Even when it is cancelled by a callback of the same moment, or by its own."""
    watcher, log = TimeoutWatcher(), Log()
    async with trio.open_nursery() as nursery:
        await nursery.start(watcher.run)
        early = watcher.call_at(log.at(1), log.note("cancelled beforehand"))
        early.cancel()
        early.cancel()

        def cancel_both() -> float:
            same_moment.cancel()
            own.cancel()
            return log.at(3)

        own = watcher.call_at(log.at(2), cancel_both)
        same_moment = watcher.call_at(log.at(2), log.note("cancelled in the same moment"))
        assert len(watcher) == 2
        await trio.sleep(10)
        assert log.calls == []
        assert len(watcher) == 0
        nursery.cancel_scope.cancel()


async def test_a_callback_may_set_an_earlier_timer(autojump_clock: MockClock) -> None:
    watcher, log = TimeoutWatcher(), Log()

    def add() -> None:
        watcher.call_at(log.at(2), log.note("added"))
        watcher.call_at(log.at(0), log.note("overdue"))

    async with trio.open_nursery() as nursery:
        await nursery.start(watcher.run)
        watcher.call_at(log.at(5), log.note("late"))
        watcher.call_at(log.at(1), add)
        await trio.sleep(10)
        assert log.calls == [("overdue", 1.0), ("added", 2.0), ("late", 5.0)]
        nursery.cancel_scope.cancel()


async def test_a_deadline_in_the_past_does_not_hold_up_the_run(autojump_clock: MockClock) -> None:
    """A callback that asks for a moment already past is called at the next one: others get their turn in between."""
    watcher, log = TimeoutWatcher(), Log()
    calls = 0

    def impatient() -> float | None:
        nonlocal calls
        calls += 1
        return log.at(-100) if calls < 5 else None

    async with trio.open_nursery() as nursery:
        await nursery.start(watcher.run)
        watcher.call_at(log.at(1), impatient)
        watcher.call_at(log.at(1), log.note("neighbour"))
        with trio.fail_after(100):
            await trio.sleep(2)
        assert calls == 5
        assert log.calls == [("neighbour", 1.0)]
        nursery.cancel_scope.cancel()


async def test_timer_whose_callback_fails_runs_no_more_and_says_so(autojump_clock: MockClock) -> None:
    """Whoever keeps it asks whether it still runs before relying on it; others are called all the same."""
    watcher, log = TimeoutWatcher(), Log()

    def fail() -> None:
        raise ValueError("a fault")

    async with trio.open_nursery() as nursery:
        await nursery.start(watcher.run)
        failing = watcher.call_at(log.at(1), fail)
        watcher.call_at(log.at(1), log.note("neighbour"))
        await trio.sleep(2)
        assert failing.callback is None
        assert log.calls == [("neighbour", 1.0)]
        nursery.cancel_scope.cancel()


async def test_cancelled_timers_do_not_pile_up(autojump_clock: MockClock) -> None:
    """A window that fills closes long before its deadline, thousands of times a second."""
    watcher, log = TimeoutWatcher(), Log()
    kept = [watcher.call_at(log.at(1000 - number), log.note(str(number))) for number in range(10)]
    for _ in range(10_000):
        watcher.call_at(log.at(500), log.note("never")).cancel()
    assert len(watcher) == 10
    assert len(watcher._heap) < 200
    async with trio.open_nursery() as nursery:
        await nursery.start(watcher.run)
        await trio.sleep(2000)
        assert [name for name, _ in log.calls] == [str(number) for number in reversed(range(len(kept)))]
        nursery.cancel_scope.cancel()
