"""What counts as out of the ordinary."""

from __future__ import annotations

import random

from rtcore.features.alerts.anomaly import LEAST_SHARE, WARM_UP_SAMPLES, is_anomaly


def test_no_verdict_before_the_baseline_is_warm() -> None:
    assert is_anomaly([1.0] * (WARM_UP_SAMPLES - 1) + [100.0], 3) is None
    assert is_anomaly([1.0] * WARM_UP_SAMPLES + [100.0], 3) is True


def test_jump_does_not_hide_itself() -> None:
    """In a window of 11, a jump that counted into its own baseline could never be 3.02 deviations away."""
    values = [10.0, 11.0] * 5
    assert is_anomaly([*values, 1000.0], 50) is True


def test_noise_of_a_steady_field_is_ordinary() -> None:
    dice = random.Random(1)
    values = [dice.gauss(100.0, 5.0) for _ in range(500)]
    found = sum(is_anomaly(values[:end], 5) is True for end in range(WARM_UP_SAMPLES * 5, 500))
    assert found == 0
    assert is_anomaly([*values, 150.0], 5) is True
    assert is_anomaly([*values, 50.0], 5) is True


def test_flicker_of_a_field_that_hardly_moves_is_ordinary() -> None:
    """Its deviation is nothing, so that any change would be infinitely many deviations."""
    values = [200.0] * 20
    edge = 3 * LEAST_SHARE * 200.0
    assert is_anomaly([*values, 200.0 + edge], 3) is False
    assert is_anomaly([*values, 200.1 + edge], 3) is True


def test_any_change_of_a_field_that_was_always_zero_is_one() -> None:
    assert is_anomaly([0.0] * 20 + [0.0], 3) is False
    assert is_anomaly([0.0] * 20 + [1.0], 3) is True
