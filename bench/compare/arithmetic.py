"""Medians, spans and ratios of rounds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from compare.measures import Measure
from compare.rounds import Result

__all__ = ["Spread", "ratio_of", "spread_of", "values_of"]


@dataclass(frozen=True)
class Spread:
    """What several rounds gave."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """None where there is no value."""
        return cls(statistics.median(values), min(values), max(values)) if values else None


def values_of(results: Sequence[Result], server: str, test: str, measure: Measure) -> dict[int, float]:
    """A measure of one server by round; a round that has none is not in it."""
    runs = [result for result in results if (result.server, result.test) == (server, test) and not result.problem]
    return {run.round: value for run in runs if (value := measure.read(run.figures)) is not None}


def spread_of(results: Sequence[Result], server: str, test: str, measure: Measure) -> Spread | None:
    """Median, least and most over the rounds."""
    return Spread.of(list(values_of(results, server, test, measure).values()))


def ratio_of(results: Sequence[Result], server: str, other: str, test: str, measure: Measure) -> Spread | None:
    """
    How many times the other's value a server's is, each round compared with itself: what slowed a round down slowed
    both. None where no round has both, or the other's is 0.
    """
    mine, theirs = (values_of(results, name, test, measure) for name in (server, other))
    return Spread.of([mine[number] / theirs[number] for number in mine if theirs.get(number)])
