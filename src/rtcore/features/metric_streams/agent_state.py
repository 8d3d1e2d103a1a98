"""How agents perform: their newest runs within a window. No Trio; times are steady seconds."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict, deque
from itertools import islice
from operator import itemgetter
from typing import Final

from attrs import define, field

from rtcore.values.events import Json

__all__ = ["RUNS_KEPT", "AgentBoard", "AgentRuns", "percentile"]

RUNS_KEPT: Final = 1000
"""Newest runs of an agent that count: a percentile of more would say the same."""
_SHOWN: Final = 100
"""Most agents of one sample, the most recent ones: more than a page shows."""
_SORTING_PAYS: Final = 100
"""From so many runs on that are forgotten at once, the durations of the rest are sorted sooner than these are found."""
_ended_at: Final = itemgetter(0)


@define(eq=False)
class AgentRuns:
    """
    The runs of one agent within a window of so many seconds.

    A sample is taken of a thousand of them on the thread that everybody waits for, so nothing is counted up or sorted
    for it: failures are counted as they come, and durations stand in order from the beginning.
    """

    window: float
    total: int = field(default=0, init=False)
    """Ever."""
    failed: int = field(default=0, init=False)
    """Of these."""
    _runs: deque[tuple[float, float, int]] = field(factory=deque, init=False)
    """When each ended, how many seconds it took, how many had failed before it; oldest first."""
    _ordered: list[float] = field(factory=list, init=False)
    """How many seconds they took, the shortest first."""

    def record(self, now: float, duration: float, success: bool) -> None:
        """Count a run that has just ended."""
        self._forget(max(self._over(now), len(self._runs) + 1 - RUNS_KEPT))
        self._runs.append((now, duration, self.failed))
        insort(self._ordered, duration)
        self.total += 1
        self.failed += not success

    def count(self, now: float) -> tuple[int, int]:
        """How many runs there were, and how many of these failed."""
        over = self._over(now)
        runs = len(self._runs) - over
        return runs, self.failed - self._runs[over][2] if runs else 0

    def document(self, now: float) -> dict[str, Json]:
        """The figures, and the totals."""
        self._forget(self._over(now))
        runs, failed = self.count(now)
        covered = self.window if runs < RUNS_KEPT else max(now - self._runs[0][0], 1.0)
        return {
            "runs": runs,
            "runs_per_minute": round(60 * runs / covered, 3),
            "success_rate": round((runs - failed) / runs, 4) if runs else None,
            "p50_seconds": percentile(self._ordered, 0.5),
            "p95_seconds": percentile(self._ordered, 0.95),
            "total": self.total,
            "failed": self.failed,
        }

    def _over(self, now: float) -> int:
        """How many of the oldest are over by now: nearly always none, since each run lets them go."""
        began = now - self.window
        return bisect_right(self._runs, began, key=_ended_at) if self._runs and self._runs[0][0] <= began else 0

    def _forget(self, number: int) -> None:
        """The oldest, so many."""
        gone = [self._runs.popleft()[1] for _ in range(number)]
        if number < _SORTING_PAYS:
            for duration in gone:
                del self._ordered[bisect_left(self._ordered, duration)]
        else:
            self._ordered = sorted(duration for _, duration, _ in self._runs)


class AgentBoard:
    """
    Args:
        maximum: Most agents; for one more, the one whose last run is longest ago is forgotten.
        window: Seconds that count.
    """

    def __init__(self, maximum: int, window: float) -> None:
        self._agents: OrderedDict[str, AgentRuns] = OrderedDict()
        self._maximum = maximum
        self._window = window

    def record(self, agent: str, now: float, duration: float, success: bool) -> None:
        """Count a run of an agent."""
        runs = self._agents.get(agent)
        if runs is None:
            if len(self._agents) >= self._maximum:
                self._agents.popitem(last=False)
            runs = self._agents[agent] = AgentRuns(self._window)
        else:
            self._agents.move_to_end(agent)
        runs.record(now, duration, success)

    def document(self, now: float) -> dict[str, Json]:
        """The sample: all together, and the most recent agents each for themselves, the newest first."""
        counts = [each.count(now) for each in self._agents.values()]
        runs, failed = sum(runs for runs, _ in counts), sum(failed for _, failed in counts)
        shown = islice(reversed(self._agents.items()), _SHOWN)
        return {
            "agent_count": len(self._agents),
            "agent_runs": runs,
            "agent_success_rate": round((runs - failed) / runs, 4) if runs else None,
            "window_seconds": self._window,
            "agents": {name: agent.document(now) for name, agent in shown},
        }


def percentile(ordered: list[float], share: float) -> float | None:
    """The smallest value that the given share of ordered values does not exceed; None of no values."""
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 6)
