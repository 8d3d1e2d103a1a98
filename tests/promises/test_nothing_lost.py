"""
Promise: every event that a subscription matches is delivered, or named in a `dropped` notice, or the client is told
`recovered: false`. Over filters, lanes, batches, keys, drops and reconnects, with a connection that takes bytes when it
pleases and may break with bytes in flight.
"""

from __future__ import annotations

import json
import select
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcore._fast import AVAILABLE, SlotOwner, SocketTable
from rtcore.application import ApplicationHub
from rtcore.hub.encoding import Encoding
from rtcore.hub.filters import compile_filter
from rtcore.hub.hub import Hub
from rtcore.hub.results import Batch, Range
from rtcore.hub.subscriber import Subscriber
from rtcore.values.channels import Namespace, Overflow
from rtcore.values.events import Lane
from rtcore.values.limits import Limits
from rtcore.values.positions import FromPosition, Position

CHANNELS = ("plain", "keyed")
LANES = {lane.name.lower(): lane for lane in Lane}


class Text(Encoding):
    """An encoding whose messages are read one after the other."""

    def wire(self, text: bytes) -> bytes:
        return text


class Wire(Subscriber):
    """A connection whose system takes so many writes, and whose writes arrive one by one."""

    def __init__(self, hub: Hub, limits: Limits) -> None:
        super().__init__(
            Text(), hub.counters, lag_events=limits.lag_events, lag_bytes=limits.lag_bytes, clock=hub.clock
        )
        self.hub = hub
        self.capacity = 2
        self.in_flight: deque[bytes] = deque()

    def flush(self) -> None:
        while not self.blocked:
            if len(self.in_flight) >= self.capacity:
                self.fall_behind()
            elif data := self.take(300):
                self.in_flight.append(data)
            else:
                return

    def drain(self) -> None:
        while len(self.in_flight) < self.capacity:
            if data := self.take(300):
                self.in_flight.append(data)
            else:
                self.catch_up()
                return

    def overflowed(self) -> None:
        raise AssertionError("no channel here disconnects")

    def arrived(self, count: int) -> list[str]:
        """Whole messages of the next `count` writes."""
        texts = [self.in_flight.popleft().decode() for _ in range(min(count, len(self.in_flight)))]
        return [message for text in texts for message in split(text)[0]]

    @property
    def settled(self) -> bool:
        return not self.in_flight and not self.blocked

    def close(self) -> None:
        return None


class SocketWire(Subscriber):
    """A connection over a real socket with a small buffer, written to by the fan-out itself."""

    def __init__(self, hub: Hub, limits: Limits) -> None:
        ours, self.peer = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        self.peer.setblocking(False)
        self.table = SocketTable()
        super().__init__(
            Text(),
            hub.counters,
            lag_events=limits.lag_events,
            lag_bytes=limits.lag_bytes,
            clock=hub.clock,
            slot=self.table.add(ours.detach(), cast("SlotOwner", self)),
        )
        self.capacity = 0  # the system's own
        self.unsent = b""
        self.text = ""

    def flush(self) -> None:
        while not self.blocked and (data := self.take(300)):
            self.write(data)

    def write(self, data: bytes) -> None:
        assert self.slot is not None
        sent = self.slot.send(data)
        if sent < len(data):
            self.cut_short(data[sent:], 0)

    def cut_short(self, rest: bytes | memoryview, error: int) -> None:
        assert not error
        self.unsent = bytes(rest)
        if not self.blocked:
            self.fall_behind()

    def drain(self) -> None:
        while data := self.unsent or self.take(300):
            self.unsent = b""
            self.write(data)
            if self.unsent:
                return
        self.catch_up()

    def overflowed(self) -> None:
        raise AssertionError("no channel here disconnects")

    def arrived(self, count: int) -> list[str]:
        """Whole messages of the next bytes."""
        with suppress(BlockingIOError):
            self.text += self.peer.recv(250 * count).decode()
        messages, self.text = split(self.text)
        return messages

    @property
    def settled(self) -> bool:
        return not self.blocked and not select.select([self.peer], [], [], 0)[0]

    def close(self) -> None:
        self.table.close()
        self.peer.close()


def split(text: str) -> tuple[list[str], str]:
    """Messages that lie end to end, and the rest that is not whole."""
    messages = []
    while text:
        try:
            _, end = json.JSONDecoder().raw_decode(text)
        except json.JSONDecodeError:
            break
        messages.append(text[:end])
        text = text[end:]
    return messages, text


