"""
Two ends of a connection in memory, each able to misbehave as a network peer would.

Like a socket's, an end's bytes wait on the way until the other end reads them; unlike a socket's, how many may wait,
how long they take and when it all breaks is the test's to say, and exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from operator import index
from typing import Final

import trio
from attrs import define, field

__all__ = ["CloggedStream", "clogged_stream_pair"]

_RECEIVE_BYTES: Final = 64 * 1024


@define(eq=False)
class _Way:
    """One direction."""

    buffer: bytearray = field(factory=bytearray)
    room: float = math.inf
    """Bytes that may still enter."""
    capacity: float = math.inf
    """Bytes that may be on the way or unread."""
    delay: float = 0.0
    """Seconds that bytes are on their way."""
    arrivals: list[tuple[float, int]] = field(factory=list)
    """When the next so many bytes may be read: times on Trio's clock."""
    ended: bool = False
    """Its writer will write nothing more."""
    broken: bool = False
    """Cut: nothing passes any more, either way."""
    lot: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    users: set[str] = field(factory=set)
    """Which ends, the writer's or the reader's, a task is at work on."""

    @contextmanager
    def used_by(self, user: str) -> Iterator[None]:
        if user in self.users:
            raise trio.BusyResourceError("another task is using this end of the stream")
        self.users.add(user)
        try:
            yield
        finally:
            self.users.discard(user)

    def changed(self) -> None:
        self.lot.unpark_all()

    @property
    def open_for(self) -> float:
        return min(self.room, self.capacity - len(self.buffer))

    def put(self, data: memoryview) -> int:
        taken = int(max(0, min(len(data), self.open_for)))
        if taken:
            self.buffer += data[:taken]
            self.room -= taken
            self.arrivals.append((trio.current_time() + self.delay, taken))
            self.changed()
        return taken

    def readable(self) -> int:
        now = trio.current_time()
        return sum(count for due, count in self.arrivals if due <= now)

    def take(self, maximum: int) -> bytes:
        count = min(maximum, self.readable())
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        while count:
            due, waiting = self.arrivals.pop(0)
            if waiting > count:
                self.arrivals.insert(0, (due, waiting - count))
            count -= min(waiting, count)
        self.changed()
        return data

    async def wait(self) -> None:
        """Wait until something changed, or bytes on their way arrive."""
        now = trio.current_time()
        with trio.CancelScope(deadline=min((due for due, _ in self.arrivals if due > now), default=math.inf)):
            await self.lot.park()


@define(eq=False)
class CloggedStream(trio.abc.HalfCloseableStream):
    """
    One end of `clogged_stream_pair`: a stream whose holder can stop reading, delay, half-close or cut.

    Each fault concerns what the *other* end then sees. A fresh pair has none: whatever is sent arrives at once.
    """

    _incoming: _Way
    _outgoing: _Way
    _closed: bool = field(default=False, init=False)

    # Faults

    def clog(self, after_bytes: int = 0) -> None:
        """Take `after_bytes` more bytes from the other end, then none: its `send_all` waits, as on a full socket."""
        self._incoming.room = after_bytes

    def unclog(self, bytes: float = math.inf) -> None:
        """Take so many bytes more from the other end; by default all."""
        self._incoming.room += bytes
        self._incoming.changed()

    def hold(self, bytes: int) -> None:
        """Take no more than so many bytes that were not read yet, as a socket's buffer does."""
        self._incoming.capacity = bytes

    def delay(self, seconds: float) -> None:
        """Let what is sent from now on, either way, arrive so many seconds later."""
        self._incoming.delay = self._outgoing.delay = seconds

    def cut(self) -> None:
        """Break the connection both ways, bytes on their way included: the other end gets `BrokenResourceError`."""
        for way in (self._incoming, self._outgoing):
            way.broken = True
            way.changed()

    @property
    def unread(self) -> int:
        """Bytes from the other end that were not received yet."""
        return len(self._incoming.buffer)

    # The stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send, waiting for room where the other end is clogged; a checkpoint."""
        way, rest = self._outgoing, memoryview(data)
        with way.used_by("writer"):
            await trio.lowlevel.checkpoint()
            if way.ended and not self._closed:
                raise trio.ClosedResourceError("the end of the stream was sent already")
            while True:
                self._check(way)
                rest = rest[way.put(rest) :]
                if not rest:
                    return
                await way.wait()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until a byte can be sent; a checkpoint."""
        way = self._outgoing
        with way.used_by("writer"):
            await trio.lowlevel.checkpoint()
            while way.open_for <= 0 and not (way.broken or self._closed):
                await way.wait()
            self._check(way)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes, empty at the end of the stream; a checkpoint."""
        maximum = _RECEIVE_BYTES if max_bytes is None else index(max_bytes)
        if maximum < 1:
            raise ValueError(f"max_bytes must be at least 1, not {max_bytes}")
        way = self._incoming
        with way.used_by("reader"):
            await trio.lowlevel.checkpoint()
            while True:
                self._check(way)
                if way.readable():
                    return way.take(maximum)
                if way.ended and not way.buffer:
                    return b""
                await way.wait()

    async def send_eof(self) -> None:
        """End this end's sending: the other end reads to the end of the stream."""
        way = self._outgoing
        with way.used_by("writer"):
            await trio.lowlevel.checkpoint()
            self._check(way)
            way.ended = True
            way.changed()

    async def aclose(self) -> None:
        """Close: the other end reads what was sent and then the end, and can send nothing more."""
        self._closed = True
        self._outgoing.ended = True
        self._incoming.broken = True
        for way in (self._incoming, self._outgoing):
            way.changed()
        await trio.lowlevel.checkpoint()

    def _check(self, way: _Way) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this end was closed")
        if way.broken:
            raise trio.BrokenResourceError("the connection is gone")


def clogged_stream_pair() -> tuple[CloggedStream, CloggedStream]:
    """Two connected ends."""
    there, back = _Way(), _Way()
    return CloggedStream(there, back), CloggedStream(back, there)
