"""The event ring, in both implementations."""

from __future__ import annotations

import gc
import random
import weakref
from bisect import bisect_left
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Both = Callable[[str], tuple[ModuleType, ModuleType]]


@pytest.fixture
def module(load_twin: Callable[[str], ModuleType]) -> ModuleType:
    return load_twin("event_ring")


def filled(module: ModuleType, count: int, *, size: int = 10) -> Any:
    """A ring of `count` items: offsets 10, 20, 30 ..., times 0.5, 1.0, 1.5 ..."""
    ring = module.EventRing()
    for number in range(count):
        assert ring.append(f"item{number}", 10 * (number + 1), size, 0.5 * (number + 1)) == number
    return ring


def test_new_ring_is_empty(module: ModuleType) -> None:
    ring = module.EventRing()
    assert (ring.first, ring.head, len(ring), ring.total_bytes) == (0, 0, 0, 0)
    assert ring.slice(0, 10) == []
    assert (ring.index_of_offset(1), ring.index_of_time(1.0), ring.stop_for_bytes(0, 10)) == (0, 0, 0)
    assert ring.bytes_between(0, 10) == 0


def test_item_is_found_by_its_index_with_all_that_is_known_of_it(module: ModuleType) -> None:
    ring = filled(module, 20)
    assert ring.get(7) == "item7"
    assert (ring.offset_at(7), ring.bytes_between(7, 8), ring.timestamp_at(7)) == (80, 10, 4.0)
    assert (len(ring), ring.total_bytes) == (20, 200)


@pytest.mark.parametrize("index", [-1, 0, 4, 20, 21, 1000])
def test_index_outside_what_is_held_raises(module: ModuleType, index: int) -> None:
    ring = filled(module, 20)
    ring.evict_to(5)
    for method in (ring.get, ring.offset_at, ring.timestamp_at):
        with pytest.raises(IndexError, match=f"index {index} is outside 5 to 20"):
            method(index)


def test_indices_stay_when_older_items_are_dropped(module: ModuleType) -> None:
    ring = filled(module, 100)
    ring.evict_to(95)
    assert (ring.first, ring.head, len(ring), ring.total_bytes) == (95, 100, 5, 50)
    assert ring.get(95) == "item95"
    assert ring.append("new", 5000, 1, 99.0) == 100
    assert ring.slice(0, 200) == ["item95", "item96", "item97", "item98", "item99", "new"]


def test_eviction_is_clamped_to_what_is_held(module: ModuleType) -> None:
    ring = filled(module, 10)
    ring.evict_to(-5)
    assert ring.first == 0
    ring.evict_to(1000)
    assert (ring.first, ring.head, len(ring)) == (10, 10, 0)
    ring.evict_to(3)
    assert ring.first == 10


def test_slices_are_clamped_and_never_wrap(module: ModuleType) -> None:
    ring = filled(module, 10)
    ring.evict_to(4)
    assert ring.slice(-3, 6) == ["item4", "item5"]
    assert ring.slice(8, 99) == ["item8", "item9"]
    assert ring.slice(7, 7) == []
    assert ring.slice(9, 5) == []


def test_offset_that_was_left_out_is_found_at_the_next_one(module: ModuleType) -> None:
    ring = filled(module, 10)
    assert [ring.index_of_offset(offset) for offset in (-1, 10, 11, 20, 95, 100, 101)] == [0, 0, 1, 1, 9, 9, 10]
    ring.evict_to(5)
    assert ring.index_of_offset(1) == 5


def test_time_is_found_at_the_first_of_equal_ones(module: ModuleType) -> None:
    ring = module.EventRing()
    for number, time in enumerate([1.0, 2.0, 2.0, 2.0, 3.0]):
        ring.append(None, number, 1, time)
    assert [ring.index_of_time(time) for time in (0.0, 2.0, 2.5, 3.0, 3.1)] == [0, 1, 4, 4, 5]


def test_write_stops_before_its_limit_but_always_moves_on(module: ModuleType) -> None:
    ring = filled(module, 10)
    assert ring.stop_for_bytes(0, 35) == 3
    assert ring.stop_for_bytes(0, 40) == 4
    assert ring.stop_for_bytes(0, 5) == 1
    assert ring.stop_for_bytes(0, -1) == 1
    assert ring.stop_for_bytes(8, 1000) == 10
    assert ring.stop_for_bytes(10, 1000) == 10
    assert ring.stop_for_bytes(99, 1000) == 10


def test_items_of_no_size_do_not_stop_a_write(module: ModuleType) -> None:
    ring = filled(module, 10, size=0)
    assert ring.stop_for_bytes(2, 0) == 10