WIRES: dict[str, Callable[[Hub, Limits], Wire | SocketWire]] = {"memory": Wire, "socket": SocketWire}


class Client:
    """What a client does that keeps the last position it was given, and nothing else."""

    def __init__(
        self, hub: Hub, where: dict[str, Any] | None, batch: Batch | None, limits: Limits, over: str
    ) -> None:
        self.over = over
        self.hub, self.limits, self.where, self.batch = hub, limits, where, batch
        self.positions: dict[str, Position] = {}
        self.delivered: dict[tuple[str, int], int] = {}
        self.ahead: dict[tuple[str, str], int] = {}
        self.named: set[tuple[str, int]] = set()
        self.stood_for: dict[str, int] = dict.fromkeys(CHANNELS, 0)
        self.pardoned: set[tuple[str, int]] = set()
        self.log: list[tuple[str, int, int]] = []  # channel, offset, lane of all that was published
        self.connect()

    def connect(self) -> None:
        self.wire = WIRES[self.over](self.hub, self.limits)
        where = compile_filter(self.where, self.limits)
        for channel in CHANNELS:
            since = FromPosition(self.positions[channel]) if channel in self.positions else None
            outcome = self.hub.attach_cursor(self.wire, channel, where=where, since=since, batch=self.batch)
            if outcome.recovered is False:  # told so: whatever was published until now may be gone
                self.pardoned.update((c, offset) for c, offset, _ in self.log if c == channel)
            self.positions[channel] = outcome.position

    def break_off(self, arrived: int) -> None:
        self.read(arrived)
        self.hub.detach(self.wire)
        self.wire.close()
        self.connect()

    def resubscribe(self) -> None:
        """The same filter again where it stands, on a live connection: nothing may go missing at the seam."""
        where = compile_filter(self.where, self.limits)
        for channel in CHANNELS:
            self.hub.attach_cursor(self.wire, channel, where=where, batch=self.batch)

    def read(self, count: int) -> None:
        for text in self.wire.arrived(count):
            message = json.loads(text)
            for event in message["data"]["events"] if message["type"] == "batch" else [message]:
                self.take(event)
        if self.wire.blocked:
            self.wire.drain()

    def take(self, message: dict[str, Any]) -> None:
        if message["type"] == "dropped":
            data = message["data"]
            self.positions[data["channel"]] = Position.parse(data["position"])
            self.stood_for[data["channel"]] += data.get("conflated", 0)
            self.take_ranges(data)
            return
        place = (message["channel"], message["offset"])
        self.delivered[place] = self.delivered.get(place, 0) + 1
        self.stood_for[message["channel"]] += message.get("conflated", 0)
        self.positions[message["channel"]] = Position.parse(message["position"])

    def take_ranges(self, data: dict[str, Any]) -> None:
        count = 0
        for span in data["ranges"]:
            lane = LANES[span["lane"]]
            named = [
                (c, o)
                for c, o, its_lane in self.log
                if c == data["channel"] and its_lane == lane and span["from"] <= o <= span["to"] and self.matches(c, o)
            ]
            fresh = [place for place in named if place not in self.delivered]
            assert data["channel"] == "keyed" or len(fresh) == span["count"], "a notice names exactly what was lost"
            self.named.update(fresh)
            count += span["count"]
        assert count == data["count"] == sum(data["types"].values())

    def matches(self, channel: str, offset: int) -> bool:
        return (channel, offset) in self.matching

    matching: set[tuple[str, int]]


publish = st.tuples(
    st.just("publish"),
    st.sampled_from(CHANNELS),
    st.sampled_from(["task.progress", "task.failed", "tool.output"]),
    st.sampled_from([None, "k1", "k2"]),
    st.integers(1, 8),
)
operation = st.one_of(
    publish,
    publish,
    st.tuples(st.just("tick")),
    st.tuples(st.just("wait")),
    st.tuples(st.just("read"), st.integers(1, 4)),
    st.tuples(st.just("break"), st.integers(0, 2)),
    st.tuples(st.just("capacity"), st.integers(0, 4)),
    st.tuples(st.just("resubscribe")),
)


@pytest.mark.parametrize(
    "over", ["memory", pytest.param("socket", marks=pytest.mark.skipif(not AVAILABLE, reason="epoll is Linux's"))]
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    operations=st.lists(operation, min_size=30, max_size=80),
    where=st.sampled_from([None, {"type": "task.*"}, {"parity": 0}, {"type": ["tool.output", "task.failed"]}]),
    batch=st.sampled_from([None, Batch(events=3, seconds=0.1)]),
    history=st.sampled_from([3, 30, 1000]),
)
def test_every_matching_event_is_delivered_named_or_given_up_openly(
    over: str, operations: list[tuple[Any, ...]], where: dict[str, Any] | None, batch: Batch | None, history: int
) -> None:
    """The first promise of the design, over random lives of a connection."""
    trio.run(live, over, operations, where, batch, history, clock=trio.testing.MockClock(autojump_threshold=0))


