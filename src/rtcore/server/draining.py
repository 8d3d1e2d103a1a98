"""
Draining: every connection is told to come back later, not all at once, and then the server ends.

The close frames are spread so that the clients, which reconnect by themselves, do not arrive together at whatever takes
over. What has not ended shortly before the time is up is cut, so that the server has ended when it is: a client that
takes nothing must not make a restart late.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import trio

from rtcore.hub.timeouts import TimeoutWatcher, Timer
from rtcore.server.settings import Settings
from rtcore.transports.websocket_connection import CUT_SECONDS, WebSocketConnection

__all__ = ["Drain"]

logger = logging.getLogger("rtcore.server")

_RETRY_SECONDS: Final = 1.0  # what takes over is up within a moment; clients add a jitter of their own
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
        self.requested = trio.Event()
        """Set once the server is on its way out."""
        self._settings = settings
        self._timeouts = timeouts
        self._connections: dict[WebSocketConnection, Timer | None] = {}
        self._others = 0
        self._spread = 0.0
        self._cut_at = 0.0
        self._empty = trio.Event()

    def add(self, connection: WebSocketConnection) -> None:
        """Close this connection too when the drain begins; at once, if it has begun."""
        self._connections[connection] = None
        if self.requested.is_set():
            self._close(connection)

    def remove(self, connection: WebSocketConnection) -> None:
        """A connection that was added has ended."""
        timer = self._connections.pop(connection, None)  # it may have failed before it was added
        if timer is not None:
            timer.cancel()
        self._check_empty()

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Wait for this block too: an HTTP connection, which ends by itself with the reply that it is at."""
        self._others += 1
        try:
            yield
        finally:
            self._others -= 1
            self._check_empty()

    def _check_empty(self) -> None:
        if self.requested.is_set() and not self._connections and not self._others:
            self._empty.set()

    def start(self) -> None:
        """Begin; idempotent."""
        if self.requested.is_set():
            return
        self.requested.set()
        now = trio.current_time()
        left = max(0.0, self._settings.limits.drain_seconds - _CUTTING_SECONDS)
        self._cut_at = now + left
        self._spread = min(self._settings.drain_jitter_seconds, len(self._connections) / _CLOSES_PER_SECOND)
        longest = min(self._spread, left)  # nobody is cut who was not told
        logger.info("draining %d connections over %.1f s", len(self._connections), longest)
        for connection in self._connections:
            # Not for secrecy: only so that the times differ.
            due = now + random.uniform(0, longest)
            self._connections[connection] = self._timeouts.call_at(due, partial(self._close, connection))
        self._check_empty()

    async def finish(self) -> None:
        """
        Wait until every connection has ended, or until those that have not must be cut for the end to be in time.

        All were told to come back by then, if need be at once; the caller cuts them.
        """
        with trio.move_on_at(self._cut_at) as scope:
            await self._empty.wait()
        if scope.cancelled_caught and not self._empty.is_set():
            logger.warning("cutting %d connections that did not end in time", len(self._connections) + self._others)

    def _close(self, connection: WebSocketConnection) -> None:
        retry = _RETRY_SECONDS + random.uniform(0, self._spread)
        connection.close(self._settings.drain_close_code, f"service restart; retry after {retry:.1f} s")
