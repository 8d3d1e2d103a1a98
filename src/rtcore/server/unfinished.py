"""Connections that have not said yet what they want: so many, and no more."""

from __future__ import annotations

from collections.abc import Iterator
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
        self._scopes: dict[trio.CancelScope, None] = {}

    def __len__(self) -> int:
        return len(self._scopes)

    @contextmanager
    def include(self, scope: trio.CancelScope) -> Iterator[None]:
        """Count a handshake while the block runs; `scope`, which holds it, is cancelled when it has to go."""
        if len(self._scopes) >= self._maximum:
            oldest = next(iter(self._scopes))
            del self._scopes[oldest]
            oldest.cancel()
        self._scopes[scope] = None
        try:
            yield
        finally:
            self._scopes.pop(scope, None)
