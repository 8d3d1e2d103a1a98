"""
At most one call for each key in each interval, the first at once.

What changes often is told in steps: a change is told the moment it happens, and those that follow it within the
interval are told together at its end. So a lone change waits for nothing, and a storm costs its subscribers a message
an interval. A key that nothing happens to has no timer and no entry.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Generic, TypeVar

import trio

from rtcore.hub.timeouts import TimeoutWatcher

__all__ = ["Pace"]

_Key = TypeVar("_Key")

_PATIENCE_SECONDS: Final = 1.0
"""Before something that could not be told is tried again."""


class Pace(Generic[_Key]):
    """
    Args:
        timeouts: Whose timers are used: one for each key whose interval has not ended.
        seconds: Length of the interval; 0: every change is told at once.
        tell: Synchronous, must not raise; returns whether all is told. What is not is tried again
            when the interval is over, at the earliest after a second.
    """

    def __init__(self, timeouts: TimeoutWatcher, seconds: float, tell: Callable[[_Key], bool]) -> None:
        self._timeouts = timeouts
        self._seconds = seconds
        self._tell = tell
        self._waiting: dict[_Key, bool] = {}
        """Whether something has yet to be told, by the keys whose interval has not ended."""

    def __len__(self) -> int:
        return len(self._waiting)

    def changed(self, key: _Key) -> None:
        """Something has changed: tell it, now or when the interval is over."""
        if key in self._waiting:
            self._waiting[key] = True
            return
        self._waiting[key] = False
        seconds = self._try(key)
        if seconds or self._waiting[key]:
            self._timeouts.call_at(trio.current_time() + seconds, partial(self._over, key))
        else:
            del self._waiting[key]

    def _over(self, key: _Key) -> float | None:
        if not self._waiting[key]:
            del self._waiting[key]
            return None
        self._waiting[key] = False
        return trio.current_time() + self._try(key)

    def _try(self, key: _Key) -> float:
        """Tell, and say when to look again."""
        if self._tell(key):
            return self._seconds
        self._waiting[key] = True
        return max(self._seconds, _PATIENCE_SECONDS)
