"""What ends by itself so long after it was last renewed; one timer for all of a kind, and none while there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import trio

from rtcore.hub.timeouts import TimeoutWatcher

__all__ = ["Deadlines"]

_Key = TypeVar("_Key")


class Deadlines(Generic[_Key]):
    """
    All of a kind last equally long, so their order is that of their renewal: renewing costs the same however many
    there are.

    Args:
        timeouts: Whose timers are used.
        seconds: How long each lasts.
        ended: Called with each whose time is over; synchronous, must not raise.
    """

    def __init__(self, timeouts: TimeoutWatcher, seconds: float, ended: Callable[[_Key], None]) -> None:
        self.seconds = seconds
        self._timeouts = timeouts
        self._ended = ended
        self._ends: dict[_Key, float] = {}
        self._running = False

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[_Key]:
        """Those that end first come first."""
        return iter(self._ends)

    def renew(self, key: _Key) -> None:
        """It lasts from now on again, or begins to."""
        self._ends.pop(key, None)
        deadline = self._ends[key] = trio.current_time() + self.seconds
        if not self._running:
            self._running = True
            self._timeouts.call_at(deadline, self._look)

    def discard(self, key: _Key) -> None:
        """Forget it; idempotent."""
        self._ends.pop(key, None)

    def _look(self) -> float | None:
        now = trio.current_time()
        while self._ends:
            key, deadline = next(iter(self._ends.items()))
            if deadline > now:
                return deadline
            del self._ends[key]
            self._ended(key)
        self._running = False
        return None
