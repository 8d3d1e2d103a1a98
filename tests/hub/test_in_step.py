"""Many subscribers over sockets: who keeps up is written to alike, who does not is not, and nobody is mixed up."""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from rtcore._fast import AVAILABLE, SlotOwner, SocketTable
from rtcore.hub.encoding import Encoding
from rtcore.hub.hub import Hub
from rtcore.hub.results import Batch
from rtcore.hub.subscriber import Subscriber
from rtcore.values.limits import Limits
from rtcore.values.positions import last

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="epoll is Linux's")

OpenHub = Callable[..., Hub]


class Lines(Encoding):
    """One line a message."""

    def wire(self, text: bytes) -> bytes:
        return text + b"\n"


LINES = Lines()  # one for all: an encoding is part of a view's identity


class Reader(Subscriber):
    """A socket's subscriber, and its peer."""

    def __init__(self, hub: Hub, table: SocketTable) -> None:
        ours, self.peer = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.peer.setblocking(False)
        slot = table.add(ours.detach(), cast("SlotOwner", self))
        super().__init__(
            LINES, hub.counters, lag_events=1000, lag_bytes=1_000_000, clock=hub.clock, slot=slot
        )
        self.hub = hub
        self.own: list[bytes] = []
        self.unsent = b""
        self.alone = 0
        self.on_cut: Callable[[], object] = lambda: None

    def say(self, text: str) -> None:
        self.own.append(text.encode() + b"\n")
        self.hub.broadcaster.mark(self)

    def flush(self) -> None:
        if self.blocked:
            return
        self.alone += 1
        self.write(b"".join(self.own) + self.take(1_000_000))
        self.own.clear()

    def write(self, data: bytes) -> None:
        assert self.slot is not None
        sent = self.slot.send(data) if data else 0
        if sent < len(data):
            self.cut_short(data[sent:], 0)

    def cut_short(self, rest: bytes | memoryview, error: int) -> None:
        self.unsent = bytes(rest)
        if not self.blocked:
            self.fall_behind()
        self.on_cut()

    def overflowed(self) -> None:
        raise AssertionError("no channel here disconnects")

    def read(self) -> bytes:
        """All that came; what still waits is written on the way."""
        data = b""
        while True:
            try:
                data += self.peer.recv(1 << 20)
            except BlockingIOError:
                if not self.blocked:
                    return data
                rest, self.unsent = self.unsent or self.take(2000), b""
                if rest:
                    self.write(rest)
                else:
                    self.catch_up()

    def offsets(self) -> list[tuple[str, int]]:
        return [(each["channel"], each["offset"]) for each in map(json.loads, self.read().splitlines())]


@pytest.fixture
def make_reader() -> Iterator[Callable[[Hub], Reader]]:
    table = SocketTable()
    made: list[Reader] = []

    def make(hub: Hub) -> Reader:
        made.append(Reader(hub, table))
        return made[-1]

    yield make
    table.close()
    for reader in made:
        reader.peer.close()


async def test_nobody_is_flushed_alone_who_keeps_up(
    open_hub: OpenHub, make_reader: Callable[[Hub], Reader], autojump_clock: MockClock
) -> None:
    """Per delivery there is no Python: a hundred subscribers of three channels cost three slices and no flush."""
    hub = open_hub()
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        readers = [make_reader(hub) for _ in range(100)]
        for reader in readers:
            for channel in "abc":
                hub.attach_cursor(reader, channel)
        await wait_all_tasks_blocked()
        for reader in readers:
            reader.alone = 0
        writes = hub.broadcaster.writes
        for channel in "abc":
            hub.publish(channel, "t", 1)
            hub.publish(channel, "t", 2)
        await wait_all_tasks_blocked()
        assert [reader.alone for reader in readers] == [0] * 100
        assert hub.broadcaster.writes - writes == 100, "one write each, whatever the number of its views"
        wanted = [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("c", 1), ("c", 2)]
        assert all(reader.offsets() == wanted for reader in readers)
        nursery.cancel_scope.cancel()


async def test_who_was_flushed_alone_is_in_step_again_after_the_tick(
    open_hub: OpenHub, make_reader: Callable[[Hub], Reader], autojump_clock: MockClock
) -> None:
    """A reply, a replay or a slow moment must not leave a subscriber on the expensive way for ever."""
    hub = open_hub()
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        for _ in range(5):
            hub.publish("a", "t", None)
        talks, replays, lags = (make_reader(hub) for _ in range(3))
        hub.attach_cursor(talks, "a")
        hub.attach_cursor(replays, "a", since=last(3))
        hub.attach_cursor(lags, "a")
        talks.say("{}")
        hub.publish("a", "t", None)
        lags.fall_behind()
        hub.publish("a", "t", None)
        await wait_all_tasks_blocked()
        lags.read()
        hub.publish("a", "t", None)
        await wait_all_tasks_blocked()
        view = talks.cursors["a"].view
        assert (len(view.in_step), view.strays, view.behind) == (3, {}, {})
        for reader in (talks, replays, lags):
            reader.alone = 0
        hub.publish("a", "t", None)
        await wait_all_tasks_blocked()
        assert [reader.alone for reader in (talks, replays, lags)] == [0, 0, 0]
        nursery.cancel_scope.cancel()


