"""A subscription that gets another filter or window where it stands: nothing is lost and nothing comes twice."""

from __future__ import annotations

import json
from typing import Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from rtcore.hub.encoding import Encoding
from rtcore.hub.filters import MATCH_ALL, compile_filter
from rtcore.hub.hub import Hub
from rtcore.hub.results import Batch
from rtcore.hub.subscriber import Subscriber
from rtcore.values.channels import Namespace, Overflow
from rtcore.values.limits import Limits
from rtcore.values.positions import FromPosition, Position


class Lines(Encoding):
    """Messages that can be told apart again."""

    def wire(self, text: bytes) -> bytes:
        return text + b"\n"


class Reader(Subscriber):
    """Takes everything at once while `taking`, otherwise nothing."""

    def __init__(self, hub: Hub) -> None:
        limits = hub.limits
        super().__init__(
            Lines(), hub.counters, lag_events=limits.lag_events, lag_bytes=limits.lag_bytes, clock=hub.clock
        )
        self.taking = True
        self.messages: list[dict[str, Any]] = []

    def flush(self) -> None:
        if not self.taking:
            self.fall_behind()
            return
        while data := self.take(64 * 1024):
            self.messages += [json.loads(line) for line in data.splitlines()]
        if self.blocked:
            self.catch_up()

    def read_one(self) -> dict[str, Any]:
        [message] = [json.loads(line) for line in self.take(1).splitlines()]
        return message  # type: ignore[no-any-return]  # JSON

    def overflowed(self) -> None:
        raise AssertionError("no channel here disconnects")


def offsets(reader: Reader) -> list[int]:
    """Offsets of the events, those in batches too."""
    events = (m["data"]["events"] if m["type"] == "batch" else [m] for m in reader.messages)
    return [event["offset"] for group in events for event in group]


async def test_an_event_in_an_open_window_survives_a_new_filter(autojump_clock: MockClock) -> None:
    """It was published under the old filter, so that one judges it, and it leaves before the change is confirmed."""
    hub = Hub(clock=trio.current_time)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        reader = Reader(hub)
        old = compile_filter({"n": {"gte": 0}}, hub.limits)
        hub.attach_cursor(reader, "numbers", where=old, batch=Batch(events=10, seconds=0.1))
        hub.publish("numbers", "number", {"n": 1})
        hub.replace_filter(reader, "numbers", compile_filter({"n": 3}, hub.limits))
        assert offsets(reader) == [1]
        hub.publish("numbers", "number", {"n": 2})
        hub.publish("numbers", "number", {"n": 3})
        await trio.sleep(1)
        assert offsets(reader) == [1, 3]
        nursery.cancel_scope.cancel()


async def test_a_window_given_up_for_none_delivers_at_once(autojump_clock: MockClock) -> None:
    hub = Hub(clock=trio.current_time)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        reader = Reader(hub)
        hub.attach_cursor(reader, "numbers", batch=Batch(events=10, seconds=10))
        hub.publish("numbers", "number", 1)
        hub.attach_cursor(reader, "numbers", where=MATCH_ALL)
        hub.publish("numbers", "number", 2)
        await wait_all_tasks_blocked()
        assert offsets(reader) == [1, 2]
        assert hub.statistics().timers == 0
        nursery.cancel_scope.cancel()


async def test_position_waits_for_what_a_newer_event_stands_for(autojump_clock: MockClock) -> None:
    """
    With keys, a newer event takes an older one's place in the backlog. Until it is delivered, the older one is owed: a
    client that comes back with the position of an event between the two must still be told of both.
    """
    hub = Hub(
        limits=Limits(lag_events=100),
        namespaces={"keyed": Namespace(overflow=Overflow.CONFLATE)},
        clock=trio.current_time,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        reader = Reader(hub)
        reader.taking = False
        hub.attach_cursor(reader, "keyed")
        for key in ("a", "b", "a"):
            hub.publish("keyed", "value", key, key=key)
            await wait_all_tasks_blocked()
        first = reader.read_one()
        assert first["offset"] == 2
        position = Position.parse(first["position"])
        assert position.offset == 0, "the first event is owed until the third, which stands for it, is delivered"
        second = reader.read_one()
        assert (second["offset"], second["conflated"]) == (3, 1)
        assert Position.parse(second["position"]).offset == 3
        again = Reader(hub)
        outcome = hub.attach_cursor(again, "keyed", since=FromPosition(position))
        assert outcome.recovered
        await wait_all_tasks_blocked()
        assert offsets(again) == [1, 2, 3]
        nursery.cancel_scope.cancel()
