"""
The timeout watcher: every deadline of a hub and its connections, turned by one task.

A connection has one timer. What moves its deadline (a message, a pong) only writes down the time; when the timer
fires, its
callback looks at what was written and says when to look again. So a message costs no timer work, and a thousand idle
connections cost one entry each in one heap.
"""

from __future__ import annotations

import heapq
import logging
import math
from collections.abc import Callable

import trio
from attrs import define, field

__all__ = ["TimeoutWatcher", "Timer"]

logger = logging.getLogger("rtcore.timeouts")

_LEAST_TO_CLEAN = 128  # entries; below, the dead cost less than looking for them


@define(eq=False)
class Timer:
    """A deadline on Trio's clock, and what to do then."""

    deadline: float
    callback: Callable[[], float | None] | None = field(repr=False)

    def cancel(self) -> None:
        """Never call back; idempotent."""
        self.callback = None


class TimeoutWatcher:
    """Calls back at deadlines, in order."""

    def __init__(self) -> None:
        # Deadline, a number so that equal ones keep their order, and the timer: tuples, which C compares.
        self._heap: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._clean_at = _LEAST_TO_CLEAN
        self._scope: trio.CancelScope | None = None

    def __len__(self) -> int:
        return sum(timer.callback is not None for _, _, timer in self._heap)

    def call_at(self, deadline: float, callback: Callable[[], float | None]) -> Timer:
        """
        Call back when Trio's clock reaches `deadline`.

        Args:
            deadline: On `trio.current_time()`'s scale, in seconds.
            callback: Synchronous; returns the next deadline to be called at again, or None.

        Returns:
            The timer, to cancel it.
        """
        if len(self._heap) >= self._clean_at:
            self._clean()
        timer = Timer(deadline, callback)
        self._push(timer)
        if self._scope is not None and deadline < self._scope.deadline:
            self._scope.deadline = deadline
        return timer

    def _clean(self) -> None:
        """Take out the cancelled: a window that fills closes long before its deadline, and often."""
        self._heap = [each for each in self._heap if each[2].callback is not None]
        heapq.heapify(self._heap)
        self._clean_at = max(_LEAST_TO_CLEAN, 2 * len(self._heap))

    def _push(self, timer: Timer) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (timer.deadline, self._sequence, timer))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        task_status.started()
        while True:
            with trio.CancelScope(deadline=self._next_deadline()) as self._scope:
                await trio.sleep_forever()
            self._scope = None
            self._fire(trio.current_time())

    def _next_deadline(self) -> float:
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def _fire(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            if timer.callback is None:
                continue
            try:
                again = timer.callback()
            except Exception:  # a fault of one must not keep the others from being called
                logger.exception("a timer's callback failed; it is not called again")
                timer.cancel()  # whoever looks whether it still runs must see that it does not
                continue
            if again is not None and timer.callback is not None:
                timer.deadline = max(again, math.nextafter(now, math.inf))
                self._push(timer)
