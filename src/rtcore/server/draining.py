"""
Draining: every connection is told to come back later, not all at once, and then the server ends.

The close frames are spread so that the clients, which reconnect by themselves, do not arrive together at whatever takes
over. What has not ended shortly before the time is up is cut, so that the server has ended when it is: a client that
takes nothing must not make a restart late. Until then the server still listens: who comes is told to come back later,
and a load balancer hears that it should send nobody.
"""

from __future__ import annotations

import logging
import random
from functools import partial
from typing import Final

import trio

from rtcore.hub.timeouts import TimeoutWatcher, Timer
from rtcore.server.ending import Ending
from rtcore.server.settings import Settings
from rtcore.transports.websocket_connection import CUT_SECONDS, WebSocketConnection

__all__ = ["Drain"]

logger = logging.getLogger("rtcore.server")

_CLOSES_PER_SECOND: Final = 200
"""A few connections need no spreading: the jitter is no longer than this rate asks for."""
_CUTTING_SECONDS: Final = CUT_SECONDS + 0.5
"""How long before the deadline is cut: what one connection may take, and the time to cut thousands in their turn."""


class Drain:
    """
    Args:
        settings: Deadline, jitter and close code.
        timeouts: Where the spread close frames wait for their time.
    """

    def __init__(self, settings: Settings, timeouts: TimeoutWatcher) -> None:
        self.ending = Ending(settings.retry_after_seconds)
        """What others are told of it."""
        self._settings = settings
        self._timeouts = timeouts
        self._connections: dict[WebSocketConnection, Timer | None] = {}
        self._cut_at = 0.0

    def add(self, connection: WebSocketConnection) -> None:
        """Close this connection too when the drain begins; at once, if it has begun."""
        self._connections[connection] = None
        self.ending.hold(connection)
        if self.ending.requested.is_set():
            self._close(connection)

    def remove(self, connection: WebSocketConnection) -> None:
        """A connection that was added has ended."""
        timer = self._connections.pop(connection, None)  # it may have failed before it was added
        if timer is not None:
            timer.cancel()
        self.ending.release(connection)

    def start(self) -> None:
        """Begin; idempotent."""
        if self.ending.requested.is_set():
            return
        now = trio.current_time()
        left = max(0.0, self._settings.limits.drain_seconds - _CUTTING_SECONDS)
        self._cut_at = now + left
        spread = min(self._settings.drain_jitter_seconds, len(self._connections) / _CLOSES_PER_SECOND)
        longest = min(spread, left)  # nobody is cut who was not told
        logger.info("draining %d connections over %.1f s", len(self._connections), longest)
        for connection in self._connections:
            # Not for secrecy: only so that the times differ.
            due = now + random.uniform(0, longest)
            self._connections[connection] = self._timeouts.call_at(due, partial(self._close, connection))
        self.ending.begin(spread)

    async def finish(self) -> None:
        """
        Wait until all that was going on has ended, or until what has not must be cut for the end to be in time.

        All connections were told to come back by then, if need be at once; the caller cuts them.
        """
        with trio.move_on_at(self._cut_at) as scope:
            await self.ending.wait_released()
        if scope.cancelled_caught and len(self.ending):
            logger.warning("cutting %d connections that did not end in time", len(self.ending))

    def _close(self, connection: WebSocketConnection) -> None:
        reason = f"service restart; retry after {self.ending.retry_after()} s"
        connection.close(self._settings.drain_close_code, reason)
