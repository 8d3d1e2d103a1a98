"""What is told of a queue, and how many jobs a second it gets done."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from attrs import asdict, frozen

from rtcore.values.events import Json

__all__ = ["DoneRate", "QueueStatistics"]

_WINDOW: Final = 60.0
"""Seconds over which the rate is a mean."""


@frozen(kw_only=True)
class QueueStatistics:
    """A snapshot of one queue."""

    queue: str
    """Its name."""
    paused: bool
    """Whether it hands out nothing."""
    waiting: int
    """Jobs that wait, those among them that are not due included."""
    delayed: int
    """Jobs that are not due."""
    leased: int
    """Jobs that somebody has."""
    dead: int
    """Dead letters."""
    done: int
    """Jobs that were done since the server began."""
    failed: int
    """Attempts that failed since the server began."""
    rate: float
    """Jobs a second that were done, over the last minute."""
    oldest_seconds: float
    """Age of the oldest job that is ready; 0 where none is."""
    bytes: int
    """Bytes of all jobs that are not done."""
    keys: int
    """Keys of jobs that were done, which are remembered."""

    def document(self) -> dict[str, Json]:
        """As clients are told."""
        fields: dict[str, Any] = asdict(self)
        return fields


class DoneRate:
    """Counts by the second."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def count(self, number: int, now: float) -> None:
        """So many were done just now."""
        second = float(int(now))
        if self._counts and self._counts[-1][0] == second:
            number += self._counts.pop()[1]
        self._counts.append((second, number))
        self._forget(now)

    def rate(self, now: float) -> float:
        """Done a second, over the last minute."""
        self._forget(now)
        return round(sum(number for _, number in self._counts) / _WINDOW, 3)

    def _forget(self, now: float) -> None:
        while self._counts and self._counts[0][0] <= now - _WINDOW:
            self._counts.popleft()