@pytest.mark.parametrize(
    ("offset", "size", "timestamp", "message"),
    [
        (20, 1, 1.0, "offset 20 is not above 20"),
        (19, 1, 1.0, "offset 19 is not above 20"),
        (21, 1, 0.9, "timestamp 0.9 is before 1.0"),
        (21, 1, float("nan"), "timestamp must be a number"),
        (21, -1, 1.0, "size must be 0 to"),
        (21, 2**40 + 1, 1.0, "size must be 0 to"),
    ],
)
def test_what_breaks_the_order_is_refused_and_changes_nothing(
    module: ModuleType, offset: int, size: int, timestamp: float, message: str
) -> None:
    ring = filled(module, 2)
    with pytest.raises(ValueError, match=message):
        ring.append("bad", offset, size, timestamp)
    assert (ring.head, ring.total_bytes) == (2, 20)
    assert ring.append("good", 21, 1, 1.0) == 2


@pytest.mark.parametrize("position", range(4))
def test_integers_beyond_64_bits_are_refused(module: ModuleType, position: int) -> None:
    """Where the Python twin could go on, the compiled one could not: both refuse, each with its own error."""
    ring = filled(module, 1)
    arguments: list[Any] = ["item", 30, 1, 2.0]
    arguments[position] = 2**70
    if position in (0, 3):
        ring.append(*arguments)  # an item may be anything, a time any number
        return
    with pytest.raises((OverflowError, ValueError)):
        ring.append(*arguments)
    assert len(ring) == 1
    with pytest.raises((OverflowError, IndexError)):
        ring.get(2**70)


class Item:
    """Something that a weak reference can watch."""


def test_evicted_item_is_let_go(module: ModuleType) -> None:
    ring = module.EventRing()
    item = Item()
    watch = weakref.ref(item)
    ring.append(item, 1, 1, 0.0)
    del item
    assert watch() is not None
    ring.evict_to(1)
    assert watch() is None


def test_ring_that_holds_itself_is_collected(module: ModuleType) -> None:
    ring = module.EventRing()
    item = Item()
    watch = weakref.ref(item)
    item.ring = ring  # type: ignore[attr-defined]
    ring.append(item, 1, 1, 0.0)
    del ring, item
    gc.collect()
    assert watch() is None


def test_ring_may_be_used_while_it_lets_go_of_an_item(module: ModuleType) -> None:
    """The last reference to an item may be the ring's, and its end may publish."""
    ring = module.EventRing()

    class Noisy:
        def __del__(self) -> None:
            ring.append("from __del__", ring.offset_at(ring.head - 1) + 1, 1, ring.timestamp_at(ring.head - 1))

    for number in range(7):
        ring.append(Noisy(), number, 1, 0.0)
    ring.append("last", 100, 1, 1.0)
    ring.evict_to(7)
    assert ring.first == 7
    assert ring.slice(7, 100) == ["last"] + ["from __del__"] * 7
    assert ring.offset_at(14) == 107


@pytest.mark.parametrize("there", range(1, 6))
def test_ring_may_be_used_while_it_makes_room(module: ModuleType, there: int) -> None:
    """Making slots may run the collector, and with it the end of something that publishes."""
    ring = filled(module, there)

    class Noisy:
        def __init__(self) -> None:
            self.circle = self

        def __del__(self) -> None:
            for _ in range(4):
                ring.append("from __del__", ring.offset_at(ring.head - 1) + 1, 1, ring.timestamp_at(ring.head - 1))

    collecting = gc.get_threshold()
    gc.collect()
    try:
        Noisy()
        gc.set_threshold(1, 1, 1)
        for number in range(4):
            ring.append(f"late{number}", 1000 * (number + 1), 1, 1000.0)
    finally:
        gc.set_threshold(*collecting)
    gc.collect()
    expected = [f"item{number}" for number in range(there)] + [f"late{number}" for number in range(4)]
    assert [item for item in ring.slice(0, ring.head) if item != "from __del__"] == expected
    assert (len(ring), ring.head) == (there + 8, there + 8)
    offsets = [ring.offset_at(index) for index in range(ring.head)]
    assert offsets == sorted(set(offsets))


@pytest.mark.parametrize("kept", range(1, 12))
def test_ring_may_be_used_while_a_slice_of_it_is_made(module: ModuleType, kept: int) -> None:
    """The slice is of what is held in the end, and of nothing that was dropped meanwhile."""
    ring = filled(module, 8)
    ring.evict_to(4)
    for number in range(4):
        ring.append(f"later{number}", 1000 + number, 1, 1000.0)

    class Noisy:
        def __init__(self) -> None:
            self.circle = self

        def __del__(self) -> None:
            ring.evict_to(kept)
            for number in range(20):
                ring.append("from __del__", 2000 + number, 1, 2000.0)

    collecting = gc.get_threshold()
    gc.collect()
    try:
        Noisy()
        gc.set_threshold(1, 1, 1)
        found = ring.slice(0, 12)
    finally:
        gc.set_threshold(*collecting)
    names = [f"item{number}" for number in range(4, 8)] + [f"later{number}" for number in range(4)]
    assert found in (names, names[max(kept, 4) - 4 :])
    gc.collect()
    assert ring.slice(0, 12) == names[max(kept, 4) - 4 :]


