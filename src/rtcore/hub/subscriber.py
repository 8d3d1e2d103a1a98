"""
A subscriber: one connection, or one block in this process, with its cursors and its backlog.

The broadcaster calls `flush` once a tick. A subscriber that can take more is handed slices of its views; one that
cannot is
`blocked`: what it has not had moves to its backlog, where lanes and limits rule, until it has drained.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from rtcore._fast import SocketSlot, join
from rtcore.hub.backlog import Backlog
from rtcore.hub.counters import Counters
from rtcore.hub.cursor import Cursor, Loss, Waiting
from rtcore.hub.encoding import Encoding
from rtcore.hub.entry import Entry
from rtcore.hub.statistics import SubscriberStatistics
from rtcore.protocol.envelope import encode_dropped
from rtcore.values.channels import Overflow

__all__ = ["Subscriber"]


_NONE: Final[Mapping[str, Cursor]] = MappingProxyType({})


@lru_cache(maxsize=64)
def _lag_bounds(events: int, bytes: int) -> tuple[int, int]:
    """One pair for all who have the same bounds."""
    return events, bytes


class Subscriber(ABC):
    """
    Args:
        encoding: The wire form of its views; None: it takes the events themselves.
        counters: The hub's counters.
        lag_events: Live events that may wait for it.
        lag_bytes: Bytes of live events that may wait for it.
        clock: Unix seconds.
        slot: The socket that the fan-out may write to directly; None where only `flush` can hand anything over.
    """

    __slots__ = (
        "_backlog",
        "_clock",
        "_lag",
        "blocked",
        "counters",
        "cursors",
        "dropped",
        "encoding",
        "slot",
    )

    def __init__(
        self,
        encoding: Encoding | None,
        counters: Counters,
        *,
        lag_events: int,
        lag_bytes: int,
        clock: Callable[[], float],
        slot: SocketSlot | None = None,
    ) -> None:
        self.encoding = encoding
        self.counters = counters
        self.cursors: Mapping[str, Cursor] = _NONE
        """By channel."""
        self._lag = _lag_bounds(lag_events, lag_bytes)
        self._backlog: Backlog | None = None
        self.blocked = False
        self.dropped = 0
        """Events it has lost so far, each named in a notice."""
        self.slot = slot
        self._clock = clock

    @property
    def backlog(self) -> Backlog:
        """What waits for it; made when first asked for, since most subscribers keep up for ever."""
        if self._backlog is None:
            self._backlog = Backlog(*self._lag)
        return self._backlog

    @property
    def lagging(self) -> bool:
        """Whether something waits for it, or a loss has to be told."""
        return self._backlog is not None and bool(self._backlog)

    @property
    def waiting_events(self) -> int:
        """Events that wait for it."""
        return 0 if self._backlog is None else self._backlog.waiting

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the live ones among them."""
        return 0 if self._backlog is None else self._backlog.bytes

    def hold(self, cursor: Cursor) -> None:
        """Take a cursor, in place of one for the same channel."""
        if isinstance(self.cursors, dict):
            self.cursors[cursor.channel] = cursor
        else:  # the first: until then it held no dictionary
            self.cursors = {cursor.channel: cursor}

    def release(self, channel: str) -> Cursor | None:
        """Give up the cursor of a channel; None if there is none."""
        return self.cursors.pop(channel, None) if isinstance(self.cursors, dict) else None

    def discard(self, cursor: Cursor) -> None:
        """Forget what waits for a cursor that is leaving."""
        if self._backlog is not None:
            self._backlog.discard(cursor)

    @property
    def replying(self) -> bool:
        """Whether messages of its own wait, which leave before any event."""
        return False

    @property
    def over(self) -> bool:
        """Whether its connection is over, so that nothing more may be done in its name."""
        return False

    def statistics(self) -> SubscriberStatistics:
        """A snapshot of what it has subscribed to and what waits for it."""
        return SubscriberStatistics(
            subscriptions=len(self.cursors),
            behind=self.blocked,
            backlog_events=self.waiting_events,
            backlog_bytes=self.waiting_bytes,
            dropped=self.dropped,
            positions={channel: cursor.position for channel, cursor in self.cursors.items()},
        )

    @abstractmethod
    def flush(self) -> None:
        """Hand over what is due, as far as it is taken, without blocking."""

    def cut_short(self, rest: bytes | memoryview, error: int) -> None:
        """
        The fan-out wrote to its socket, and the system did not take everything; only asked where there is a `slot`.

        Args:
            rest: What is left of the write; it has to leave before anything else does.
            error: Number of the system's error; 0: there is no more room just now.
        """
        raise AssertionError("only a subscriber with a socket is written to by the fan-out")

    def undeliverable(self) -> None:
        """
        What it is owed could not be made or handed over, through a fault of ours: nothing more is, and it ends.

        Nothing that would fail again is tried. The fault is in the log.
        """
        raise AssertionError("a subscriber that can end says how")

    @abstractmethod
    def overflowed(self) -> None:
        """A channel's rule is to disconnect it when it has no room left, and that is so: afterwards nothing waits."""

    def queue(self, cursor: Cursor, entry: Entry) -> bool:
        """Let a new event wait for a cursor that is behind; returns whether there was room, so that nothing is lost."""
        if cursor.overflow is Overflow.DISCONNECT and self.backlog.full:
            self.overflowed()
            return False
        self.backlog.append(cursor, entry)
        cursor.next = cursor.view.head
        return self._shrink()

    def fall_behind(self) -> None:
        """Move all that it has not had into the backlog, and have what is published from now on go there too."""
        self.blocked = True
        for cursor in self.cursors.values():
            cursor.view.set_behind(cursor)
            self.defer(cursor)
        self._shrink()

    def defer(self, cursor: Cursor) -> None:
        """Move what a cursor has not had from its view into the backlog."""
        view = cursor.view
        view.step_out(cursor)
        for index, entry in enumerate(view.entries(cursor.next, view.head), cursor.next):
            self.backlog.append(cursor, entry, replayed=index < cursor.replay_until)
        cursor.next = view.head

    def catch_up(self) -> None:
        """The backlog is empty and more is taken: go back to slices of the views."""
        self.blocked = False
        for cursor in self.cursors.values():
            cursor.view.step_in(cursor)

    def added(self, cursor: Cursor) -> None:
        """A cursor joined; a blocked subscriber puts its replay into the backlog at once."""
        if self.blocked:
            cursor.view.set_behind(cursor)
            self.defer(cursor)
            self._shrink()

    def _shrink(self) -> bool:
        """Drop until the bounds hold; returns whether they held."""
        dropped = self.backlog.shrink()
        self.dropped += dropped
        self.counters.dropped += dropped
        if self.backlog.over:  # what would go next may not: its channel would rather lose the subscriber
            self.overflowed()
            return False
        return not dropped

    def take(self, maximum_bytes: int) -> bytes:
        """
        The wire form of what is due next: notices of loss, then the backlog by lanes, or slices of the views.

        Args:
            maximum_bytes: Where to stop; one message is always taken.

        Returns:
            Complete wire forms, one after the other; empty when nothing is due. Fewer bytes than asked for mean that
            nothing more is.
        """
        parts: list[bytes] = []
        if self.lagging:
            parts += self._take_backlog(maximum_bytes)
            maximum_bytes -= sum(map(len, parts))
        for cursor in self.cursors.values():
            view = cursor.view
            start = cursor.next
            if start < view.due and maximum_bytes > 0:
                view.step_out(cursor)
                while start < view.due and maximum_bytes > 0:
                    data, stop = view.slice(start, maximum_bytes)
                    self.counters.delivered += stop - start
                    start = cursor.next = stop
                    maximum_bytes -= len(data)
                    parts.append(data)
                view.step_in(cursor)
        return parts[0] if len(parts) == 1 else join(parts)

    def losses(self) -> Iterator[tuple[Cursor, Loss]]:
        """What its client was not told of yet; each is given once."""
        backlog = self.backlog
        while backlog.losers:
            cursor, _ = backlog.losers.popitem()
            loss, cursor.loss = cursor.loss, None
            if loss is not None:
                yield cursor, loss

    def _take_backlog(self, maximum_bytes: int) -> Iterator[bytes]:
        for cursor, loss in self.losses():
            yield cursor.view.wire(
                encode_dropped(cursor.channel, loss.types, loss.exact_ranges(), cursor.position, loss.conflated,
                               timestamp=self._clock())
            )
        while maximum_bytes > 0 and (waiting := self.backlog.take()) is not None:
            data = self._take_batch(waiting) if waiting.cursor.batch is not None else self._take_one(waiting)
            maximum_bytes -= len(data)
            yield data

    def _take_one(self, waiting: Waiting) -> bytes:
        self._count_late(waiting)
        cursor, entry = waiting.cursor, waiting.entry
        position = cursor.position
        if not waiting.conflated and position == entry.event.position:
            return cursor.view.frame(entry)
        # Overtaken, or standing for others: what the client must know differs from what everybody else is told.
        return cursor.view.wire(cursor.view.text(entry.event, position, waiting.conflated))

    def _take_batch(self, first: Waiting) -> bytes:
        cursor = first.cursor
        assert cursor.batch is not None
        messages: list[bytes] = []
        waiting: Waiting | None = first
        while waiting is not None:
            self._count_late(waiting)
            messages.append(cursor.view.text(waiting.entry.event, cursor.position, waiting.conflated))
            following = self.backlog.peek()
            together = following is not None and following.cursor is cursor and len(messages) < cursor.batch.events
            waiting = self.backlog.take() if together else None
        return cursor.view.batch_frame(messages)

    def _count_late(self, waiting: Waiting) -> None:
        event = waiting.event
        self.counters.delivered += 1
        self.counters.conflated += waiting.conflated
        if not waiting.replayed:
            self.counters.latency.observe(event.type, self._clock() - event.timestamp, 1)
