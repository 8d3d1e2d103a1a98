"""What was spent, exactly, and what it comes to."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from rtcore.features.metric_streams.cost_state import CostBook


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def book(maximum: int = 100) -> CostBook:
    return CostBook("USD", maximum)


def test_nothing_spent_is_nothing_projected() -> None:
    assert book().document(at("2025-06-15T12:00")) == {
        "currency": "USD",
        "cost_total": 0.0,
        "cost_today": 0.0,
        "cost_month": 0.0,
        "cost_per_hour": 0.0,
        "cost_projected_day": 0.0,
        "cost_projected_month": 0.0,
        "by_category": {},
        "others": {},
    }


def test_sums_are_exact() -> None:
    """Ten million times a tenth of a cent is ten thousand dollars; in binary it is not."""
    costs = book()
    for _ in range(1000):
        costs.add(0.001, "model", "USD", at("2025-06-15T12:00"))
        costs.add(Decimal("0.0001"), "storage", "USD", at("2025-06-15T12:00"))
    found = costs.document(at("2025-06-15T12:00"))
    assert found["cost_total"] == 1.1
    assert costs.total("USD") == Decimal("1.1")
    assert costs.total("EUR") == 0
    assert found["by_category"] == {"model": 1.0, "storage": 0.1}


def test_day_is_projected_from_the_rate_of_the_last_hour() -> None:
    """A dollar a minute from 10:00 on; what was spent before dawn is no rate any more, but it was spent today."""
    costs = book()
    costs.add(100, "training", "USD", at("2025-06-15T03:00"))
    for minute in range(120):
        costs.add(1, "model", "USD", at("2025-06-15T10:00") + 60 * minute)
    found: Any = costs.document(at("2025-06-15T12:00"))
    assert (found["cost_today"], found["cost_total"]) == (220.0, 220.0)
    assert found["cost_per_hour"] == pytest.approx(60, abs=1.1)
    assert found["cost_projected_day"] == pytest.approx(220 + 12 * 60, abs=15)


def test_month_is_projected_from_the_rate_of_the_last_day() -> None:
    """Ten dollars an hour, day and night; half of June is left."""
    costs = book()
    for hour in range(48):
        costs.add(10, "model", "USD", at("2025-06-14T00:00") + 3600 * hour)
    found: Any = costs.document(at("2025-06-15T23:59"))
    assert found["cost_month"] == 480
    assert found["cost_projected_month"] == pytest.approx(480 + 15 * 240, rel=0.01)


def test_first_minutes_are_projected_from_as_long_as_there_was_spending() -> None:
    """Half an hour of a dollar a minute is 60 an hour, not 30; a single dollar is not a dollar a microsecond."""
    costs = book()
    costs.add(1, "model", "USD", at("2025-06-15T12:00"))
    assert costs.document(at("2025-06-15T12:00"))["cost_per_hour"] == 60.0
    for minute in range(1, 31):
        costs.add(1, "model", "USD", at("2025-06-15T12:00") + 60 * minute)
    assert costs.document(at("2025-06-15T12:30"))["cost_per_hour"] == pytest.approx(62)


def test_days_and_months_begin_anew() -> None:
    costs = book()
    costs.add(5, "model", "USD", at("2025-06-29T23:59"))
    costs.add(7, "model", "USD", at("2025-06-30T23:59"))
    found = costs.document(at("2025-06-30T23:59"))
    assert (found["cost_today"], found["cost_month"]) == (7.0, 12.0)
    found = costs.document(at("2025-07-01T00:00"))
    assert (found["cost_today"], found["cost_month"], found["cost_total"]) == (0.0, 0.0, 12.0)
    assert costs.document(at("2026-07-01T00:00"))["cost_per_hour"] == 0.0


def test_clock_that_is_set_back_stands_still() -> None:
    costs = book()
    costs.add(5, "model", "USD", at("2025-06-15T12:00"))
    costs.add(5, "model", "USD", at("2025-06-14T12:00"))
    assert costs.document(at("2025-06-14T12:00"))["cost_today"] == 10.0


def test_currencies_are_kept_apart() -> None:
    costs = book(maximum=2)
    costs.add(5, "model", "USD", 0.0)
    costs.add(3, "model", "EUR", 0.0)
    costs.add(3, "model", "CHF", 0.0)
    with pytest.raises(ValueError, match="there are metric_entries=2 others already"):
        costs.add(3, "model", "JPY", 0.0)
    found: Any = costs.document(0.0)
    assert found["cost_total"] == 5.0
    assert {name: each["cost_total"] for name, each in found["others"].items()} == {"EUR": 3.0, "CHF": 3.0}


def test_categories_beyond_the_limit_are_counted_together() -> None:
    costs = book(maximum=2)
    for number in range(5):
        costs.add(1, f"c{number}", "USD", 0.0)
    found: Any = costs.document(0.0)
    assert found["by_category"] == {"c0": 1.0, "c1": 1.0, "other": 3.0}
    assert found["cost_total"] == 5.0


@pytest.mark.parametrize("amount", [-1, -0.001, float("nan"), float("inf"), Decimal("NaN"), Decimal("-1")])
def test_what_is_no_amount_is_refused(amount: float | Decimal) -> None:
    costs = book()
    with pytest.raises(ValueError, match="expected a finite number of at least 0"):
        costs.add(amount, "model", "USD", 0.0)
    assert costs.document(0.0)["cost_total"] == 0.0
