"""
Which figures move together: Pearson's correlation of each pair over the newest rounds. No Trio.

A round takes the value that each figure has at that moment; a figure without one is left out of its pairs in that
round. Nothing is said of fewer than `LEAST_ROUNDS` rounds, nor of a figure that does not move.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Container, Mapping, Sequence
from itertools import combinations
from operator import mul
from typing import Final

from attrs import frozen

from rtcore.values.events import Json

__all__ = ["LEAST_ROUNDS", "MOST_FIGURES", "CorrelationBoard", "correlation"]

LEAST_ROUNDS: Final = 5
"""Fewest rounds that say anything: three points lie on a line too easily."""
MOST_FIGURES: Final = 16
"""Most figures: that is 120 pairs, a few milliseconds of work a round."""
_ROUNDS: Final = 120
"""Rounds that count: ten minutes at 5 s."""


@frozen
class _Pair:
    one: str
    other: str
    correlation: float
    rounds: int

    def document(self) -> dict[str, Json]:
        return {"a": self.one, "b": self.other, "correlation": round(self.correlation, 4), "rounds": self.rounds}


class CorrelationBoard:
    """The newest rounds."""

    def __init__(self) -> None:
        self._rounds: deque[Mapping[str, float]] = deque(maxlen=_ROUNDS)

    def take(self, values: Mapping[str, float]) -> None:
        """One round: values by figure."""
        self._rounds.append(values)

    def document(self, shown: Container[str]) -> dict[str, Json]:
        """The sample: pairs of the shown figures by the strength of their correlation."""
        figures = sorted({name for values in self._rounds for name in values if name in shown})
        pairs = [pair for one, other in combinations(figures, 2) if (pair := self._pair(one, other)) is not None]
        pairs.sort(key=lambda pair: -abs(pair.correlation))
        return {
            "rounds": len(self._rounds),
            "figure_count": len(figures),
            "strongest": round(abs(pairs[0].correlation), 4) if pairs else None,
            "correlations": [pair.document() for pair in pairs],
        }

    def _pair(self, one: str, other: str) -> _Pair | None:
        both = [(values[one], values[other]) for values in self._rounds if one in values and other in values]
        if len(both) < LEAST_ROUNDS:
            return None
        found = correlation([x for x, _ in both], [y for _, y in both])
        return None if found is None else _Pair(one, other, found, len(both))


def correlation(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Pearson's correlation of as many values each, -1 to 1; None where one of them does not move."""
    from_x, from_y = _centred(xs), _centred(ys)
    spread = math.sqrt(sum(map(mul, from_x, from_x))) * math.sqrt(sum(map(mul, from_y, from_y)))
    if not spread > 0 or spread == math.inf:
        return None
    together: float = sum(map(mul, from_x, from_y))
    return max(-1.0, min(1.0, together / spread))


def _centred(values: Sequence[float]) -> list[float]:
    if min(values) == max(values):  # its mean may be off by a last digit, and that is no movement
        return [0.0] * len(values)
    mean = sum(values) / len(values)
    return [value - mean for value in values]
