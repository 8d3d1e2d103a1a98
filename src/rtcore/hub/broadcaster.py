"""
The broadcaster: once per scheduler tick, everything published in it leaves.

`publish` only appends and marks. The one task here wakes once, and has each subscriber of a marked view flush once,
so a
burst of events is one write a connection. No task, wake-up or queue is per delivery. A publisher that does not yield
cannot outgrow memory: after a burst of so many events or bytes the fan-out runs inside `publish`.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from rtcore.hub.counters import Counters
from rtcore.hub.subscriber import Subscriber
from rtcore.hub.timeouts import TimeoutWatcher, Timer
from rtcore.hub.view import View
from rtcore.values.events import Event

__all__ = ["Broadcaster"]

_BURST_EVENTS = 256  # joined, 256 small events fill one write of 64 KiB; longer bursts gain nothing
_BURST_BYTES = 256 * 1024


class Broadcaster:
    """
    Args:
        timeouts: Closes the windows of batching views.
        counters: Where latency is noted, once per view and tick.
        clock: Unix seconds.
    """

    def __init__(self, timeouts: TimeoutWatcher, counters: Counters, clock: Callable[[], float]) -> None:
        self._timeouts = timeouts
        self._counters = counters
        self._clock = clock
        self._views: dict[View, None] = {}
        self._subscribers: dict[Subscriber, None] = {}
        self._windows: dict[View, Timer] = {}
        self._parked = trio.lowlevel.ParkingLot()
        self._flushing = False

    def appended(self, view: View, event: Event) -> None:
        """A view took an event: it is due now, or when its window closes."""
        if view.window_full(event):
            self._close_window(view)
            if view.due - view.flushed >= _BURST_EVENTS or view.pending_bytes >= _BURST_BYTES:
                self.flush()
        elif view not in self._windows:
            assert view.batch is not None, "only a batching view has a window"
            deadline = trio.current_time() + view.batch.seconds
            self._windows[view] = self._timeouts.call_at(deadline, lambda: self._close_window(view))

    def _close_window(self, view: View) -> None:
        timer = self._windows.pop(view, None)
        if timer is not None:
            timer.cancel()
        view.close_window()
        self._views[view] = None
        self._parked.unpark()

    def mark(self, subscriber: Subscriber) -> None:
        """Have one subscriber flush in this tick: it was set back, or has a message of its own."""
        self._subscribers[subscriber] = None
        self._parked.unpark()

    def retire(self, view: View) -> None:
        """A cursor left the view; with the last one goes the window that it may have open."""
        if not view.cursors:
            self._views.pop(view, None)
            timer = self._windows.pop(view, None)
            if timer is not None:
                timer.cancel()

    def forget(self, subscriber: Subscriber) -> None:
        """A subscriber has ended."""
        self._subscribers.pop(subscriber, None)

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
                    subscribers.update((cursor.subscriber, None) for cursor in view.cursors)
                for subscriber in subscribers:
                    subscriber.flush()
                for view in views:
                    self._settle(view)
        finally:
            self._flushing = False

    def _settle(self, view: View) -> None:
        receivers = len(view.cursors) - len(view.behind)
        now = self._clock()
        for entry in view.settle():
            self._counters.latency.observe(entry.event.type, now - entry.event.timestamp, receivers)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        task_status.started()
        while True:
            if not (self._views or self._subscribers):
                await self._parked.park()
            else:
                await trio.lowlevel.checkpoint()
            self.flush()
