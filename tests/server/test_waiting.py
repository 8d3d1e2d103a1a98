"""What clients are told to wait: never less than what is meant."""

from __future__ import annotations

import pytest

from rtcore.server.waiting import header_seconds, told_seconds


@pytest.mark.parametrize(
    ("seconds", "told", "header"),
    [(0.0, 0.0, "1"), (0.04, 0.1, "1"), (0.1, 0.1, "1"), (1.1, 1.1, "2"), (5.0, 5.0, "5"), (5.25, 5.3, "6")],
)
def test_times_are_rounded_up(seconds: float, told: float, header: str) -> None:
    """Whoever obeys must not come too early. A header has whole seconds, and 0 of them would mean at once."""
    assert (told_seconds(seconds), header_seconds(seconds)) == (told, header)


def test_no_time_is_told_shorter_than_it_is() -> None:
    for thousandths in range(20_000):
        seconds = thousandths / 1000
        assert seconds <= told_seconds(seconds) < seconds + 0.1
        assert max(1, seconds) <= int(header_seconds(seconds)) < seconds + 1.0001
