"""Connections that have not said yet what they want: so many, and no more."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import trio

__all__ = ["Unfinished"]


class Unfinished:
    """
    Bounds connections before the end of their handshake, which no other limit counts.

    Whoever sends a request head does so at once; whoever opens connections and says little is after the descriptors. So
    when there are too many, the one that has waited longest goes.

    Args:
        maximum: Most of them at once.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._drops: dict[Hashable, Callable[[], None]] = {}

    def __len__(self) -> int:
        return len(self._drops)

    def add(self, connection: Hashable, drop: Callable[[], None]) -> None:
        """Count a handshake until it is discarded; `drop` is called, once, when it has to go."""
        if len(self._drops) >= self._maximum:
            oldest = next(iter(self._drops))
            self._drops.pop(oldest)()
        self._drops[connection] = drop

    def discard(self, connection: Hashable) -> None:
        """It is over; idempotent."""
        self._drops.pop(connection, None)

    @contextmanager
    def include(self, scope: trio.CancelScope) -> Iterator[None]:
        """Count a handshake while the block runs; `scope`, which holds it, is cancelled when it has to go."""
        self.add(scope, scope.cancel)
        try:
            yield
        finally:
            self.discard(scope)
