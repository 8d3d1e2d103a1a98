"""
A view: the ready-made frames of the events of one channel that pass one filter, in one encoding.

All connections that want the same share it. An event is appended once; its frame is made once, when the first
connection
needs it; the bytes between two places are joined once for all that stand there, which is nearly everybody. A batching
view holds its head back until the window closes. Entries stay while the event log holds their events, so that setting a
cursor back is all that a replay takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from rtcore._fast import EventRing, SlotGroup, encode_batch, format_timestamp, join
from rtcore.hub.cursor import Cursor
from rtcore.hub.encoding import Encoding
from rtcore.hub.entry import Entry
from rtcore.hub.event_log import EventLog
from rtcore.hub.filters import Filter
from rtcore.hub.results import Batch
from rtcore.hub.statistics import ViewStatistics
from rtcore.values.events import Event, Lane
from rtcore.values.positions import Position

__all__ = ["View"]

_WINDOW_BYTES = 64 * 1024  # a window this full fills a write anyway
_SLICES_KEPT = 8  # distinct places of cursors in one tick; beyond them, joining again is cheaper than keeping


class View:
    """
    Args:
        channel_name: Name of the channel.
        log: The channel's event log.
        where: Which events it holds.
        encoding: How they are written; None where the subscribers take the events themselves.
        batch: The window, or None to send each event at once.
        clock: Unix seconds, for the time that a batch carries.
    """

    def __init__(
        self,
        channel_name: str,
        log: EventLog,
        where: Filter,
        encoding: Encoding | None,
        batch: Batch | None,
        clock: Callable[[], float],
    ) -> None:
        self.channel_name = channel_name
        self.log = log
        self.where = where
        self.encoding = encoding
        self.batch = batch
        self.cursors: dict[Cursor, None] = {}
        self.in_step = SlotGroup()
        """Cursors with a socket that stand at `flushed`: the fan-out writes to all of them alike."""
        self.strays: dict[Cursor, None] = {}
        """Cursors with a socket that stand elsewhere for now: set back, or ahead by a write of their own."""
        self.singles: dict[Cursor, None] = {}
        """Cursors without one (streams, blocks in this process): each is flushed by itself."""
        self.behind: dict[Cursor, None] = {}
        """Cursors whose subscriber takes nothing just now: what is published goes to its backlog at once."""
        self.due = 0
        """Index up to which entries may be sent: the head, or the end of the last closed window."""
        self.flushed = 0
        """Index that every cursor in step has reached."""
        self._settled = 0
        self._needed = 0
        self._clock = clock
        self._ring = EventRing()
        self._slices: dict[tuple[int, int], bytes] = {}
        for entry in log.entries(log.oldest, log.newest + 1):
            event = entry.event
            if where.matches(event.type, event.channel, event.data):
                self._ring.append(entry, event.offset, len(event.body), event.timestamp)
        self.due = self.flushed = self._settled = self._needed = self._ring.head

    @property
    def head(self) -> int:
        """Index one past the newest entry."""
        return self._ring.head

    @property
    def pending_bytes(self) -> int:
        """Encoded bytes appended since the last tick."""
        return self._ring.bytes_between(self.flushed, self._ring.head)

    def statistics(self) -> ViewStatistics:
        """A snapshot of who shares it and what it holds."""
        ring = self._ring
        return ViewStatistics(
            channel=self.channel_name,
            filtered=not self.where.everything,
            batch=self.batch,
            subscribers=len(self.cursors),
            behind=len(self.behind),
            events=ring.head - ring.first,
            bytes=ring.bytes_between(ring.first, ring.head),
            pending_events=ring.head - self.due,
        )

    def append(self, entry: Entry) -> None:
        """Add an event that passes the filter. The caller says when it is due."""
        event, ring = entry.event, self._ring
        ring.append(entry, event.offset, len(event.body), event.timestamp)
        ring.evict_before(self.log.oldest, self._needed)

    def forget_past(self) -> None:
        """Drop what the log holds no more, but for what is still needed."""
        self._ring.evict_before(self.log.oldest, self._needed)

    def hold_from(self, index: int) -> None:
        """Keep entries from `index` on until the tick is over: a cursor was set back to it."""
        self._needed = min(self._needed, index)

    def window_full(self, event: Event) -> bool:
        """Whether the window closes with this event: enough of them, or one that must not wait."""
        if self.batch is None or event.lane is Lane.HIGH:
            return True
        return self._ring.head - self.due >= self.batch.events or self.pending_bytes >= _WINDOW_BYTES

    def close_window(self) -> None:
        """Let everything appended so far be sent."""
        self.due = self._ring.head

    def settle(self, *, again: bool = False) -> list[Entry]:
        """
        Note that the tick is over; returns the entries that it sent for the first time.

        Args:
            again: More was published while the tick was sent: those flushed one by one have yet to take it.
        """
        if not len(self.in_step):  # otherwise it stands at what they were really sent
            self.flushed = max(self.flushed, self.due)
        sent = self.entries(self._settled, self.flushed)
        self._settled = self.flushed
        if not again:
            self._needed = self.flushed
        self._slices.clear()
        if self.strays:
            for cursor in list(self.strays):
                self.step_in(cursor)
        return sent

    # Where its cursors stand

    def join(self, cursor: Cursor) -> None:
        """Take a new cursor in."""
        self.cursors[cursor] = None
        self.step_in(cursor)

    def leave(self, cursor: Cursor) -> None:
        """Let a cursor go; idempotent."""
        self.step_out(cursor)
        for place in (self.cursors, self.strays, self.singles, self.behind):
            place.pop(cursor, None)

    def step_in(self, cursor: Cursor) -> None:
        """It takes what is due; in step with the others if it has a socket and stands where they do."""
        self.behind.pop(cursor, None)
        slot = cursor.subscriber.slot
        if slot is None:
            self.singles[cursor] = None
        elif cursor.next != self.flushed:
            self.strays[cursor] = None
        elif cursor.place < 0:
            self.strays.pop(cursor, None)
            cursor.place = self.in_step.add(slot, cursor)

    def step_out(self, cursor: Cursor) -> None:
        """Give a cursor in step a place of its own, where it stands."""
        place = cursor.place
        if place >= 0:
            moved = cast("Cursor | None", self.in_step.remove(place))
            if moved is not None:
                moved.place = place
            cursor.place = -1
            cursor.next = self.flushed
            self.strays[cursor] = None

    def set_behind(self, cursor: Cursor) -> None:
        """Its subscriber takes nothing just now."""
        self.step_out(cursor)
        self.strays.pop(cursor, None)
        self.singles.pop(cursor, None)
        self.behind[cursor] = None

    def next_slice(self, maximum_bytes: int) -> tuple[bytes, int]:
        """What those in step are sent next, and the index after it, for `advance`."""
        return self.slice(self.flushed, maximum_bytes)

    def advance(self, index: int) -> int:
        """Those in step have been sent everything below `index`; returns how many deliveries that was."""
        deliveries = (index - self.flushed) * len(self.in_step)
        self.flushed = index
        return deliveries

    def entries(self, start: int, stop: int) -> list[Entry]:
        """Entries with `start <= index < stop`, as far as they are held."""
        return cast("list[Entry]", self._ring.slice(start, stop))

    def offset_before(self, index: int) -> int:
        """The offset up to which everything is settled for a cursor whose next entry is at `index`."""
        return self._ring.offset_at(index) - 1 if index < self._ring.head else self.log.newest

    def index_from(self, offset: int) -> int:
        """Index of the first entry at or after `offset`."""
        return self._ring.index_of_offset(offset)

    @property
    def first(self) -> int:
        """Index of the oldest entry held."""
        return self._ring.first

    def slice(self, start: int, maximum_bytes: int) -> tuple[bytes, int]:
        """
        The wire form of the entries that are due from `start` on, and the index after them.

        Args:
            start: Index of the first entry.
            maximum_bytes: Where to stop, in bytes of encoded text; one entry is always taken.
        """
        if self.batch is None and self.due - start == 1 and start >= self._ring.first:  # as mostly where few publish
            return self.frame(cast("Entry", self._ring.get(start))), self.due
        stop = min(self._ring.stop_for_bytes(start, maximum_bytes), self.due)
        if self.batch is not None:
            stop = min(stop, start + self.batch.events)
        data = self._slices.get((start, stop))
        if data is None:
            if len(self._slices) >= _SLICES_KEPT:
                self._slices.clear()
            entries = self.entries(start, stop)
            data = self._slices[(start, stop)] = (
                join([self.frame(entry) for entry in entries])
                if self.batch is None
                else self.batch_frame([self.text(entry.event) for entry in entries])
            )
        return data, stop

    def frame(self, entry: Entry) -> bytes:
        """The shared wire form of one entry."""
        assert self.encoding is not None, "a view for in-process subscribers has no wire form"
        return entry.frame(self.encoding)

    def text(self, event: Event, position: Position | None = None, conflated: int = 0) -> bytes:
        """The JSON text of an event's message in this view's encoding."""
        assert self.encoding is not None, "a view for in-process subscribers has no wire form"
        return self.encoding.text(event, position, conflated)

    def batch_frame(self, messages: list[bytes]) -> bytes:
        """The wire form of several event messages as one `batch`."""
        return self.wire(encode_batch(messages, format_timestamp(self._clock()).encode()))

    def wire(self, text: bytes) -> bytes:
        """The wire form of one JSON text in this view's encoding."""
        assert self.encoding is not None, "a view for in-process subscribers has no wire form"
        return self.encoding.wire(text)
