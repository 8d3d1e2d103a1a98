"""A frame is made once per event and encoding, however many filters let the event pass."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from rtcore.hub.encoding import Encoding
from rtcore.hub.filters import compile_filter
from rtcore.hub.hub import Hub
from rtcore.hub.subscriber import Subscriber


class Counting(Encoding):
    """An encoding that counts its work."""

    def __init__(self) -> None:
        self.made = 0

    def wire(self, text: bytes) -> bytes:
        self.made += 1
        return text


class Reader(Subscriber):
    def __init__(self, hub: Hub, encoding: Counting) -> None:
        super().__init__(encoding, hub.counters, lag_events=100, lag_bytes=100_000, clock=hub.clock)
        self.taken = b""

    def flush(self) -> None:
        while data := self.take(64 * 1024):
            self.taken += data

    def overflowed(self) -> None:
        raise AssertionError("no channel here disconnects")


async def test_views_with_different_filters_share_their_frames(autojump_clock: MockClock) -> None:
    hub = Hub(clock=trio.current_time)
    encoding = Counting()
    readers = [Reader(hub, encoding) for _ in range(20)]
    for number, reader in enumerate(readers):
        where = compile_filter({"n": {"gte": -number}}, hub.limits)
        hub.attach_cursor(reader, "numbers", where=where)
    for n in range(5):
        hub.publish("numbers", "number", {"n": n})
    hub.broadcaster.flush()
    assert encoding.made == 5
    assert {reader.taken for reader in readers} == {readers[0].taken}
    assert readers[0].taken


async def test_each_encoding_has_frames_of_its_own(autojump_clock: MockClock) -> None:
    """The first encoding that asks is kept apart from the others: none may be given the form of another."""

    class Marked(Counting):
        def __init__(self, mark: bytes) -> None:
            super().__init__()
            self.mark = mark

        def wire(self, text: bytes) -> bytes:
            return self.mark + super().wire(text)

    hub = Hub(clock=trio.current_time)
    encodings = [Marked(mark) for mark in (b"<", b">", b"|")]
    readers = [Reader(hub, encoding) for encoding in encodings for _ in range(2)]
    for number, reader in enumerate(readers):
        hub.attach_cursor(reader, "numbers", where=compile_filter({"n": {"gte": -number}}, hub.limits))
    for n in range(3):
        hub.publish("numbers", "number", {"n": n})
    hub.broadcaster.flush()
    for reader in readers:
        assert isinstance(reader.encoding, Marked)
        assert [reader.taken.count(each.mark) for each in encodings] == [
            3 * (each is reader.encoding) for each in encodings
        ]
    assert [encoding.made for encoding in encodings] == [3, 3, 3]