async def live(
    over: str, operations: list[tuple[Any, ...]], where: dict[str, Any] | None, batch: Batch | None, history: int
) -> None:
    limits = Limits(lag_events=6, lag_bytes=2000, history_events=history)
    # Every feature is joined, and one of them publishes from within each publication.
    namespaces = {"keyed": Namespace(overflow=Overflow.CONFLATE)}
    hub = ApplicationHub(limits=limits, namespaces=namespaces, clock=trio.current_time)
    test = compile_filter(where, limits)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        await nursery.start(watch_activity, hub)
        client = Client(hub, where, batch, limits, over)
        client.matching = set()
        for name, *arguments in operations:
            if name == "publish":
                channel, event_type, key, count = arguments
                for _ in range(count):
                    data = {"parity": len(client.log) % 2}
                    newest = hub.position(channel)
                    offset = 1 if newest is None else newest.offset + 1
                    lane = {"task.failed": Lane.HIGH, "tool.output": Lane.LOW}.get(event_type, Lane.NORMAL)
                    client.log.append((channel, offset, lane))
                    if test.matches(event_type, channel, data):
                        client.matching.add((channel, offset))
                    outcome = hub.publish(channel, event_type, data, key=key)
                    assert outcome.offset == offset
                    assert outcome.matched == outcome.sent + outcome.queued + outcome.dropped
            elif name == "tick":
                await trio.testing.wait_all_tasks_blocked()
            elif name == "wait":
                await trio.sleep(1)
            elif name == "read":
                client.read(*arguments)
            elif name == "break":
                client.break_off(*arguments)
            elif name == "resubscribe":
                client.resubscribe()
            else:
                client.wire.capacity = arguments[0]
        await trio.sleep(1)
        client.wire.capacity = 2
        while not client.wire.settled:
            client.read(1)
            await trio.sleep(1)
        client.wire.close()
        check(client)
        nursery.cancel_scope.cancel()


async def watch_activity(hub: Hub, *, task_status: trio.TaskStatus[None]) -> None:
    async with hub.subscribe("activity") as activities:
        task_status.started()
        async for _ in activities:
            pass


def check(client: Client) -> None:
    for channel in CHANNELS:
        wanted = {place for place in client.matching if place[0] == channel}
        missing = wanted - set(client.delivered) - client.named - client.pardoned
        assert len(missing) <= client.stood_for[channel], f"lost in silence: {sorted(missing)}"
        if channel == "plain":
            assert not missing
            assert client.stood_for[channel] == 0
    repeated = {place for place, times in client.delivered.items() if times > 1}
    assert not repeated - client.pardoned, "nothing is delivered twice while positions hold"
    assert not {place for place in client.delivered if place not in client.matching}, "the filter holds"


async def test_a_dropped_range_can_be_had_again_while_history_holds_it(autojump_clock: trio.testing.MockClock) -> None:
    """In-band repair: what a notice names, `history` gives back exactly."""
    limits = Limits(lag_events=5, history_events=100)
    hub = Hub(limits=limits, clock=trio.current_time)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        wire = Wire(hub, limits)
        wire.capacity = 0
        hub.attach_cursor(wire, "plain")
        for number in range(40):
            hub.publish("plain", "tool.output" if number % 2 else "task.progress", {"number": number})
            await trio.testing.wait_all_tasks_blocked()
        wire.capacity = 100
        wire.drain()
        messages = [json.loads(part) for part in wire.arrived(100)]
        notices = [message["data"] for message in messages if message["type"] == "dropped"]
        ranges = [
            Range(lane=LANES[span["lane"]], first=span["from"], last=span["to"])
            for notice in notices
            for span in notice["ranges"]
        ]
        page = hub.history("plain", ranges=ranges)
        repaired = {event.offset for event in page.events}
        delivered = {message["offset"] for message in messages if message["type"] != "dropped"}
        assert len(notices) == 1
        assert len(repaired) == notices[0]["count"] == 35
        assert repaired | delivered == set(range(1, 41))
        assert not repaired & delivered
        assert page.recovered
        nursery.cancel_scope.cancel()
