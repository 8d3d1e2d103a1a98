"""
What is published of one output: it never keeps the producer from its work, and its end is not lost.

A hub whose channels all have subscribers has no room for another one just now. Chunks that are not told then are missed
by nobody for long: the next one that is says by its index that there were others, and they are kept. But nothing comes
after an end, so an end is told again and again until there is room.
"""

from __future__ import annotations

import logging
from typing import Final

import trio

from rtcore.errors import ErrorCode, HubClosed, RequestError
from rtcore.hub.hub import Hub
from rtcore.hub.subscription import Subscription
from rtcore.hub.timeouts import Timer
from rtcore.values.events import Json

__all__ = ["OutputEvents"]

logger = logging.getLogger("rtcore.outputs")

_RETRY_SECONDS: Final = 1.0


class OutputEvents:
    """
    Args:
        hub: Where they are published.
        channel: For those who read it.
        directory: For those who read the list: its beginning and its end, once more.
    """

    def __init__(self, hub: Hub, channel: str, directory: str) -> None:
        self.channel = channel
        self.directory = directory
        self.readers: set[Subscription] = set()
        """Subscriptions of this process to the channel; they end with the output where its end cannot be told."""
        self._hub = hub
        self._failing: set[str] = set()
        self._untold: list[str] = []
        self._timer: Timer | None = None

    def started(self, data: dict[str, Json]) -> None:
        """It has begun."""
        self._publish(self.channel, "output.started", data)
        self._publish(self.directory, "output.started", data)

    def chunk(self, data: dict[str, Json]) -> None:
        """More of its content."""
        self._publish(self.channel, "output.chunk", data)

    def ended(self, type: str, data: dict[str, Json]) -> None:
        """Its one end."""
        self._untold = [self.channel, self.directory]
        due = self._tell_end(type, data)
        if self.channel in self._untold:
            for reader in self.readers:
                reader.close()
        if due is not None:
            self._timer = self._hub.timeouts.call_at(due, lambda: self._tell_end_again(type, data))

    def stop(self) -> None:
        """The output is forgotten, and another one may have its channel: nothing more is told; idempotent."""
        if self._timer is not None:
            self._timer.cancel()

    def _tell_end(self, type: str, data: dict[str, Json]) -> float | None:
        """Where it has not been told yet; returns when to try again."""
        self._untold = [channel for channel in self._untold if not self._publish(channel, type, data)]
        return trio.current_time() + _RETRY_SECONDS if self._untold else None

    def _tell_end_again(self, type: str, data: dict[str, Json]) -> float | None:
        try:
            return self._tell_end(type, data)
        except HubClosed:
            return None

    def _publish(self, channel: str, type: str, data: dict[str, Json]) -> bool:
        """Returns whether it is done with: published, or never to be."""
        try:
            if channel == self.channel:
                self._hub.publish(channel, type, data)
            else:
                with self._hub.registry.unobserved(channel, type):
                    self._hub.publish(channel, type, data)
        except RequestError as error:  # what was written is kept, and read by who asks
            if channel not in self._failing:
                logger.warning("readers on %s were not told %s: %s", channel, type, error)
            self._failing.add(channel)
            return error.code is not ErrorCode.TOO_MANY_CHANNELS
        self._failing.discard(channel)
        return True
