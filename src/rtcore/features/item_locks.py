"""One lock an item, kept only while somebody holds it or waits for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager

import trio
from attrs import define, field

__all__ = ["ItemLocks"]


@define(eq=False)
class _Entry:
    lock: trio.Lock = field(factory=trio.Lock)
    users: int = 0


class ItemLocks:
    """Locks by item, in the order of asking for each."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @asynccontextmanager
    async def hold(self, item: Hashable) -> AsyncGenerator[None]:
        """
        Hold the lock of an item while the block lasts.

        Entering is a checkpoint; cancelled, nothing is held. Leaving is none: nothing comes between the end of the
        block and what follows.
        """
        entry = self._entries.setdefault(item, _Entry())
        entry.users += 1
        try:
            async with entry.lock:
                yield
        finally:
            entry.users -= 1
            if not entry.users:
                del self._entries[item]
