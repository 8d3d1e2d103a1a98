"""
The inboxes that are in memory: read from the store when somebody needs one, and let go when others need the room.

An inbox that is in use stays where it is, so whoever changes one under its lock changes the only one that there is.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from rtcore.features.item_locks import ItemLocks
from rtcore.features.notifications.inbox import Inbox
from rtcore.features.notifications.notification import Place
from rtcore.features.notifications.notification_store import NotificationStore

__all__ = ["Inboxes"]

_INBOX_BYTES: Final = 1024
"""What an inbox counts beside its notifications and marks, so that many empty ones are not free."""
_LEAST: Final = 2
"""Inboxes that one client needs at once: its own, and that of its workspace."""


class Inboxes:
    """
    Args:
        store: Where they are kept.
        cache_bytes: How much of it may be in memory.
        loaded: Told of each inbox that was read just now.
    """

    def __init__(self, store: NotificationStore, cache_bytes: int, loaded: Callable[[Inbox], None]) -> None:
        self._store = store
        self._cache_bytes = cache_bytes
        self._loaded = loaded
        self._inboxes: OrderedDict[Place, Inbox] = OrderedDict()
        self._sizes: dict[Place, int] = {}
        self._pins: Counter[Place] = Counter()
        self.bytes = 0
        """What those in memory count."""
        self._locks = ItemLocks()
        self._loading = ItemLocks()

    def __len__(self) -> int:
        return len(self._inboxes)

    def __iter__(self) -> Iterator[Inbox]:
        """Those in memory, the one that was not asked for longest first."""
        return iter(list(self._inboxes.values()))

    @property
    def busy(self) -> int:
        """Locks that somebody holds or waits for, and inboxes in use."""
        return len(self._locks) + len(self._loading) + len(self._pins)

    def ready(self, place: Place) -> Inbox | None:
        """An inbox, where it is in memory: good until the next checkpoint."""
        inbox = self._inboxes.get(place)
        if inbox is not None:
            self._inboxes.move_to_end(place)
        return inbox

    @asynccontextmanager
    async def use(self, *places: Place) -> AsyncGenerator[tuple[Inbox, ...]]:
        """
        Inboxes to look at, in memory while the block lasts. A checkpoint where one has to be read.

        Raises:
            RequestError: `server.unavailable` if one cannot be read.
        """
        self._pins.update(places)
        try:
            yield tuple([await self._get(place) for place in places])
        finally:
            self._pins.subtract(places)
            for place in places:
                if not self._pins[place]:
                    del self._pins[place]
                self._measure(place)
            self._trim()

    @asynccontextmanager
    async def hold(self, *places: Place) -> AsyncGenerator[tuple[Inbox, ...]]:
        """Inboxes to change: nobody else does while the block lasts. A checkpoint; errors as of `use`."""
        async with AsyncExitStack() as stack:
            # In one order, so that no two wait for each other: that of the workspace before those of its users.
            for place in sorted(set(places), key=lambda place: (place.workspace, place.user or "")):
                await stack.enter_async_context(self._locks.hold(place))
            yield await stack.enter_async_context(self.use(*places))

    async def _get(self, place: Place) -> Inbox:
        inbox = self.ready(place)
        if inbox is not None:
            return inbox
        async with self._loading.hold(place):
            inbox = self.ready(place)
            if inbox is None:
                # Whoever changes it waits for this, so what is read is all there is.
                inbox = self._inboxes[place] = await self._store.load(place)
                self._loaded(inbox)
        return inbox

    def _measure(self, place: Place) -> None:
        """Count an inbox as it is now: summing up all of them would cost each caller as much as there are."""
        inbox = self._inboxes.get(place)
        size = 0 if inbox is None else inbox.bytes + inbox.marks.bytes + _INBOX_BYTES
        self.bytes += size - self._sizes.pop(place, 0)
        if size:
            self._sizes[place] = size

    def _trim(self) -> None:
        if self.bytes <= self._cache_bytes:
            return
        # The newest stay, be they as large as they like: whoever has just waited for them finds them there.
        for place in list(self._inboxes)[:-_LEAST]:
            if place not in self._pins:
                del self._inboxes[place]
                self._measure(place)
            if self.bytes <= self._cache_bytes:
                return
