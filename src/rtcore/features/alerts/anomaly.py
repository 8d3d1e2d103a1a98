"""
Whether a value is out of the ordinary.

The baseline is the field's own past: mean and standard deviation of the samples in the window, the newest left out, so
that a jump does not hide itself by raising its own baseline. A value is an anomaly when it is further from the mean
than so many deviations. Two guards keep quiet fields quiet: there is no verdict before the baseline has
`WARM_UP_SAMPLES`, and a deviation counts for at least `LEAST_SHARE` of the mean, since a field that has hardly moved
has a deviation of nearly nothing, and every flicker would be many times that.

A level that stays becomes the new baseline once the window has passed over it: this finds changes, not states. An
exponentially weighted baseline would need less memory, but its reach is not a time that one can name in a rule.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Final

__all__ = ["LEAST_SHARE", "WARM_UP_SAMPLES", "is_anomaly", "mean", "standard_deviation"]

WARM_UP_SAMPLES: Final = 10
"""Samples before the newest that a baseline must have; with fewer, its deviation says little."""
LEAST_SHARE: Final = 0.01
"""Least deviation, as a share of the mean."""


def mean(values: Sequence[float]) -> float:
    """The mean of one or more values."""
    return math.fsum(values) / len(values)


def standard_deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample of two or more values: by n - 1."""
    middle = mean(values)
    distances = [value - middle for value in values]
    return math.sqrt(math.fsum(map(operator.mul, distances, distances)) / (len(values) - 1))


def is_anomaly(values: Sequence[float], deviations: float) -> bool | None:
    """
    Whether the newest value lies further from the mean of those before it than so many of their standard deviations.

    Args:
        values: The samples of a window, oldest first; the last is the one in question.
        deviations: Over 0.

    Returns:
        None while there are fewer than `WARM_UP_SAMPLES` before the newest.

    Raises:
        OverflowError: The values are too large to reckon with.
    """
    baseline = values[:-1]
    if len(baseline) < WARM_UP_SAMPLES:
        return None
    middle = mean(baseline)
    least = LEAST_SHARE * abs(middle)
    return abs(values[-1] - middle) > deviations * max(standard_deviation(baseline), least)
