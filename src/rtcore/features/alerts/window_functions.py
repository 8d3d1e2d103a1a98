"""
The functions over a window of samples.

Each takes the times and values of the samples in the window, oldest first, and returns None where they are too few to
say anything; that makes the condition unknown. They raise `OverflowError` where numbers are too large to reckon with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from attrs import frozen

from rtcore.features.alerts.anomaly import is_anomaly, mean, standard_deviation

__all__ = ["WINDOW_FUNCTIONS", "WindowFunction"]

Times = Sequence[float]
Values = Sequence[float]


@frozen
class WindowFunction:
    """One function of the language."""

    name: str
    compute: Callable[[Times, Values, float], float | bool | None]
    """Takes times, values and the parameter; 0.0 where there is none."""
    parameter: str | None = None
    """What it takes between field and window, in words; None: nothing."""
    least: float = 0.0
    """Least value of the parameter, itself not allowed where `most` is infinite."""
    most: float = math.inf
    by_size: bool = False
    """Whether it takes the values in order of size, instead of time."""
    tells_truth: bool = False
    """Whether it returns true or false instead of a number."""

    @property
    def usage(self) -> str:
        """How to write it."""
        middle = "" if self.parameter is None else f"{self.parameter}, "
        return f"{self.name}(field, {middle}60s)"

    def takes(self, parameter: float) -> bool:
        """Whether the parameter is within bounds."""
        return self.least < parameter if math.isinf(self.most) else self.least <= parameter <= self.most


def _average(_times: Times, values: Values, _parameter: float) -> float | None:
    return mean(values) if values else None


def _least(_times: Times, values: Values, _parameter: float) -> float | None:
    return min(values, default=None)


def _most(_times: Times, values: Values, _parameter: float) -> float | None:
    return max(values, default=None)


def _sum(_times: Times, values: Values, _parameter: float) -> float:
    return math.fsum(values)


def _count(_times: Times, values: Values, _parameter: float) -> float:
    return float(len(values))


def _delta(_times: Times, values: Values, _parameter: float) -> float | None:
    return values[-1] - values[0] if len(values) > 1 else None


def _rate(times: Times, values: Values, _parameter: float) -> float | None:
    """Growth of a counter a second. One that went back was reset, and has grown since from 0."""
    if len(values) < 2 or times[-1] <= times[0]:
        return None
    growth = math.fsum(new - old if new >= old else new for old, new in pairwise(values))
    return growth / (times[-1] - times[0])


def _standard_deviation(_times: Times, values: Values, _parameter: float) -> float | None:
    return standard_deviation(values) if len(values) > 1 else None


def _percentile(_times: Times, ordered: Values, percent: float) -> float | None:
    """Between the two samples nearest to the rank, in proportion."""
    if not ordered:
        return None
    rank = (len(ordered) - 1) * percent / 100
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)


def _anomaly(_times: Times, values: Values, deviations: float) -> bool | None:
    return is_anomaly(values, deviations)


WINDOW_FUNCTIONS: Final[Mapping[str, WindowFunction]] = {
    function.name: function
    for function in (
        WindowFunction("avg", _average),
        WindowFunction("min", _least),
        WindowFunction("max", _most),
        WindowFunction("sum", _sum),
        WindowFunction("count", _count),
        WindowFunction("rate", _rate),
        WindowFunction("delta", _delta),
        WindowFunction("stddev", _standard_deviation),
        WindowFunction("percentile", _percentile, parameter="95", least=0, most=100, by_size=True),
        WindowFunction("anomaly", _anomaly, parameter="3", tells_truth=True),
    )
}
"""By name."""
