"""Counts that outlive the sessions they are of: messages by type, status and hour, stars by day."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from attrs import define, field

from rtcore.features.support_chat.chat_values import MessageKind, MessageStatus
from rtcore.values.events import Json, format_timestamp

__all__ = ["Analytics", "Buckets", "merged_messages", "merged_satisfaction"]

_HOUR, _DAY = 3600, 86400
_HOURS, _DAYS = 24, 30
_STARS = (1, 2, 3, 4, 5)


@define
class _Bucket:
    start: int
    count: int = 0
    total: int = 0


class Buckets:
    """
    Numbers by the hour or day that they came in, the newest so many.

    Args:
        seconds: Width of a bucket.
        kept: Buckets that are kept, empty ones between included.
    """

    def __init__(self, seconds: int, kept: int) -> None:
        self._seconds = seconds
        self._kept = kept
        self._buckets: deque[_Bucket] = deque()

    def add(self, when: float, value: int = 0) -> None:
        """Count one, at a time that is not before the last one's bucket by more than what is kept."""
        start = int(when // self._seconds) * self._seconds
        bucket = next((each for each in reversed(self._buckets) if each.start <= start), None)
        if bucket is None or bucket.start != start:
            bucket = _Bucket(start)
            self._buckets.append(bucket)
            self._buckets = deque(sorted(self._buckets, key=lambda each: each.start))
        bucket.count += 1
        bucket.total += value
        self._forget(self._buckets[-1].start)

    def recent(self, now: float) -> list[_Bucket]:
        """Those that are recent enough, oldest first; empty ones are left out."""
        self._forget(int(now // self._seconds) * self._seconds)
        return list(self._buckets)

    def _forget(self, newest: int) -> None:
        while self._buckets and self._buckets[0].start <= newest - self._kept * self._seconds:
            self._buckets.popleft()


@define(eq=False)
class Analytics:
    """Of one desk."""

    kinds: Counter[MessageKind] = field(factory=Counter)
    statuses: Counter[MessageStatus] = field(factory=Counter)
    """Messages by where they are now."""
    stars: Counter[int] = field(factory=Counter)
    hours: Buckets = field(factory=lambda: Buckets(_HOUR, _HOURS))
    days: Buckets = field(factory=lambda: Buckets(_DAY, _DAYS))
    ended: int = 0
    """Sessions that have ended."""
    waited_seconds: float = 0.0
    """Time that customers waited for an agent, of those that got one."""
    waited: int = 0


def merged_messages(parts: Iterable[Analytics], now: float) -> dict[str, Json]:
    """`messageAnalytics` over several desks."""
    parts = list(parts)
    kinds = sum((part.kinds for part in parts), Counter[MessageKind]())
    statuses = sum((part.statuses for part in parts), Counter[MessageStatus]())
    return {
        "total": sum(kinds.values()),
        "byType": {kind.value: kinds[kind] for kind in MessageKind},
        "byStatus": {status.value: statuses[status] for status in MessageStatus},
        "perHour": [
            {"hour": format_timestamp(start), "count": count}
            for start, (count, _) in _together(part.hours.recent(now) for part in parts)
        ],
    }


def merged_satisfaction(parts: Iterable[Analytics], now: float) -> dict[str, Json]:
    """`satisfactionMetrics` over several desks."""
    parts = list(parts)
    stars = sum((part.stars for part in parts), Counter[int]())
    count = sum(stars.values())
    return {
        "average": round(sum(star * number for star, number in stars.items()) / count, 3) if count else None,
        "count": count,
        "distribution": {str(star): stars[star] for star in _STARS},
        "trend": [
            {"day": format_timestamp(start)[:10], "average": round(total / number, 3), "count": number}
            for start, (number, total) in _together(part.days.recent(now) for part in parts)
        ],
    }


def _together(series: Iterable[list[_Bucket]]) -> list[tuple[int, tuple[int, int]]]:
    """Count and total by start, over several series."""
    counts: Counter[int] = Counter()
    totals: Counter[int] = Counter()
    for buckets in series:
        for bucket in buckets:
            counts[bucket.start] += bucket.count
            totals[bucket.start] += bucket.total
    return [(start, (counts[start], totals[start])) for start in sorted(counts)]
