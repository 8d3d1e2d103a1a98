"""From running totals to what happened since the last look. No Trio; times are steady seconds."""

from __future__ import annotations

from collections.abc import Mapping

from rtcore.hub.latency import LatencySnapshot

__all__ = ["LatencyState", "RateState"]


class RateState:
    """Remembers totals from one look to the next."""

    def __init__(self) -> None:
        self._totals: Mapping[str, float] = {}
        self._at: float | None = None

    def advance(self, totals: Mapping[str, float], now: float) -> dict[str, float]:
        """
        How much each total grew per second since the last look; all 0 at the first.

        A total that became smaller, because somebody who counted it has left, counts from where it is.
        """
        seconds = 0.0 if self._at is None else now - self._at
        rates = {
            name: round(max(0.0, total - self._totals.get(name, total)) / seconds, 3) if seconds > 0 else 0.0
            for name, total in totals.items()
        }
        self._totals, self._at = dict(totals), now
        return rates


class LatencyState:
    """Remembers the histogram of latencies from one look to the next."""

    def __init__(self) -> None:
        self._before: LatencySnapshot | None = None

    def advance(self, now: LatencySnapshot) -> LatencySnapshot:
        """What was delivered since the last look; since the beginning at the first."""
        before, self._before = self._before, now
        if before is None:
            return now
        return LatencySnapshot(
            event_type=now.event_type,
            cumulative=tuple(new - old for new, old in zip(now.cumulative, before.cumulative, strict=True)),
            seconds=now.seconds - before.seconds,
        )
