"""A token bucket: a steady rate with room for a burst, in constant memory and without a timer."""

from __future__ import annotations

from math import isfinite

__all__ = ["TokenBucket"]


class TokenBucket:
    """
    Tokens that come back at `rate` a second, up to `burst` of them; full at the start.

    The caller brings the clock, so the bucket is the same on a virtual one. A clock that steps back neither gives nor
    takes.

    Args:
        rate: Tokens a second, over 0.
        burst: Most tokens held at once, at least 1.
        now: The time, in seconds of any clock that the caller keeps to.

    Raises:
        ValueError: If `rate` is not a finite number over 0, or `burst` is below 1.
    """

    __slots__ = ("_burst", "_rate", "_tokens", "_updated")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        if not (isfinite(rate) and rate > 0):
            raise ValueError(f"rate must be a finite number over 0, got {rate}")
        if burst < 1:
            raise ValueError(f"burst must be at least 1, got {burst}")
        self._rate = float(rate)
        self._burst = float(burst)
        self._tokens = float(burst)
        self._updated = float(now)

    def take(self, now: float) -> bool:
        """
        Take one token.

        Args:
            now: The time, in seconds.

        Returns:
            Whether there was one; when not, nothing changes.
        """
        self._refill(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def wait(self, now: float) -> float:
        """Seconds from `now` until there is one token; 0.0 if there is one already. Takes nothing."""
        self._refill(now)
        if self._tokens >= 1.0:
            return 0.0
        return (1.0 - self._tokens) / self._rate

    def _refill(self, now: float) -> None:
        if now > self._updated:
            self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
            self._updated = now
