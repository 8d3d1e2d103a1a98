"""
What has been spent, and what it comes to by the end of the day and of the month. No Trio; times are Unix seconds.

A day is projected from the rate of the last hour, a month from that of the last 24 hours, so that a night without work
does not look like the end of all spending. Days and months are those of UTC. Sums are decimal: money does not round.
"""

from __future__ import annotations

from calendar import monthrange
from collections import deque
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from attrs import define, field

from rtcore.values.events import Json

__all__ = ["OTHER", "CostBook", "CostLedger"]

OTHER: Final = "other"
"""Category of what has none, and of those for which there is no room."""
_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
_BUCKET: Final = 60.0
"""Spending is remembered by the minute, so that a day takes 1440 numbers however much is spent."""
_LEAST_COVERED: Final = 60.0
"""Shortest time that a rate is taken from: of a single second, an hour would be guessed too much."""


@define(eq=False)
class CostLedger:
    """Spending in one currency."""

    maximum_categories: int
    total: Decimal = Decimal(0)
    by_category: dict[str, Decimal] = field(factory=dict)
    _first: float | None = None
    _now: float = 0.0
    _today: Decimal = Decimal(0)
    _month: Decimal = Decimal(0)
    _minutes: deque[tuple[float, Decimal]] = field(factory=deque)
    """Start of a minute and what was spent in it; oldest first, 24 hours at most."""

    def add(self, amount: Decimal, category: str, now: float) -> None:
        """Spend; a clock that was set back counts as standing still."""
        now = self._advance(now)
        if self._first is None:
            self._first = now
        if category not in self.by_category and len(self.by_category) >= self.maximum_categories:
            category = OTHER
        self.by_category[category] = self.by_category.get(category, Decimal(0)) + amount
        self.total += amount
        self._today += amount
        self._month += amount
        minute = now - now % _BUCKET
        if self._minutes and self._minutes[-1][0] == minute:
            self._minutes[-1] = (minute, self._minutes[-1][1] + amount)
        else:
            self._minutes.append((minute, amount))

    def document(self, now: float) -> dict[str, Json]:
        """The figures of now."""
        now = self._advance(now)
        hourly, daily = self._rate(now, _HOUR), self._rate(now, _DAY)
        return {
            "cost_total": float(self.total),
            "cost_today": float(self._today),
            "cost_month": float(self._month),
            "cost_per_hour": round(hourly * _HOUR, 6),
            "cost_projected_day": round(float(self._today) + hourly * _left_of_day(now), 6),
            "cost_projected_month": round(float(self._month) + daily * _left_of_month(now), 6),
            "by_category": {name: float(amount) for name, amount in sorted(self.by_category.items())},
        }

    def _advance(self, now: float) -> float:
        now = max(now, self._now)
        before, after = (datetime.fromtimestamp(each, UTC) for each in (self._now, now))
        if before.date() != after.date():
            self._today = Decimal(0)
        if (before.year, before.month) != (after.year, after.month):
            self._month = Decimal(0)
        while self._minutes and self._minutes[0][0] <= now - _DAY:
            self._minutes.popleft()
        self._now = now
        return now

    def _rate(self, now: float, window: float) -> float:
        """Spending per second over the last `window` seconds, or since the first if that is not so long ago."""
        if self._first is None:
            return 0.0
        spent = sum((amount for minute, amount in self._minutes if minute > now - window), Decimal(0))
        return float(spent) / max(_LEAST_COVERED, min(window, now - self._first))


class CostBook:
    """
    Ledgers by currency.

    Args:
        currency: The one whose figures come first.
        maximum: Most categories of a ledger, and most other currencies.
    """

    def __init__(self, currency: str, maximum: int) -> None:
        self.currency = currency
        self._maximum = maximum
        self._ledgers = {currency: CostLedger(maximum)}

    def add(self, amount: float | Decimal, category: str, currency: str, now: float) -> None:
        """
        Spend.

        Raises:
            ValueError: If the amount is negative or no number, or it is a currency too many.
        """
        exact = amount if isinstance(amount, Decimal) else Decimal(str(amount))
        if not exact.is_finite() or exact < 0:
            raise ValueError(f"amount: expected a finite number of at least 0, got {amount}")
        ledger = self._ledgers.get(currency)
        if ledger is None:
            if len(self._ledgers) > self._maximum:
                raise ValueError(f"currency: there are metric_entries={self._maximum} others already")
            ledger = self._ledgers[currency] = CostLedger(self._maximum)
        ledger.add(exact, category, now)

    def total(self, currency: str) -> Decimal:
        """What was spent in a currency, exactly."""
        ledger = self._ledgers.get(currency)
        return Decimal(0) if ledger is None else ledger.total

    def document(self, now: float) -> dict[str, Json]:
        """The sample: the figures of the first currency, and those of the others beside them."""
        first, *others = self._ledgers.items()
        return {
            "currency": first[0],
            **first[1].document(now),
            "others": {name: ledger.document(now) for name, ledger in others},
        }


def _left_of_day(now: float) -> float:
    return _DAY - now % _DAY


def _left_of_month(now: float) -> float:
    moment = datetime.fromtimestamp(now, UTC)
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=monthrange(moment.year, moment.month)[1]) - moment).total_seconds()
