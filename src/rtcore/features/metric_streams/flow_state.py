"""
Which workflows run, and how those ended that did: made of the events on channel `workflows`. No Trio.

Clients may publish there, too: what is not as it should be is left out, so that it harms no one else's sample.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Final

from attrs import define

from rtcore.features.failure import bounded_text
from rtcore.values.events import Json, format_timestamp

__all__ = ["FlowBoard"]

_SHOWN: Final = 50
"""Most running flows of one sample, those that said something last."""
_DURATIONS: Final = 100
"""Newest runs that the mean duration is of."""
_TEXT_BYTES: Final = 200
"""Longest identifier and name, in UTF-8; the rest is cut off."""
_ENDS: Final = frozenset({"workflow.completed", "workflow.failed"})
_LARGEST: Final = 1e12
"""Largest number that is believed; so many seconds are 30 000 years, and no sum of them leaves what JSON can carry."""


@define(eq=False)
class _Flow:
    name: str
    started_at: float
    progress: float | None = None
    task: str | None = None


class FlowBoard:
    """
    Args:
        maximum: Most running flows that are remembered; for one more, the one that was silent longest is forgotten.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._running: OrderedDict[str, _Flow] = OrderedDict()
        self._durations: deque[float] = deque(maxlen=_DURATIONS)
        self._completed = 0
        self._failed = 0
        self._missed = 0

    def take(self, type: str, data: Json, timestamp: float) -> None:
        """An event of the channel; others than those of workflows are passed over."""
        if type == "dropped" and isinstance(data, Mapping):
            count, types = _number(data.get("count")), data.get("types")
            if isinstance(count, int):
                self.miss(count, ends=not isinstance(types, Mapping) or not _ENDS.isdisjoint(types))
        if not isinstance(data, Mapping) or (identifier := _text(data.get("workflow_id"))) is None:
            return
        if type == "workflow.progress":
            self._progressed(identifier, data, timestamp)
        elif type in _ENDS:
            self._ended(identifier, data, completed=type == "workflow.completed")

    def miss(self, count: int, *, ends: bool = True) -> None:
        """
        So many events are gone. Where one may have been an end, nobody knows which workflows still run: each counts
        again from the next thing that it says.
        """
        self._missed += count
        if ends:
            self._running.clear()

    def _progressed(self, identifier: str, data: Mapping[str, Json], timestamp: float) -> None:
        flow = self._running.get(identifier)
        if flow is None:
            if len(self._running) >= self._maximum:
                self._running.popitem(last=False)
            flow = self._running[identifier] = _Flow(_text(data.get("name")) or identifier, timestamp)
        self._running.move_to_end(identifier)
        task = data.get("current_task")
        flow.progress = _number(data.get("progress"))
        flow.task = _text(task.get("name")) if isinstance(task, Mapping) else None

    def _ended(self, identifier: str, data: Mapping[str, Json], *, completed: bool) -> None:
        self._running.pop(identifier, None)
        duration = _number(data.get("duration"))
        if duration is not None:
            self._durations.append(duration)
        if completed:
            self._completed += 1
        else:
            self._failed += 1

    def document(self) -> dict[str, Json]:
        """The sample; `flows_missed` events came too fast to be counted, or were gone before anybody watched."""
        ended = self._completed + self._failed
        return {
            "flows_running": len(self._running),
            "flows_completed": self._completed,
            "flows_failed": self._failed,
            "flows_missed": self._missed,
            "flow_success_rate": round(self._completed / ended, 4) if ended else None,
            "flow_mean_seconds": round(sum(self._durations) / len(self._durations), 6) if self._durations else None,
            "flows": [
                {
                    "workflow_id": identifier,
                    "name": flow.name,
                    "progress": flow.progress,
                    "current_task": flow.task,
                    "started_at": format_timestamp(flow.started_at),
                }
                for identifier, flow in list(reversed(self._running.items()))[:_SHOWN]
            ],
        }


def _text(value: Json) -> str | None:
    return bounded_text(value, _TEXT_BYTES) if isinstance(value, str) else None


def _number(value: Json) -> float | None:
    """A number as it came, unless it is none, below 0 or too large to be true."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= _LARGEST else None