class Model:
    """What a ring is, in the plainest words."""

    def __init__(self) -> None:
        self.items: list[tuple[object, int, int, float]] = []
        self.first = 0

    def bytes_between(self, start: int, stop: int) -> int:
        start, stop = max(start, self.first), max(0, min(stop, len(self.items)))
        return sum(item[2] for item in self.items[start:stop])

    def stop_for_bytes(self, start: int, maximum: int) -> int:
        head = len(self.items)
        start = stop = min(max(start, self.first), head)
        while stop < head and (stop == start or self.bytes_between(start, stop + 1) <= maximum):
            stop += 1
        return stop

    def observe(self, low: int, high: int, offset: int, time: float) -> tuple[object, ...]:
        held, head = self.items[self.first :], len(self.items)
        return (
            (self.first, head, head - self.first, sum(item[2] for item in held)),
            [item[0] for item in self.items[max(low, self.first) : max(high, 0)]],
            self.bytes_between(low, high),
            self.stop_for_bytes(low, high),
            self.first + bisect_left([item[1] for item in held], offset),
            self.first + bisect_left([item[3] for item in held], time),
            self.items[low] if self.first <= low < head else None,
        )


def observe(ring: Any, low: int, high: int, offset: int, time: float) -> tuple[object, ...]:
    held = ring.first <= low < ring.head
    size = ring.bytes_between(low, low + 1)
    return (
        (ring.first, ring.head, len(ring), ring.total_bytes),
        ring.slice(low, high),
        ring.bytes_between(low, high),
        ring.stop_for_bytes(low, high),
        ring.index_of_offset(offset),
        ring.index_of_time(time),
        (ring.get(low), ring.offset_at(low), size, ring.timestamp_at(low)) if held else None,
    )


@pytest.mark.parametrize("seed", range(25))
def test_twins_agree_with_the_model_on_random_histories(load_both: Both, seed: int) -> None:
    chance = random.Random(seed)
    rings = [module.EventRing() for module in load_both("event_ring")]
    model = Model()
    offset, time = 0, 0.0
    for _ in range(300):
        for _ in range(chance.choice([0, 1, 1, 3, 20])):
            offset += chance.randint(1, 3)
            time += chance.choice([0.0, chance.random()])
            item = (object(), offset, chance.choice([0, 1, 50, 4096]), time)
            model.items.append(item)
            for ring in rings:
                assert ring.append(*item) == len(model.items) - 1
        if chance.random() < 0.3:
            model.first = max(model.first, min(len(model.items), model.first + chance.randint(-3, 40)))
            for ring in rings:
                ring.evict_to(model.first)
        low = chance.randint(model.first - 3, len(model.items) + 3)
        high = chance.randint(low - 5, len(model.items) + 3)
        question = (low, high, chance.randint(0, offset + 2), chance.uniform(0.0, time + 1))
        expected = model.observe(*question)
        assert observe(rings[0], *question) == expected
        assert observe(rings[1], *question) == expected


def test_keeping_drops_what_any_bound_does_not_allow(module: ModuleType) -> None:
    ring = filled(module, 10)
    assert ring.keep(10, 100, 0.5) == float("-inf")
    assert (ring.keep(8, 100, 0.0), ring.first) == (1.0, 2)
    assert (ring.keep(8, 65, 0.0), ring.first) == (2.0, 4)
    assert (ring.keep(8, 65, 3.1), ring.first) == (3.0, 6)
    assert (ring.keep(0, 65, 0.0), ring.first, len(ring)) == (5.0, 10, 0)
    assert (ring.keep(0, 0, 9.0), ring.first) == (float("-inf"), 10)
    assert (module.EventRing().keep(-1, 0, 0.0), filled(module, 2).keep(-1, 100, 0.0)) == (float("-inf"), 1.0)


def test_evicting_before_an_offset_leaves_what_is_still_needed(module: ModuleType) -> None:
    ring = filled(module, 10)
    ring.evict_before(31, 100)
    assert ring.first == 3
    ring.evict_before(91, 5)
    assert ring.first == 5
    ring.evict_before(10, 100)
    assert ring.first == 5
    ring.evict_before(1000, 1000)
    assert (ring.first, len(ring)) == (10, 0)


@pytest.mark.parametrize("seed", range(10))
def test_keeping_is_what_three_searches_would_do(module: ModuleType, seed: int) -> None:
    """Against the bounds one by one, with sizes and times of any kind."""
    choice = random.Random(seed)
    ring = module.EventRing()
    time = 0.0
    for offset in range(1, 300):
        time += choice.choice([0.0, 0.0, 0.5, 3.0])
        ring.append(offset, offset, choice.choice([0, 1, 50]), time)
        items, size, earliest = choice.randrange(12), choice.randrange(200), time - choice.randrange(20)
        expected = max(ring.first, ring.head - items, ring.index_of_time(earliest))
        while ring.bytes_between(expected, ring.head) > size:
            expected += 1
        newest = ring.timestamp_at(expected - 1) if expected > ring.first else float("-inf")
        assert ring.keep(items, size, earliest) == newest
        assert ring.first == expected
