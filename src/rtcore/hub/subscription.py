"""A subscription of a block in this process: the same cursors and limits as a socket's, as an async iterator."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType

import trio

from rtcore.errors import HubClosed
from rtcore.hub.counters import Counters
from rtcore.hub.cursor import Cursor
from rtcore.hub.entry import Entry
from rtcore.hub.results import Subscribed
from rtcore.hub.subscriber import Subscriber
from rtcore.protocol.envelope import dropped_data
from rtcore.values.events import Event
from rtcore.values.positions import Position

__all__ = ["Subscription"]


class Subscription(Subscriber):
    """
    Events of the subscribed channels, as they come.

    Iterate over it from one task. When the task does not keep up, what it lost comes as an event of type `dropped`,
    exactly
    as a socket's client is told; its data names count, types, ranges and position.
    """

    def __init__(
        self,
        counters: Counters,
        *,
        lag_events: int,
        lag_bytes: int,
        clock: Callable[[], float],
        made_room: Callable[[], None],
    ) -> None:
        super().__init__(None, counters, lag_events=lag_events, lag_bytes=lag_bytes, clock=clock)
        self._made_room = made_room
        self.subscribed: dict[str, Subscribed] = {}
        """How each channel's subscription began."""
        self._ready: deque[tuple[Event, Position]] = deque()
        self._positions: dict[str, Position] = {}
        self._parked: trio.lowlevel.Task | None = None
        self._closed = False

    @property
    def positions(self) -> Mapping[str, Position]:
        """Per channel, what the iteration has given out; hand one to `since` to go on from there."""
        return MappingProxyType(self._positions)

    def started(self, outcomes: list[Subscribed]) -> None:
        """Note how the channels began; the hub calls this once."""
        self.subscribed = {outcome.channel: outcome for outcome in outcomes}
        self._positions = {outcome.channel: outcome.position for outcome in outcomes}

    def flush(self) -> None:
        """Hand the slices that are due to the waiting task; when it is busy, let them wait in the backlog."""
        if self._closed:
            return
        if self._parked is None:
            if not self.blocked:
                self.fall_behind()
            return
        events: list[Event] = []
        for cursor in self.cursors.values():
            events += (entry.event for entry in cursor.view.entries(cursor.next, cursor.view.due))
            cursor.next = max(cursor.next, cursor.view.due)
        if len(self.cursors) > 1:  # channels have no common order, but a reader expects what came first to come first
            events.sort(key=lambda event: event.timestamp)
        self._ready.extend((event, event.position) for event in events)
        self.counters.delivered += len(self._ready)
        if self._ready or self.lagging:
            self._wake()

    def overflowed(self) -> None:
        """End the iteration, as a slow socket would be closed: what waits is left to who resumes from `positions`."""
        self.counters.disconnected_slow += 1
        for cursor in self.cursors.values():
            self.discard(cursor)
        self.close()

    def undeliverable(self) -> None:
        """End the iteration; what waits is left to who resumes from `positions`."""
        self.close()

    def queue(self, cursor: Cursor, entry: Entry) -> bool:
        """As for any subscriber; after the end nothing waits, since it would follow a gap."""
        if self._closed:
            cursor.next = cursor.view.head
            return False
        return super().queue(cursor, entry)

    def close(self) -> None:
        """End the iteration: whoever waits gets `HubClosed`, now and later; idempotent."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._parked is not None:
            task, self._parked = self._parked, None
            trio.lowlevel.reschedule(task)

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        """
        The next event; a checkpoint each time. Cancelling it loses nothing.

        Raises:
            HubClosed: If the hub has ended, or the subscription was cut off as too slow.
            trio.BusyResourceError: If another task is iterating.
        """
        await trio.lowlevel.checkpoint()
        while not self._ready:
            if self.lagging:
                return self._from_backlog()
            self.catch_up()
            if self._closed:
                raise HubClosed("the hub has ended, or this subscription did not keep up with its channel")
            await self._park()
        event, position = self._ready.popleft()
        self._positions[event.channel] = position
        return event

    async def _park(self) -> None:
        if self._parked is not None:
            raise trio.BusyResourceError("another task is waiting on this subscription")
        self._parked = trio.lowlevel.current_task()

        def abort(_raise_cancel: Callable[[], None]) -> trio.lowlevel.Abort:
            self._parked = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _from_backlog(self) -> Event:
        for cursor, loss in self.losses():
            self._positions[cursor.channel] = cursor.position
            data = dropped_data(cursor.channel, loss.types, loss.exact_ranges(), cursor.position, loss.conflated)
            return Event(channel=cursor.channel, type="dropped", data=data, timestamp=self._clock())
        waiting = self.backlog.take()
        assert waiting is not None, "a backlog that is true holds a loss or an event"
        self._count_late(waiting)
        self._made_room()
        self._positions[waiting.cursor.channel] = waiting.cursor.position
        return waiting.event
