"""
What is published of a queue, at a rate that does not follow the queue's.

The first event of a kind leaves at once. What happens within `event_seconds` after it is told together, by one event
that has the newest of them in words and counts them all. Each carries the queue's statistics, so a page needs no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import trio
from attrs import define

from rtcore.errors import HubClosed
from rtcore.features.delivery_queue.job_fields import CHANNELS
from rtcore.features.delivery_queue.queue_store import QueueName
from rtcore.hub.hub import Hub
from rtcore.values.events import Json

__all__ = ["QueueEvents"]


@define(eq=False)
class _Kind:
    """One kind of event: when the next may leave, and what waits until then."""

    next_at: float = 0.0
    count: int = 0
    newest: Mapping[str, Json] | None = None


class QueueEvents:
    """
    Args:
        hub: Where they are published.
        queue: Whose they are.
        seconds: Least time between two of one kind.
        statistics: The queue's, as of now.
    """

    def __init__(
        self, hub: Hub, queue: QueueName, seconds: float, statistics: Callable[[], dict[str, Json]]
    ) -> None:
        self._hub = hub
        self._queue = queue
        self._seconds = seconds
        self._statistics = statistics
        self._kinds: dict[str, _Kind] = {}

    def happened(self, type: str, newest: Mapping[str, Json], count: int = 1) -> None:
        """Something happened, so often; `newest` is the last time in words."""
        kind = self._kinds.setdefault(type, _Kind())
        now = trio.current_time()
        waits = kind.newest is not None
        kind.count, kind.newest = kind.count + count, newest
        if waits:
            return
        if now >= kind.next_at:
            self._tell(type, kind)
        else:
            self._hub.timeouts.call_at(kind.next_at, lambda: self._tell(type, kind))

    def _tell(self, type: str, kind: _Kind) -> None:
        data = {**self._statistics(), **(kind.newest or {}), "count": kind.count}
        kind.next_at, kind.count, kind.newest = trio.current_time() + self._seconds, 0, None
        with suppress(HubClosed):  # what was done is done, and whoever comes later is told the state
            self._hub.publish(f"{CHANNELS}:{self._queue.workspace}", type, data, key=f"{self._queue.name}/{type}")
