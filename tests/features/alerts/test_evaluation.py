"""What conditions say about samples: true, false, or unknown with the reason."""

from __future__ import annotations

import pytest

from rtcore.features.alerts.evaluation import Scalar, Verdict, evaluate
from rtcore.features.alerts.parsing import parse_condition
from rtcore.features.alerts.sample_window import WindowView
from rtcore.values.limits import Limits

HISTORY = WindowView([0.0, 10.0, 20.0, 30.0], [10.0, 40.0, 5.0, 20.0])
BEFORE: dict[str, Scalar] = {"status": "up", "a": 2.0}
NEWEST: dict[str, Scalar] = {
    "a": 2.0,
    "zero": 0.0,
    "big": 1e308,
    "status": "down",
    "ok": True,
    "bad": False,
    "db.size": 7.0,
    "gone": None,
}


class Fixed:
    """One history for every field named `h`, and the values above."""

    def latest(self, name: str) -> Scalar:
        return NEWEST[name]

    def previous(self, name: str) -> Scalar:
        return BEFORE.get(name)

    def window(self, name: str, seconds: float) -> WindowView:
        return HISTORY if name == "h" else WindowView([], [])


def ask(text: str) -> Verdict:
    return evaluate(parse_condition(text, Limits()), Fixed())


@pytest.mark.parametrize(
    "text",
    [
        "a == 2",
        "a > 1.9 and a >= 2 and a < 2.1 and a <= 2 and a != 3",
        "a + 1 == 3 and a - 3 == -1 and a * 3 == 6 and a / 4 == 0.5 and 7 % 4 == 3",
        "-a == -2 and abs(-a) == 2",
        'status == "down" and status != "up"',
        "ok and not bad",
        "ok == true and bad != true",
        "db.size == 7",
        "changed(status) and not changed(a)",
        "avg(h, 1m) == 18.75",
        "min(h, 1m) == 5 and max(h, 1m) == 40 and sum(h, 1m) == 75 and count(h, 1m) == 4",
        "delta(h, 1m) == 10",
        "stddev(h, 1m) > 15.4 and stddev(h, 1m) < 15.5",
        "percentile(h, 0, 1m) == 5 and percentile(h, 100, 1m) == 40 and percentile(h, 50, 1m) == 15",
        "rate(h, 1m) == 50 / 30",
        "count(nothing, 1m) == 0 and sum(nothing, 1m) == 0",
        "ok or gone > 1",
        "gone > 1 or ok",
        "not (bad and gone > 1)",
    ],
)
def test_condition_is_true(text: str) -> None:
    assert ask(text) == Verdict(True)
    assert ask(f"not ({text})") == Verdict(False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("gone > 1", "column 1: no value of gone"),
        ("not gone", "column 5: no value of gone"),
        ("ok and gone > 1", "column 8: no value of gone"),
        ("bad or gone > 1", "column 8: no value of gone"),
        ("a / zero > 1", "column 3: division by zero"),
        ("a % zero > 1", "column 3: division by zero"),
        ("big * big > 1", "column 5: the number is too large"),
        ("big + big > 1", "column 5: the number is too large"),
        ("status > 1", "column 1: expected a number, got text"),
        ("ok > 1", "column 1: expected a number, got true or false"),
        ("status and ok", "column 1: expected true or false, got text"),
        ("status == 1", "column 8: compared text with a number"),
        ("ok == 1", "column 4: compared true or false with a number"),
        ("avg(nothing, 1m) > 1", "column 1: too few samples of nothing: 0"),
        ("rate(nothing, 1m) > 1", "column 1: too few samples of nothing: 0"),
        ("stddev(nothing, 1m) > 1", "column 1: too few samples of nothing: 0"),
        ("percentile(nothing, 5, 1m) > 1", "column 1: too few samples of nothing: 0"),
        ("anomaly(h, 3, 1m)", "column 1: too few samples of h: 4"),
        ("changed(ok)", "column 1: no two values of ok"),
        ("a", "column 1: expected true or false, got a number"),
    ],
)
def test_condition_is_unknown_and_says_why(text: str, reason: str) -> None:
    """Neither true nor false: its opposite is unknown too."""
    assert ask(text) == Verdict(None, reason)
    if text != "a":
        assert ask(f"not ({text})").truth is None


def test_counter_that_was_reset_grows_from_zero() -> None:
    """10 to 40 is 30, 5 after a restart is 5, to 20 is 15: 50 in 30 s."""
    assert ask("rate(h, 1m) > 1.66 and rate(h, 1m) < 1.67").truth is True


def test_names_are_looked_up_and_never_walked_into() -> None:
    """`.` is a letter of a name: no object's attribute can be reached through it."""
    with pytest.raises(KeyError):
        ask("a.__class__ == 1")
