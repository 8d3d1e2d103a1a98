"""
The event log: the last events of one channel, addressed by (epoch, offset).

Offsets are dense within an epoch, so a place in the log is plain arithmetic. Three bounds hold at once (events,
bytes, age);
what leaves through any of them leaves oldest first, and the log remembers how far it has forgotten, so that it can say
whether a request for the past was met in full.
"""

from __future__ import annotations

from typing import Final, cast

from attrs import frozen

from rtcore._fast import EventRing
from rtcore.hub.entry import EVENT_MEMORY, Entry
from rtcore.values.events import Event
from rtcore.values.positions import (
    FromOffset,
    FromPosition,
    LastEvents,
    Position,
    Since,
    WithinSeconds,
    new_epoch,
)

__all__ = ["EventLog", "Retention", "Start"]

_MOST: Final = 2**62
"""The ring counts in 64 bits; a bound beyond this is none."""


@frozen(kw_only=True)
class Retention:
    """How much of the past a channel keeps."""

    events: int
    seconds: float
    bytes: int


@frozen(kw_only=True)
class Start:
    """Where a request for the past begins."""

    offset: int
    """First offset to look at; held, or one past the newest."""
    recovered: bool
    """Whether everything that was asked for is still held."""
    settled: Position | None = None
    """Events that the asker has had already, where it asked by position."""
    last: int | None = None
    """Only the newest so many that pass the filter."""


class EventLog:
    """
    The ring of a channel's newest events.

    Args:
        retention: How much it keeps.
        began: When this epoch of the channel began, in Unix seconds.
    """

    def __init__(self, retention: Retention, began: float = float("-inf")) -> None:
        self.epoch = new_epoch()
        self.last_timestamp = began
        """Time of the newest event ever appended, or when the epoch began if there was none; in Unix seconds."""
        self._heavy = False  # whether some event may take far more memory than its text
        self._ring = EventRing()
        self._events = min(retention.events, _MOST)
        self._seconds = retention.seconds
        self._bytes = min(retention.bytes, _MOST)
        # Time of the newest event no longer held. Of what was before it began, the log cannot say that it was nothing.
        self._forgotten_until = began

    @property
    def newest(self) -> int:
        """Offset of the newest event ever appended; 0 before the first."""
        return self._ring.head

    @property
    def oldest(self) -> int:
        """Offset of the oldest event held; `newest + 1` when none is."""
        return self._ring.first + 1

    @property
    def bytes(self) -> int:
        """Encoded bytes held."""
        return self._ring.total_bytes

    def __len__(self) -> int:
        return len(self._ring)

    @property
    def memory(self) -> int:
        """About how many bytes of memory its events take: where none is heavy, their texts tell enough."""
        if not self._heavy:
            return len(self) * EVENT_MEMORY + 2 * self.bytes
        return sum(entry.memory for entry in self.entries(self.oldest, self.newest + 1))

    def append(self, event: Event, memory: int = 0) -> Entry:
        """
        Add the next event, forgetting what no longer fits; returns its entry, which all views of the channel share.

        Args:
            event: The next one.
            memory: What it takes, in bytes, as `memory_of` estimates it.

        Raises:
            ValueError: If its offset does not follow the newest one.
        """
        ring = self._ring
        offset, timestamp = event.offset, event.timestamp
        if offset != ring.head + 1:
            raise ValueError(f"offset {offset} does not follow {ring.head}")
        size = len(event.body)
        entry = Entry(event, memory)
        if memory > EVENT_MEMORY + 4 * size:
            self._heavy = True
        ring.append(entry, offset, size, timestamp)
        self.last_timestamp = timestamp
        self._forget(self._events, timestamp)
        return entry

    def expire(self, now: float) -> None:
        """Forget what is older than the retention allows at `now`, in Unix seconds."""
        self._forget(_MOST, now)

    def clear(self) -> None:
        """Forget every event; offsets go on as they were."""
        self._forget(0, float("-inf"))
        self._heavy = False

    def events(self, start: int, stop: int) -> list[Event]:
        """Events with `start <= offset < stop`, as far as they are held, oldest first."""
        return [entry.event for entry in self.entries(start, stop)]

    def entries(self, start: int, stop: int) -> list[Entry]:
        """The entries of these events."""
        head = self._ring.head  # what a client asks for may be beyond what the ring counts in
        return cast("list[Entry]", self._ring.slice(min(start - 1, head), min(stop - 1, head)))

    def locate(self, since: Since, now: float) -> Start:
        """Where a request for the past begins, and whether the log still reaches back that far."""
        if isinstance(since, FromPosition):
            return self._locate_position(since.position)
        if isinstance(since, FromOffset):
            wanted = max(since.offset, 1)
            return Start(offset=self._held(wanted), recovered=self.oldest <= wanted <= self.newest + 1)
        if isinstance(since, LastEvents):
            return Start(offset=self.oldest, recovered=True, last=since.count)
        timestamp = now - since.seconds if isinstance(since, WithinSeconds) else since.timestamp
        index = self._ring.index_of_time(timestamp)
        return Start(offset=index + 1, recovered=self._forgotten_until < timestamp)

    def _locate_position(self, position: Position) -> Start:
        if position.epoch != self.epoch or position.furthest > self.newest:
            # Another life of this channel: nothing ties the old numbers to these, so all that is held may be new.
            return Start(offset=self.oldest, recovered=False)
        return Start(
            offset=self._held(position.offset + 1),
            recovered=self.oldest <= position.offset + 1,
            settled=position,
        )

    def _held(self, offset: int) -> int:
        return min(max(offset, self.oldest), self.newest + 1)

    def _forget(self, events: int, now: float) -> None:
        forgotten = self._ring.keep(events, self._bytes, now - self._seconds)
        if forgotten > self._forgotten_until:
            self._forgotten_until = forgotten
