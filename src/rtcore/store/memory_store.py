"""A store that ends with its process: for tests, and for whoever does not mind."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable

import trio
from attrs import define, field

from rtcore.store.records import Record, Span, check_key, decode, encode
from rtcore.store.statistics import StoreCounters, StoreStatistics
from rtcore.store.store import Change
from rtcore.values.events import Json

__all__ = ["MemoryStore"]


@define(eq=False)
class _Collection:
    """Documents as JSON text, and their keys in order."""

    documents: dict[bytes, bytes] = field(factory=dict)
    keys: list[bytes] = field(factory=list)

    def put(self, key: bytes, document: bytes) -> None:
        if key not in self.documents:
            insort(self.keys, key)
        self.documents[key] = document

    def delete(self, key: bytes) -> None:
        if self.documents.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]

    def within(self, span: Span) -> list[tuple[bytes, bytes]]:
        first, end = bisect_left(self.keys, span.first), bisect_left(self.keys, span.end)
        if span.limit is not None:
            end = min(end, first + span.limit)
        return [(key, self.documents[key]) for key in self.keys[first:end]]


class MemoryStore:
    """
    A `Store` in memory; see there for what its methods promise, but that nothing outlives the process.

    Documents are kept as JSON text, so that what a caller changes later does not change in the store. Nothing bounds
    how many there are but who writes them.
    """

    def __init__(self) -> None:
        self._collections: defaultdict[str, _Collection] = defaultdict(_Collection)
        self._counters = StoreCounters()

    async def read(
        self, collection: str, *, prefix: str = "", after: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Json]]:
        """Keys and documents of a collection, in the order of the keys; see `Store.read`."""
        span = Span.of(collection, prefix, after, limit)
        await trio.lowlevel.checkpoint()
        self._counters.reads += 1
        if collection not in self._collections:
            return []
        return [decode(collection, key, text) for key, text in self._collections[collection].within(span)]

    async def get(self, collection: str, key: str) -> Json | None:
        """The document under a key, or None; see `Store.get`."""
        encoded = check_key(collection, key)
        await trio.lowlevel.checkpoint()
        self._counters.reads += 1
        if collection not in self._collections:
            return None
        text = self._collections[collection].documents.get(encoded)
        return None if text is None else decode(collection, encoded, text)[1]

    async def write(self, changes: Iterable[Change]) -> None:
        """Make changes, all or none; see `Store.write`."""
        records, size = encode(changes)
        # A whole checkpoint here would let tasks that call later come first.
        await trio.lowlevel.checkpoint_if_cancelled()
        for record in records:
            self._apply(record)
        if records:
            self._counters.count_commit(writes=1, changes=len(records), size=size)
        await trio.lowlevel.cancel_shielded_checkpoint()

    def statistics(self) -> StoreStatistics:
        """What was done since the store was made."""
        return self._counters.snapshot()

    def _apply(self, record: Record) -> None:
        collection = self._collections[record.collection]
        if record.document is None:
            collection.delete(record.key)
        else:
            collection.put(record.key, record.document)
