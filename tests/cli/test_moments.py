"""Durations, places in the past and filters, as people type them."""

from __future__ import annotations

import argparse

import pytest

from rtcore.cli.moments import duration, filter_of, since
from rtcore.values.events import Json
from rtcore.values.positions import FromOffset, FromPosition, FromTimestamp, LastEvents, Position, Since, WithinSeconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1.5h", 5400), ("7d", 604_800), ("250ms", 0.25)]
)
def test_duration_is_read(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "1e3s", "5m3s", "99999999999s"])
def test_duration_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a duration"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", WithinSeconds(600.0)),
        ("last:20", LastEvents(20)),
        ("offset:42", FromOffset(42)),
        ("abc-42", FromPosition(Position.at("abc", 42))),
        ("2025-01-15T12:00:00Z", FromTimestamp(1736942400.0)),
    ],
)
def test_place_in_the_past_is_read(text: str, expected: Since) -> None:
    assert since(text) == expected


@pytest.mark.parametrize(
    ("conditions", "where"),
    [
        ([], {}),
        (["status=failed"], {"status": "failed"}),
        (["type=task.*"], {"type": "task.*"}),
        (["progress>=50", "progress<100"], {"progress": {"gte": 50, "lt": 100}}),
        (["n=5", "ok=true", "name=a=b"], {"n": 5, "ok": True, "name": "a=b"}),
        (["status=failed", "status=completed"], {"status": ["failed", "completed"]}),
        (['status=["a","b"]'], {"status": ["a", "b"]}),
        (["a.b=1"], {"a.b": 1}),
    ],
)
def test_filter_is_read(conditions: list[str], where: dict[str, Json]) -> None:
    assert filter_of(conditions) == where


@pytest.mark.parametrize("conditions", [["status"], ["=x"], ["a=1", "a>2"]])
def test_filter_of_another_form_is_refused(conditions: list[str]) -> None:
    with pytest.raises(ValueError, match=r"expected|cannot be"):
        filter_of(conditions)