async def test_own_message_comes_before_the_events_of_a_burst_that_leaves_inside_publish(
    open_hub: OpenHub, make_reader: Callable[[Hub], Reader], autojump_clock: MockClock
) -> None:
    """`subscribed` comes before the first event of that channel, also when 300 events follow without a tick between."""
    hub = open_hub()
    reader, other = make_reader(hub), make_reader(hub)
    for each in (reader, other):
        hub.attach_cursor(each, "a")
    hub.broadcaster.flush()
    reader.say('{"channel": "own", "offset": 0}')
    for number in range(300):
        hub.publish("a", "t", number)
    hub.broadcaster.flush()
    assert reader.offsets() == [("own", 0), *(("a", offset) for offset in range(1, 301))]
    assert other.offsets() == [("a", offset) for offset in range(1, 301)]


async def test_a_connection_may_end_and_others_publish_inside_a_fan_out(
    open_hub: OpenHub, make_reader: Callable[[Hub], Reader], autojump_clock: MockClock
) -> None:
    """What is done about a socket that did not take everything may change the very groups that were written to."""
    hub = open_hub()
    readers = [make_reader(hub) for _ in range(6)]
    for reader in readers:
        hub.attach_cursor(reader, "a")
        hub.attach_cursor(reader, "b")
    hub.broadcaster.flush()
    first, second, third = readers[:3]

    def end_others_and_publish() -> None:
        first.on_cut = lambda: None
        for reader in (second, third):
            hub.detach(reader)
            assert reader.slot is not None
            reader.slot.close()
        hub.publish("b", "t", "inside")

    first.on_cut = end_others_and_publish
    assert first.slot is not None
    while first.slot.send(bytes(100)):
        pass
    hub.publish("a", "t", 1)
    hub.broadcaster.flush()
    hub.publish("a", "t", 2)
    hub.broadcaster.flush()
    for reader in readers[3:]:
        assert reader.offsets() == [("a", 1), ("b", 1), ("a", 2)]
    assert first.read().lstrip(b"\0").count(b"\n") == 3


class PublishingFanOut:
    """The fan-out, with a publication in the middle of its second round: as a connection's end may cause one."""

    def __init__(self, hub: Hub, inner: Any) -> None:
        self.hub, self.inner, self.rounds = hub, inner, 0

    def add(self, group: Any, data: bytes) -> bool:
        return bool(self.inner.add(group, data))

    def send(self) -> Any:
        failures = self.inner.send()
        self.rounds += 1
        if self.rounds == 2:
            self.hub.publish("b", "t", "in the middle")
        return failures


async def test_what_is_published_in_the_middle_of_a_fan_out_reaches_those_already_served(
    open_hub: OpenHub, make_reader: Callable[[Hub], Reader], autojump_clock: MockClock
) -> None:
    """Channel b is done in the first round, a takes two; then b has one event more."""
    hub = open_hub()
    reader = make_reader(hub)
    assert reader.slot is not None
    with socket.socket(fileno=os.dup(reader.slot.descriptor)) as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    single = make_reader(hub)
    taken: list[bytes] = []
    single.slot, single.write = None, taken.append  # type: ignore[method-assign]  # as over a stream
    for each in (reader, single):
        for channel in "ab":
            hub.attach_cursor(each, channel)
    hub.broadcaster.flush()
    fan_out = PublishingFanOut(hub, hub.broadcaster._fan_out)
    hub.broadcaster._fan_out = cast("Any", fan_out)
    for number in range(2):
        hub.publish("a", "t", str(number) * 50_000)
    hub.publish("b", "t", "first")
    hub.broadcaster.flush()
    assert fan_out.rounds == 3
    assert sorted(reader.offsets()) == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert sorted(events_of(b"".join(taken))) == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]


@pytest.mark.parametrize("seed", range(20))
async def test_random_lives_of_many_readers(
    open_hub: OpenHub, make_reader: Callable[[Hub], Reader], autojump_clock: MockClock, seed: int
) -> None:
    """Coming, going, lagging and talking in any order: each reader has every event from its beginning to its end."""
    choice = random.Random(seed)
    hub = open_hub(limits=Limits(history_events=1000))
    batch = Batch(events=3, seconds=0.1) if seed % 4 == 0 else None
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        alive: dict[Reader, tuple[list[Any], dict[str, int]]] = {}
        published = {"a": 0, "b": 0}
        for _ in range(150):
            action = choice.random()
            if action < 0.15 or not alive:
                reader = make_reader(hub)
                for channel in published:
                    hub.attach_cursor(reader, channel, batch=batch)
                alive[reader] = ([], dict(published))
            elif action < 0.2:
                hub.detach(alive.popitem()[0])
            elif action < 0.3:
                choice.choice(list(alive)).say("{}")
            elif action < 0.5:
                reader = choice.choice(list(alive))
                alive[reader][0].extend(events_of(reader.read()))
            elif action < 0.6:
                await wait_all_tasks_blocked()
            else:
                for _ in range(choice.randrange(1, 20)):
                    channel = choice.choice("ab")
                    published[channel] += 1
                    hub.publish(channel, "t", "x" * choice.randrange(200))
        await trio.sleep(1)
        for reader, (had, began) in alive.items():
            await wait_all_tasks_blocked()
            had.extend(events_of(reader.read()))
            for channel, newest in published.items():
                offsets = [offset for name, offset in had if name == channel]
                assert offsets == list(range(began[channel] + 1, newest + 1))
        nursery.cancel_scope.cancel()


def events_of(data: bytes) -> list[tuple[str, int]]:
    events = []
    for message in map(json.loads, data.splitlines()):
        for event in message["data"]["events"] if message.get("type") == "batch" else [message]:
            if event:
                events.append((event["channel"], event["offset"]))
    return events
