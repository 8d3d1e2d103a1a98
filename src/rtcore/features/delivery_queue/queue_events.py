"""
What is published of a queue, at a rate that does not follow the queue's.

The first event of a kind leaves at once. What happens within `event_seconds` after it is told together, by one event
that has the newest of them in words and counts them all. Each carries the queue's statistics, so a page needs no more.

What is told has been written: that it cannot be told undoes nothing, and is nobody's failure but the log's to say.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from rtcore.errors import ErrorCode, HubClosed, RequestError
from rtcore.features.delivery_queue.job_fields import CHANNELS
from rtcore.features.delivery_queue.queue_store import QueueName
from rtcore.features.pacing import Pace
from rtcore.hub.hub import Hub
from rtcore.values.channels import own_channel
from rtcore.values.events import Json

__all__ = ["QueueEvents"]

_logger = logging.getLogger("rtcore.queues")


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
        self._channel = own_channel(CHANNELS, queue.workspace)
        self._statistics = statistics
        self._untold: dict[str, tuple[int, Mapping[str, Json]]] = {}  # how often, and the newest; by type
        self._pace = Pace[str](hub.timeouts, seconds, self._tell)

    def happened(self, type: str, newest: Mapping[str, Json], count: int = 1) -> None:
        """Something happened, so often; `newest` is the last time in words."""
        before, _ = self._untold.get(type, (0, newest))
        self._untold[type] = before + count, newest
        self._pace.changed(type)

    def _tell(self, type: str) -> bool:
        """Publish what happened; returns whether it is done."""
        count, newest = self._untold.pop(type)
        data = {**self._statistics(), **newest, "count": count}
        try:
            self._hub.publish(self._channel, type, data, key=f"{self._queue.name}/{type}")
        except HubClosed:  # whoever comes later is told the state
            return True
        except RequestError as error:
            _logger.warning("%s of queue %s could not be told: %s", type, self._queue.name, error)
            if error.code is ErrorCode.TOO_MANY_CHANNELS and self._hub.is_subscribed(self._channel):
                self._untold[type] = count, newest  # the channel may be had later, and somebody waits there
                return False
        return True
