"""
What all parts of a server share of its end: that it has begun, whom it waits for, and when clients should come back.

It waits for what was going on when it began. Who comes later is answered for as long as the server is there, and never
makes that longer.
"""

from __future__ import annotations

import random
from collections.abc import Hashable

import trio

from rtcore.server.waiting import told_seconds

__all__ = ["Ending"]


class Ending:
    """
    Args:
        retry_after_seconds: What clients are told to wait, at least.
    """

    def __init__(self, retry_after_seconds: float = 5.0) -> None:
        self.requested = trio.Event()
        """Set once the server is on its way out."""
        self._retry_after_seconds = retry_after_seconds
        self._spread_seconds = 0.0
        self._awaited: set[Hashable] = set()
        self._released = trio.Event()

    def __len__(self) -> int:
        """How many are waited for."""
        return len(self._awaited)

    def begin(self, spread_seconds: float = 0.0) -> None:
        """Begin, with so much time over which clients are told to come back; idempotent."""
        if not self.requested.is_set():
            self._spread_seconds = spread_seconds
            self.requested.set()
            self._check_released()

    def hold(self, holder: Hashable) -> None:
        """Wait for this one too; idempotent."""
        self._awaited.add(holder)

    def release(self, holder: Hashable) -> None:
        """Wait for this one no more; idempotent."""
        self._awaited.discard(holder)
        self._check_released()

    async def wait_released(self) -> None:
        """Wait until it has begun and nobody is left whom it waits for."""
        await self._released.wait()

    def retry_after(self) -> float:
        """Seconds that one client is told to wait; another one is told something else, lest they come together."""
        return told_seconds(self._retry_after_seconds + random.uniform(0, self._spread_seconds))

    def _check_released(self) -> None:
        if self.requested.is_set() and not self._awaited:
            self._released.set()
