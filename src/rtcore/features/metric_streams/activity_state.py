"""How many users are active, and how much they do. No Trio; times are steady seconds."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

from rtcore.values.events import Json

__all__ = ["ActivityBoard"]

_WINDOWS: Final = (("active_5m", 300.0), ("active_1h", 3600.0), ("active_24h", 86_400.0))
_RATE_SECONDS: Final = 60.0


class ActivityBoard:
    """
    When each user did something last; who it was stays in here.

    Args:
        maximum: Most users that are remembered; for one more, the one who did nothing for longest is forgotten.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._last: OrderedDict[str, float] = OrderedDict()
        """By user, the least recent first."""
        self._seconds: deque[tuple[float, int]] = deque()
        """Actions of each of the last 60 seconds in which there were any."""
        self._forgotten_at: float | None = None
        """The last action of the user who was forgotten last for want of room."""
        self.actions = 0
        """Ever."""

    def record(self, user: str, now: float) -> None:
        """A user did something."""
        if user not in self._last and len(self._last) >= self._maximum:
            self._forgotten_at = self._last.popitem(last=False)[1]
        self._last[user] = now
        self._last.move_to_end(user)
        self.actions += 1
        second = now // 1
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))
        self._trim(now)

    def document(self, now: float) -> dict[str, Json]:
        """The sample. `complete` is false where users of the last 24 hours had to be forgotten."""
        self._trim(now)
        counts = dict.fromkeys((name for name, _ in _WINDOWS), 0)
        for last in self._last.values():
            for name, seconds in _WINDOWS:
                counts[name] += last > now - seconds
        longest = _WINDOWS[-1][1]
        return {
            **counts,
            "actions_per_minute": sum(count for _, count in self._seconds),
            "actions_total": self.actions,
            "complete": self._forgotten_at is None or self._forgotten_at <= now - longest,
        }

    def _trim(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - _RATE_SECONDS:
            self._seconds.popleft()
        while self._last and next(iter(self._last.values())) <= now - _WINDOWS[-1][1]:
            self._last.popitem(last=False)
