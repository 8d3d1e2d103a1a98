"""
Delivery latency by event type: from `publish` to the socket that took the event.

It is taken once per slice that was written, with the number of receivers as its weight, so that measuring costs the
same whether one subscriber or a thousand got the event. Buckets are fixed: one bisection and two additions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from attrs import define, field, frozen

__all__ = ["LATENCY_BUCKETS", "OTHER_TYPES", "LatencyHistogram", "LatencySnapshot", "combine_latency"]

LATENCY_BUCKETS: Final[tuple[float, ...]] = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds in seconds; one more bucket takes what is slower. 0.2 is the bound that rtcore promises at p95."""

OTHER_TYPES: Final = "other"
"""Under which event types are counted once as many as allowed have names of their own."""


@frozen(kw_only=True)
class LatencySnapshot:
    """Deliveries of one event type, as they stood at one moment."""

    event_type: str
    cumulative: tuple[int, ...]
    """For each of `LATENCY_BUCKETS`, deliveries that took at most that long; the last number is all of them."""
    seconds: float
    """Sum of all latencies, in seconds."""

    @property
    def count(self) -> int:
        """Number of deliveries."""
        return self.cumulative[-1]

    def quantile(self, share: float) -> float | None:
        """
        The latency that the given share of deliveries kept to, in seconds; None when there were none.

        It is interpolated within a bucket, so it is as exact as the bucket is narrow; beyond the last bound it is that
        bound.
        """
        if not self.count:
            return None
        wanted = share * self.count
        bucket = bisect_left(self.cumulative, wanted)
        if bucket >= len(LATENCY_BUCKETS):
            return LATENCY_BUCKETS[-1]
        below = self.cumulative[bucket - 1] if bucket else 0
        lower = LATENCY_BUCKETS[bucket - 1] if bucket else 0.0
        inside = self.cumulative[bucket] - below
        part = (wanted - below) / inside if inside else 0.0
        return lower + (LATENCY_BUCKETS[bucket] - lower) * part


@define(eq=False)
class _Series:
    buckets: list[int] = field(factory=lambda: [0] * (len(LATENCY_BUCKETS) + 1))
    seconds: float = 0.0


class LatencyHistogram:
    """
    Histograms of delivery latency, one per event type.

    Args:
        maximum_types: Event types that get a series of their own; all later ones share `OTHER_TYPES`, so that a
            publisher who invents types cannot grow memory or the number of labels. See `Limits.event_types`.
    """

    def __init__(self, maximum_types: int = 200) -> None:
        self._maximum_types = maximum_types
        self._series: dict[str, _Series] = {}

    def observe(self, event_type: str, seconds: float, count: int = 1) -> None:
        """
        Count `count` deliveries that took `seconds` each.

        A negative latency, which a clock that was set back can produce, counts as zero.
        """
        series = self._series.get(event_type)
        if series is None:
            series = self._admit(event_type)
        series.buckets[bisect_left(LATENCY_BUCKETS, seconds)] += count
        if seconds > 0:
            series.seconds += seconds * count

    def snapshot(self) -> tuple[LatencySnapshot, ...]:
        """One snapshot per event type seen so far, sorted by type."""
        return tuple(
            LatencySnapshot(event_type=name, cumulative=tuple(accumulate(series.buckets)), seconds=series.seconds)
            for name, series in sorted(self._series.items())
        )

    def _admit(self, event_type: str) -> _Series:
        if len(self._series) < self._maximum_types or event_type == OTHER_TYPES:
            return self._series.setdefault(event_type, _Series())
        return self._series.setdefault(OTHER_TYPES, _Series())


def combine_latency(snapshots: Iterable[LatencySnapshot]) -> LatencySnapshot:
    """All of them as one, under the type `*`."""
    cumulative = [0] * (len(LATENCY_BUCKETS) + 1)
    seconds = 0.0
    for snapshot in snapshots:
        cumulative = [one + other for one, other in zip(cumulative, snapshot.cumulative, strict=True)]
        seconds += snapshot.seconds
    return LatencySnapshot(event_type="*", cumulative=tuple(cumulative), seconds=seconds)
