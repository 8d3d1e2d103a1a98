"""The waits between attempts."""

from __future__ import annotations

from rtcore.client.backoff import Backoff
from rtcore.client.settings import ClientSettings


def longest(low: float, high: float) -> float:
    return high


def test_waits_double_up_to_four_seconds_while_a_restart_is_likely_and_thirty_later() -> None:
    backoff = Backoff(ClientSettings(), longest)
    assert [backoff.next_delay(0.0) for _ in range(5)] == [0.5, 1, 2, 4, 4]
    assert backoff.next_delay(61.0) == 16
    assert [backoff.next_delay(62.0) for _ in range(3)] == [30, 30, 30]


def test_wait_is_spread_over_its_whole_span() -> None:
    spans: list[tuple[float, float]] = []
    backoff = Backoff(ClientSettings(), lambda low, high: spans.append((low, high)) or low)
    backoff.next_delay(0.0)
    assert spans == [(0.0, 0.5)]


def test_wish_of_the_server_is_never_undercut_and_bounded() -> None:
    backoff = Backoff(ClientSettings(retry_after_maximum_seconds=60), longest)
    assert backoff.next_delay(0.0, asked=20) == 20.5
    assert backoff.next_delay(0.0, asked=1e9) == 61


def test_only_a_stable_connection_makes_the_waits_short_again() -> None:
    backoff = Backoff(ClientSettings(), longest)
    for _ in range(3):
        backoff.next_delay(0.0)
    backoff.connected_for(9.9)
    assert backoff.next_delay(0.0) == 4
    backoff.connected_for(10.0)
    assert backoff.next_delay(0.0) == 0.5


def test_years_of_absence_do_not_overflow() -> None:
    backoff = Backoff(ClientSettings(), longest)
    for _ in range(5000):
        delay = backoff.next_delay(1e6)
    assert delay <= 30
