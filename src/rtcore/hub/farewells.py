"""Functions that are called once when a subscriber has gone; only for those of whom somebody wants to know."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rtcore.hub.subscriber import Subscriber

__all__ = ["Farewells"]

logger = logging.getLogger("rtcore.hub")


class Farewells:
    """What is to be called, by subscriber."""

    def __init__(self) -> None:
        self._callbacks: dict[Subscriber, list[Callable[[], None]]] = {}

    def __len__(self) -> int:
        return len(self._callbacks)

    def add(self, subscriber: Subscriber, callback: Callable[[], None]) -> None:
        """Have a function called at the end; at once where it is over already."""
        if subscriber.over:
            callback()
            return
        self._callbacks.setdefault(subscriber, []).append(callback)

    def say(self, subscriber: Subscriber) -> None:
        """It has gone; idempotent."""
        for callback in self._callbacks.pop(subscriber, ()):
            try:
                callback()
            except Exception:  # one feature's fault must not keep the others from hearing of it
                logger.exception("a feature failed to hear that a subscriber has gone")
