"""How agents perform: their newest runs within a window. No Trio; times are steady seconds."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from typing import Final

from attrs import define, field

from rtcore.values.events import Json

__all__ = ["RUNS_KEPT", "AgentBoard", "AgentRuns", "percentile"]

RUNS_KEPT: Final = 1000
"""Newest runs of an agent that count, 24 bytes each: a percentile of more would say the same."""
_SHOWN: Final = 100
"""Most agents of one sample, the most recent ones: more than a page shows."""


@define(eq=False)
class AgentRuns:
    """The runs of one agent."""

    runs: deque[tuple[float, float, bool]] = field(factory=lambda: deque(maxlen=RUNS_KEPT))
    """When each ended, how many seconds it took, whether it succeeded; oldest first."""
    total: int = 0
    """Ever."""
    failed: int = 0
    """Of these."""

    def record(self, now: float, duration: float, success: bool) -> None:
        """Count a run that has just ended."""
        self.runs.append((now, duration, success))
        self.total += 1
        self.failed += not success

    def document(self, now: float, window: float) -> dict[str, Json]:
        """The figures of the last `window` seconds, and the totals."""
        while self.runs and self.runs[0][0] <= now - window:
            self.runs.popleft()
        durations = sorted(duration for _, duration, _ in self.runs)
        succeeded = sum(success for _, _, success in self.runs)
        covered = window if len(self.runs) < RUNS_KEPT else max(now - self.runs[0][0], 1.0)
        return {
            "runs": len(durations),
            "runs_per_minute": round(60 * len(durations) / covered, 3),
            "success_rate": round(succeeded / len(durations), 4) if durations else None,
            "p50_seconds": percentile(durations, 0.5),
            "p95_seconds": percentile(durations, 0.95),
            "total": self.total,
            "failed": self.failed,
        }


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
            runs = self._agents[agent] = AgentRuns()
        else:
            self._agents.move_to_end(agent)
        runs.record(now, duration, success)

    def document(self, now: float) -> dict[str, Json]:
        """The sample: all together, and the most recent agents each for themselves, the newest first."""
        documents = {name: runs.document(now, self._window) for name, runs in reversed(self._agents.items())}
        runs = sum(len(each.runs) for each in self._agents.values())
        succeeded = sum(success for each in self._agents.values() for _, _, success in each.runs)
        return {
            "agent_count": len(documents),
            "agent_runs": runs,
            "agent_success_rate": round(succeeded / runs, 4) if runs else None,
            "window_seconds": self._window,
            "agents": dict(list(documents.items())[:_SHOWN]),
        }


def percentile(ordered: list[float], share: float) -> float | None:
    """The smallest value that the given share of ordered values does not exceed; None of no values."""
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 6)
