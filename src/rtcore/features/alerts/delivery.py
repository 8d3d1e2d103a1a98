"""
Getting notifications out, although the other side is slow, busy or gone.

Each target has a queue and, while there is something in it, one task: so its notifications keep their order, and a
target that hangs holds up no other. An attempt that failed in passing is repeated, with a pause that doubles and is
drawn at random from its upper half, so that many servers do not come back at the same moment; a target that says when
to come back is believed, within bounds. What waits is bounded: when there is no room the oldest is given up, because
the newest says how things are now. Nothing is given up in silence.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Mapping

import trio
from attrs import define, field, frozen

from rtcore.errors import DeliveryFailed
from rtcore.features.alerts.channels.notification import Notification, Sender
from rtcore.features.alerts.settings import AlertSettings

__all__ = ["Deliveries", "Delivery", "DeliveryStatistics"]

_logger = logging.getLogger(__name__)


@frozen(kw_only=True)
class Delivery:
    """One notification on its way to one target."""

    target: str
    notification: Notification

    @property
    def key(self) -> str:
        """The same for the same notification and target, also after a restart."""
        return f"{self.notification.id}.{self.target}"


@frozen(kw_only=True)
class DeliveryStatistics:
    """What became of notifications since the hub was opened."""

    delivered: int
    """Notifications that a target has taken."""
    retried: int
    """Attempts that failed in passing and were repeated."""
    given_up: int
    """Notifications that failed for good, or too often, or had no room."""
    waiting: int
    """Notifications that are in a queue or on their way now."""


Finished = Callable[[Delivery, DeliveryFailed | None], None]
"""Called once for each delivery, with why it was given up, if it was."""


@define(eq=False)
class _Queue:
    waiting: deque[Delivery] = field(factory=deque)
    serving: bool = False
    """Whether a task takes from it; one delivery may be on its way."""


class Deliveries:
    """
    The queues of all targets.

    Args:
        senders: By target.
        settings: Attempts and pauses.
        most: Most notifications that wait for one target.
        finished: Told the end of each.
        dice: Draws the pauses.
    """

    def __init__(
        self,
        senders: Mapping[str, Sender],
        settings: AlertSettings,
        most: int,
        finished: Finished,
        dice: random.Random | None = None,
    ) -> None:
        self._senders = senders
        self._settings = settings
        self._most = most
        self._finished = finished
        self._dice = dice or random.Random()
        self._queues: dict[str, _Queue] = {}
        self._delivered = self._retried = self._given_up = 0

    def statistics(self) -> DeliveryStatistics:
        """What became of notifications so far."""
        return DeliveryStatistics(
            delivered=self._delivered,
            retried=self._retried,
            given_up=self._given_up,
            waiting=sum(len(queue.waiting) + queue.serving for queue in self._queues.values()),
        )

    def enqueue(self, delivery: Delivery, nursery: trio.Nursery) -> None:
        """Take a delivery on; never blocks. Its task, if it needs a new one, runs in the nursery."""
        if delivery.target not in self._senders:
            self._end(delivery, DeliveryFailed("the target is not in the settings any more", transient=False))
            return
        queue = self._queues.setdefault(delivery.target, _Queue())
        if len(queue.waiting) >= self._most:
            no_room = DeliveryFailed(f"more than alert_deliveries={self._most} were waiting", transient=False)
            self._end(queue.waiting.popleft(), no_room)
        queue.waiting.append(delivery)
        if not queue.serving:
            queue.serving = True
            nursery.start_soon(self._serve, delivery.target, queue)

    async def _serve(self, target: str, queue: _Queue) -> None:
        while queue.waiting:
            delivery = queue.waiting.popleft()
            self._end(delivery, await self._deliver(delivery))
        queue.serving = False
        del self._queues[target]

    async def _deliver(self, delivery: Delivery) -> DeliveryFailed | None:
        attempts = self._settings.attempts
        for attempt in range(1, attempts + 1):
            failure = await self._attempt(delivery)
            if failure is None or not failure.transient:
                return failure
            if attempt < attempts:
                self._retried += 1
                await trio.sleep(self._pause(attempt, failure.retry_after))
        return DeliveryFailed(f"{failure} (attempt {attempts} of attempts={attempts})", transient=True)

    async def _attempt(self, delivery: Delivery) -> DeliveryFailed | None:
        try:
            await self._senders[delivery.target].send(delivery.notification)
        except DeliveryFailed as error:
            return error
        except Exception as error:  # a fault of ours must not end the queue; its text may hold secrets, its class not
            _logger.error("sending to %s failed unexpectedly: %s", delivery.target, type(error).__name__)
            return DeliveryFailed(f"failed unexpectedly: {type(error).__name__}", transient=False)
        return None

    def _pause(self, attempt: int, retry_after: float | None) -> float:
        longest = self._settings.retry_seconds * 2 ** (attempt - 1)
        pause = self._dice.uniform(longest / 2, longest)
        return min(max(pause, retry_after or 0.0), self._settings.retry_most_seconds)

    def _end(self, delivery: Delivery, failure: DeliveryFailed | None) -> None:
        if failure is None:
            self._delivered += 1
        else:
            self._given_up += 1
            _logger.warning(
                "notification %s to %s was given up: %s", delivery.notification.id, delivery.target, failure
            )
        self._finished(delivery, failure)
