"""
The broadcaster: once per scheduler tick, everything published in it leaves.

`publish` only appends and marks. The one task here wakes once. Subscribers whose sockets keep up with a view are
written to by compiled code, all alike; the few that have something of their own, and those without a socket, flush one
by one, and before. So a burst of events is one write a connection, and no task, wake-up, queue or Python code is per
delivery. A publisher that does not yield cannot outgrow memory: after a burst of so many events or bytes the fan-out
runs inside `publish`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from typing import cast

import trio

from rtcore._fast import FanOut
from rtcore.hub.counters import Counters
from rtcore.hub.subscriber import Subscriber
from rtcore.hub.timeouts import TimeoutWatcher, Timer
from rtcore.hub.view import View
from rtcore.values.events import Event

__all__ = ["Broadcaster"]

_BURST_EVENTS = 256  # joined, 256 small events fill one write of 64 KiB; longer bursts gain nothing
_BURST_BYTES = 256 * 1024

logger = logging.getLogger("rtcore.hub")


class Broadcaster:
    """
    Args:
        timeouts: Closes the windows of batching views.
        counters: Where latency is noted, once per view and tick.
        clock: Unix seconds.
        write_bytes: Most bytes handed to a socket in one write.
    """

    def __init__(
        self, timeouts: TimeoutWatcher, counters: Counters, clock: Callable[[], float], write_bytes: int
    ) -> None:
        self._timeouts = timeouts
        self._counters = counters
        self._clock = clock
        self._views: dict[View, None] = {}
        self._subscribers: dict[Subscriber, None] = {}
        self._windows: dict[View, Timer] = {}
        self._fan_out = FanOut(write_bytes)
        self._write_bytes = write_bytes
        self._parked = trio.lowlevel.ParkingLot()
        self._asleep = False
        self._flushing = False
        self.attended: Subscriber | None = None
        """Whose messages are handled just now: it flushes by itself soon, but must do so before a burst leaves."""

    @property
    def bytes_sent(self) -> int:
        """Bytes that the fan-out has written to sockets."""
        return self._fan_out.bytes_sent

    @property
    def writes(self) -> int:
        """Writes that it took."""
        return self._fan_out.writes

    def appended(self, view: View, event: Event) -> None:
        """A view took an event: it is due now, or when its window closes."""
        if view.batch is None or view.window_full(event):
            if view.batch is not None:
                self._close_window(view)
            else:
                view.close_window()
                self._views[view] = None
                self._wake()
            if view.due - view.flushed >= _BURST_EVENTS or view.pending_bytes >= _BURST_BYTES:
                self.flush()
        elif view not in self._windows:
            deadline = trio.current_time() + view.batch.seconds
            self._windows[view] = self._timeouts.call_at(deadline, lambda: self._close_window(view))

    def _close_window(self, view: View) -> None:
        timer = self._windows.pop(view, None)
        if timer is not None:
            timer.cancel()
        view.close_window()
        self._views[view] = None
        self._wake()

    def _wake(self) -> None:
        if self._asleep:
            self._asleep = False
            self._parked.unpark()

    def mark(self, subscriber: Subscriber) -> None:
        """Have one subscriber flush in this tick: it was set back, or has a message of its own."""
        self._subscribers[subscriber] = None
        self._wake()

    def unmark(self, subscriber: Subscriber) -> None:
        """A subscriber has nothing to flush any more, or has ended."""
        self._subscribers.pop(subscriber, None)

    def retire(self, view: View) -> None:
        """A cursor left the view; with the last one goes the window that it may have open."""
        if not view.cursors:
            self._views.pop(view, None)
            timer = self._windows.pop(view, None)
            if timer is not None:
                timer.cancel()

    def flush(self) -> None:
        """Let everything leave that is due; called again from inside, it leaves that to the outer call."""
        if self._flushing:
            return
        self._flushing = True
        try:
            while self._views or self._subscribers:
                views, self._views = self._views, {}
                subscribers, self._subscribers = self._subscribers, {}
                for view in views:
                    if view.singles or view.strays:
                        for apart in (view.singles, view.strays):
                            subscribers.update((cursor.subscriber, None) for cursor in apart)
                if self.attended is not None and self.attended.replying:
                    subscribers[self.attended] = None
                # These first: whoever has a message of its own must not be sent an event before it.
                for subscriber in subscribers:
                    try:
                        subscriber.flush()
                    except Exception as error:  # a fault of ours with one of them must not end the hub
                        self._give_up([subscriber], error)
                self._write_in_step(views)
                self._settle(views)
        finally:
            self._flushing = False

    def _write_in_step(self, views: Collection[View]) -> None:
        """
        One write to each socket that keeps up, whatever the number of its views.

        What is more than one write for some socket takes more rounds: a view that shares sockets with others waits for
        the next one, where it would make a write too long.
        """
        # Looked for anew in each round: what is done about a socket that is full may publish on any of the views.
        while due := [view for view in views if view.flushed < view.due and len(view.in_step)]:
            taken: list[tuple[View, int]] = []
            faults: dict[View, Exception] = {}
            for view in due:
                try:
                    data, stop = view.next_slice(self._write_bytes)
                    if self._fan_out.add(view.in_step, data):
                        taken.append((view, stop))
                except Exception as error:  # dealt with when the round is over: until then no group may change
                    faults[view] = error
            self._send(taken, faults)
            for view, fault in faults.items():
                self._give_up([cursor.subscriber for cursor in view.cursors], fault)
                view.advance(view.due)  # for whoever could not be ended: it must not be tried for ever

    def _send(self, taken: list[tuple[View, int]], faults: dict[View, Exception]) -> None:
        """Write a round, of slices of these views up to these indices."""
        try:
            failures = self._fan_out.send()
        except Exception as error:  # nobody knows what left
            faults.update((view, error) for view, _ in taken)
            return
        for view, stop in taken:
            self._counters.delivered += view.advance(stop)
        for slot, rest, number in failures:
            subscriber = cast("Subscriber | None", slot.owner)
            if subscriber is not None:  # otherwise what was done about one before has ended it
                try:
                    subscriber.cut_short(rest, number)
                except Exception as error:  # as above
                    self._give_up([subscriber], error)

    def _settle(self, views: Collection[View]) -> None:
        now = self._clock()
        observe = self._counters.latency.observe
        for view in views:
            receivers = len(view.cursors) - len(view.behind)
            for entry in view.settle(again=view in self._views):
                event = entry.event
                observe(event.type, now - event.timestamp, receivers)

    def _give_up(self, subscribers: Iterable[Subscriber], error: Exception) -> None:
        """What these are owed cannot be made or handed over, through a fault of ours: they end, and nobody else."""
        logger.error("events could not be sent", exc_info=error)
        for subscriber in list(subscribers):
            self.unmark(subscriber)
            try:
                subscriber.undeliverable()
            except Exception:
                logger.exception("a subscriber could not be ended")

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        task_status.started()
        while True:
            if not (self._views or self._subscribers):
                self._asleep = True
                await self._parked.park()
            else:
                await trio.lowlevel.checkpoint()
            self.flush()
