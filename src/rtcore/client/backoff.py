"""When to try again: exponential back-off with full jitter, so that a thousand clients do not come back at once."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define

from rtcore.client.settings import ClientSettings

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
        # 2**16 times the smallest wait is past every ceiling; without the bound the power would grow for ever.
        span = min(self.settings.backoff_seconds * 2 ** min(self._attempt, 16), ceiling)
        self._attempt += 1
        minimum = min(asked or 0.0, self.settings.retry_after_maximum_seconds)
        return minimum + self.uniform(0.0, span)

    def connected_for(self, seconds: float) -> None:
        """Tell how long a connection lasted: a stable one makes the next wait short again."""
        if seconds >= self.settings.stable_seconds:
            self._attempt = 0
            self._lost_at = None
