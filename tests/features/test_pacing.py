"""Changes that are told in steps, and what ends by itself."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from rtcore.features.deadlines import Deadlines
from rtcore.features.pacing import Pace
from rtcore.hub.timeouts import TimeoutWatcher


class Teller:
    """Notes what it was told when."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []
        self.works = True

    def tell(self, key: str) -> bool:
        self.told.append((key, round(trio.current_time(), 6)))
        return self.works


@pytest.fixture
async def timeouts(nursery: trio.Nursery) -> Any:
    watcher = TimeoutWatcher()
    await nursery.start(watcher.run)
    return watcher


async def test_a_lone_change_is_told_at_once_and_a_storm_once_an_interval(
    autojump_clock: Any, timeouts: TimeoutWatcher
) -> None:
    teller = Teller()
    pace = Pace(timeouts, 1.0, teller.tell)
    for _ in range(25):
        pace.changed("a")
        await trio.sleep(0.1)
    await trio.sleep(10)
    assert teller.told == [("a", 0.0), ("a", 1.0), ("a", 2.0), ("a", 3.0)]
    pace.changed("a")
    assert teller.told[-1] == ("a", round(trio.current_time(), 6))


async def test_keys_have_their_own_intervals(autojump_clock: Any, timeouts: TimeoutWatcher) -> None:
    teller = Teller()
    pace = Pace(timeouts, 1.0, teller.tell)
    pace.changed("a")
    await trio.sleep(0.5)
    pace.changed("b")
    pace.changed("a")
    await trio.sleep(5)
    assert teller.told == [("a", 0.0), ("b", 0.5), ("a", 1.0)]


async def test_nothing_is_kept_of_a_key_that_rests(autojump_clock: Any, timeouts: TimeoutWatcher) -> None:
    """A server that has seen a million workspaces remembers none of them."""
    pace = Pace(timeouts, 1.0, Teller().tell)
    for number in range(100):
        pace.changed(f"w{number}")
    assert (len(pace), len(timeouts)) == (100, 100)
    await trio.sleep(3)
    assert (len(pace), len(timeouts)) == (0, 0)


async def test_without_an_interval_each_change_is_told_and_no_timer_made(
    autojump_clock: Any, timeouts: TimeoutWatcher
) -> None:
    teller = Teller()
    pace = Pace(timeouts, 0, teller.tell)
    for _ in range(3):
        pace.changed("a")
    assert (len(teller.told), len(pace), len(timeouts)) == (3, 0, 0)


@pytest.mark.parametrize("seconds", [0, 0.1, 5.0])
async def test_what_could_not_be_told_is_tried_again_and_not_in_a_hurry(
    autojump_clock: Any, timeouts: TimeoutWatcher, seconds: float
) -> None:
    """A hub without room for a channel must not be asked a thousand times a second."""
    teller = Teller()
    teller.works = False
    pace = Pace(timeouts, seconds, teller.tell)
    pace.changed("a")
    await trio.sleep(10.5)
    tries = len(teller.told)
    assert tries == 1 + 10 // max(1, seconds)
    teller.works = True
    await trio.sleep(30)
    assert len(teller.told) == tries + 1
    assert len(pace) == 0


async def test_a_change_made_by_the_telling_is_told_too(autojump_clock: Any, timeouts: TimeoutWatcher) -> None:
    told: list[float] = []

    def tell(key: str) -> bool:
        told.append(trio.current_time())
        if len(told) == 1:
            pace.changed(key)
        return True

    pace = Pace(timeouts, 1.0, tell)
    pace.changed("a")
    await trio.sleep(5)
    assert told == [0.0, 1.0]


async def test_what_is_not_renewed_ends_in_time_and_in_order(autojump_clock: Any, timeouts: TimeoutWatcher) -> None:
    ended: list[tuple[str, float]] = []
    deadlines = Deadlines(timeouts, 10, lambda key: ended.append((key, trio.current_time())))
    for key in "abc":
        deadlines.renew(key)
        await trio.sleep(1)
    deadlines.renew("a")
    deadlines.discard("b")
    deadlines.discard("never there")
    assert len(deadlines) == 2
    await trio.sleep(30)
    assert ended == [("c", 12.0), ("a", 13.0)]
    assert (len(deadlines), len(timeouts)) == (0, 0)
    deadlines.renew("a")
    await trio.sleep(30)
    assert ended[-1] == ("a", 43.0)


async def test_ten_thousand_deadlines_are_one_timer(autojump_clock: Any, timeouts: TimeoutWatcher) -> None:
    ended: list[int] = []
    deadlines = Deadlines(timeouts, 10, ended.append)
    for number in range(10_000):
        deadlines.renew(number)
    assert len(timeouts) == 1
    await trio.sleep(11)
    assert ended == list(range(10_000))
