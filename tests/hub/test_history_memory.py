"""What the history of all channels together may take: there may be as many as whoever publishes makes up."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import orjson
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from rtcore.hub.entry import memory_of
from rtcore.hub.hub import Hub
from rtcore.values.channels import Namespace
from rtcore.values.events import Json
from rtcore.values.limits import Limits
from rtcore.values.positions import FromPosition

LIMITS = Limits(history_memory_bytes=400_000, history_seconds=60)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(clock: Clock) -> Iterator[Hub]:
    hub = Hub(limits=LIMITS, clock=clock)
    yield hub
    hub.close()


def held(hub: Hub) -> dict[str, int]:
    """Events of each channel that has some, the least recently published first."""
    return {channel.name: channel.history_events for channel in hub.channels() if channel.history_events}


def test_channels_published_least_recently_lose_their_history_first(hub: Hub) -> None:
    """A thousand channels of history each within its own bound are no bound for the server."""
    for number in range(60):
        hub.publish(f"c{number}", "x", "t" * 10_000)
    names = list(held(hub))
    assert names == [f"c{number}" for number in range(60 - len(names), 60)]
    total = sum(channel.history_bytes for channel in hub.channels())
    assert 100_000 < total < LIMITS.history_memory_bytes / 2


def test_one_that_asks_for_what_went_is_told_so(hub: Hub) -> None:
    """It is gone as at any other bound: never in silence."""
    first = hub.publish("first", "x", 1).position
    hub.publish("first", "x", 2)
    for number in range(60):
        hub.publish(f"c{number}", "x", "t" * 10_000)
    page = hub.history("first", since=FromPosition(first))
    assert (page.recovered, page.events) == (False, ())
    assert hub.publish("first", "x", 3).offset == 3


async def test_subscriber_has_what_was_on_its_way(clock: Clock, autojump_clock: MockClock) -> None:
    """Only the past goes: what the tick has yet to send is still sent, and so is what comes later."""
    hub = Hub(limits=Limits(history_memory_bytes=10_000), clock=clock)
    got: list[Json] = []
    async with trio.open_nursery() as nursery, hub.subscribe("first") as events:
        await nursery.start(hub.run)

        async def read() -> None:
            async for event in events:
                got.append(event.data)

        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        hub.publish("first", "x", "kept")
        hub.publish("other", "x", "t" * 10_000)
        assert "first" not in held(hub)
        hub.publish("first", "x", "later")
        await wait_all_tasks_blocked()
        assert got == ["kept", "later"]
        nursery.cancel_scope.cancel()


def test_look_lets_go_of_what_is_too_old_on_channels_that_nobody_asks_for(clock: Clock) -> None:
    """Otherwise nothing would, and what is not too old would go for it: a log is looked at when it is asked."""
    hub = Hub(limits=LIMITS, namespaces={"long": Namespace(history_seconds=3600)}, clock=clock)
    hub.publish("long", "x", 1)
    hub.publish("old", "x", "t" * 100_000)
    clock.now += LIMITS.history_seconds + 1
    assert list(held(hub)) == ["long", "old"]
    for _ in range(10):
        hub.publish("busy", "x", "t" * 10_000)
    assert list(held(hub)) == ["long", "busy"]


def test_data_of_many_values_counts_as_what_it_takes(hub: Hub) -> None:
    """A list that is two characters of JSON is seventy bytes of memory."""
    for number in range(10):
        hub.publish(f"c{number}", "x", [[] for _ in range(2000)])
    assert 0 < len(held(hub)) < 5
    assert sum(channel.history_bytes for channel in hub.channels()) < LIMITS.history_memory_bytes / 10


def test_look_reads_no_text_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publication would stand still for as long as all history takes to read."""
    counted = 0

    def count(body: bytes) -> int:
        nonlocal counted
        counted += 1
        return memory_of(body)

    monkeypatch.setattr("rtcore.hub.hub.memory_of", count)
    for number in range(100):
        hub.publish(f"c{number % 10}", "x", [[] for _ in range(2000)])
    assert (counted, 0 < len(held(hub)) < 5) == (100, True)


def test_look_takes_the_time_from_the_clock_and_not_from_an_event(hub: Hub, clock: Clock) -> None:
    """A channel may be ahead of a clock that was set back; the others' events are not old for that."""
    clock.now += 1000
    hub.publish("ahead", "x", 1)
    clock.now -= 1000
    for _ in range(15):
        hub.publish("first", "x", "t" * 10_000)
    hub.publish("fresh", "x", 1)
    for _ in range(5):
        hub.publish("ahead", "x", "t" * 10_000)
    assert list(held(hub)) == ["fresh", "ahead"]


async def test_views_hold_no_more_than_the_log(clock: Clock, autojump_clock: MockClock) -> None:
    """A view of a quiet channel is given nothing that would make it look; the memory would stay for ever."""
    hub = Hub(limits=LIMITS, clock=clock)
    async with trio.open_nursery() as nursery, hub.subscribe("quiet") as events:
        await nursery.start(hub.run)
        hub.publish("quiet", "x", "t" * 10_000)
        await anext(aiter(events))
        (view,) = (cursor.view for cursor in events.cursors.values())
        await wait_all_tasks_blocked()
        clock.now += LIMITS.history_seconds + 1
        for _ in range(20):
            hub.publish("busy", "x", "t" * 10_000)
        assert (view.first, view.head) == (1, 1)
        nursery.cancel_scope.cancel()


def size_of(value: Json) -> int:
    """Memory of a value and all in it, each object once, as it comes out of the JSON library."""
    seen: dict[int, object] = {}
    waiting: list[object] = [value]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
    return sum(map(sys.getsizeof, seen.values()))


@pytest.mark.parametrize(
    "text",
    [
        b"[" + b",".join([b"[]"] * 5000) + b"]",
        b"[" + b",".join([b"{}"] * 5000) + b"]",
        b"[" + b",".join([b'{"a":1}'] * 5000) + b"]",
        b"[" + b",".join(b"%d" % (number + 1000) for number in range(5000)) + b"]",
        b"[" + b",".join(b"%d.5" % number for number in range(5000)) + b"]",
        b"[" + b",".join(b'"%d"' % number for number in range(5000)) + b"]",
        b"{" + b",".join(b'"k%d":"v%d"' % (number, number) for number in range(2000)) + b"}",
        b'"' + b"x" * 20_000 + b'"',
        b"[" + b",".join([b"[" * 40 + b"]" * 40] * 200) + b"]",
        b"[" + b",".join([b'{"a":{}}'] * 50) + b"]",
        b"[" + b",".join([b"[]"] * 100) + b"]",
    ],
    ids=[
        *("lists", "empty objects", "objects", "numbers", "decimals", "texts", "fields", "one text", "nested"),
        *("short objects", "short lists"),
    ],
)
def test_estimate_is_of_the_size_of_what_is_held(text: bytes) -> None:
    """Within a factor of three, unless its texts are full of punctuation: the text alone is off by thirty."""
    true = len(text) + size_of(orjson.loads(text))
    assert true / 3 < memory_of(text) < true * 3
