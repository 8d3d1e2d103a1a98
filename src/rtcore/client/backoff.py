"""When to try again: exponential back-off with full jitter, so that a thousand clients do not come back at once."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define

from rtcore.client.settings import ClientSettings
from rtcore.values.backoff import full_jitter

__all__ = ["Backoff"]


@define(eq=False)
class Backoff:
    """
    The waits between attempts to connect.

    The n-th wait (n from 0) is uniform between 0 and `backoff_seconds * 2**n`, at most `backoff_early_seconds` within
    `restart_seconds` of the loss and `backoff_maximum_seconds` later. What the server asked for comes on top.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: full jitter.
    """

    settings: ClientSettings
    uniform: Callable[[float, float], float]
    _attempt: int = 0
    _lost_at: float | None = None

    def next_delay(self, now: float, *, asked: float | None = None) -> float:
        """
        Seconds to wait before the next attempt.

        Args:
            now: Time of the loss or failure, in seconds of any clock that only goes forward.
            asked: Seconds that the server asked for (`Retry-After`), never undercut, bounded by the settings.
        """
        if self._lost_at is None:
            self._lost_at = now
        early = now - self._lost_at < self.settings.restart_seconds
        ceiling = self.settings.backoff_early_seconds if early else self.settings.backoff_maximum_seconds
        wait = full_jitter(self._attempt, self.settings.backoff_seconds, ceiling, self.uniform)
        self._attempt += 1
        return min(asked or 0.0, self.settings.retry_after_maximum_seconds) + wait

    def connected_for(self, seconds: float) -> None:
        """Tell how long a connection lasted: a stable one makes the next wait short again."""
        if seconds >= self.settings.stable_seconds:
            self._attempt = 0
            self._lost_at = None
