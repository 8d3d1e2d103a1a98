"""
A ring of items with their offset, size and time, found by any of these without a walk.

An item's index counts from 0 and never changes, whatever is dropped before it: a cursor is a plain integer, and lag is
a subtraction. Offsets strictly increase and times never decrease, so both are found by bisection. Each slot also keeps
the bytes that went before it, so the bytes between two indices are one subtraction.

The ring itself has no bound: the owner evicts by count, bytes or age, since only the owner knows who still needs an
item. Slots double as they are needed, and half of them are given back whenever seven eighths stand empty. A channel has
a ring, and so has each of its views: an empty one is to cost next to nothing.
"""

from __future__ import annotations

import math
from array import array

__all__ = ["EventRing"]

_SMALLEST = 4
"""Slots of the first allocation; a power of two, as every capacity is, so a slot is a mask away from its index."""

_LARGEST = 1 << 40
"""Largest size of one item: so high that nobody meets it, so low that no sum of sizes leaves 64 bits."""


class EventRing:
    """
    Items by absolute index, from `first` up to but without `head`.

    Integers are signed and of 64 bits; beyond, a method raises OverflowError or the error it has for the value.
    """

    __slots__ = ("_before", "_items", "_mask", "_offsets", "_times", "_written", "first", "head")

    first: int
    """Index of the oldest item; equal to `head` when the ring is empty."""
    head: int
    """One past the index of the newest item."""

    def __init__(self) -> None:
        self.first = 0
        self.head = 0
        self._written = 0
        self._mask = -1
        self._items: list[object] = []
        self._offsets = array("q")
        self._before = array("q")
        self._times = array("d")

    def __len__(self) -> int:
        return self.head - self.first

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes held."""
        return self.bytes_between(self.first, self.head)

    def append(self, item: object, offset: int, size: int, timestamp: float) -> int:
        """
        Add the newest item.

        Args:
            item: Anything; held until it is evicted.
            offset: Greater than that of the item before it.
            size: Bytes that the item stands for, 0 to 2**40.
            timestamp: Seconds; not earlier than that of the item before it.

        Returns:
            Its index.

        Raises:
            ValueError: If any of these does not hold; nothing was added.
        """
        if not 0 <= size <= _LARGEST:
            raise ValueError(f"size must be 0 to {_LARGEST}, got {size}")
        if timestamp != timestamp:
            raise ValueError("timestamp must be a number, got nan")
        while self.head - self.first > self._mask:
            self._resize(max(_SMALLEST, 2 * (self._mask + 1)))
        index = self.head
        if index > self.first:
            newest = (index - 1) & self._mask
            if offset <= self._offsets[newest]:
                raise ValueError(f"offset {offset} is not above {self._offsets[newest]}")
            if timestamp < self._times[newest]:
                raise ValueError(f"timestamp {timestamp} is before {self._times[newest]}")
        slot = index & self._mask
        self._offsets[slot] = offset
        self._times[slot] = timestamp
        self._before[slot] = self._written
        self._items[slot] = item
        self._written += size
        self.head = index + 1
        return index

    def get(self, index: int) -> object:
        """The item at an index. Raises IndexError outside `first` to `head`."""
        return self._items[self._slot(index)]

    def offset_at(self, index: int) -> int:
        """The offset at an index. Raises IndexError outside `first` to `head`."""
        return self._offsets[self._slot(index)]

    def timestamp_at(self, index: int) -> float:
        """The time at an index, in seconds. Raises IndexError outside `first` to `head`."""
        return self._times[self._slot(index)]

    def slice(self, start: int, stop: int) -> list[object]:
        """The items from `start` up to but without `stop`, both clamped to what is held."""
        while True:
            first = self.first
            start = max(start, first)
            stop = min(stop, self.head)
            if start >= stop:
                return []
            low = start & self._mask
            high = low + (stop - start)
            items, capacity = self._items, self._mask + 1
            found = items[low:high]
            if high > capacity:
                found += items[: high - capacity]
            # Making a list may run the collector, and with it code that drops some of these.
            if self.first == first:
                return found

    def evict_to(self, index: int) -> None:
        """Drop every item below an index, clamped to what is held."""
        index = min(index, self.head)
        while self.first < index:
            # The ring is whole before the item goes: letting go of it may run code that uses the ring.
            slot = self.first & self._mask
            self.first += 1
            self._items[slot] = None
        capacity = self._mask + 1
        if capacity > _SMALLEST and (self.head - self.first) * 8 <= capacity:
            self._resize(capacity // 2)

    def keep(self, items: int, size: int, timestamp: float) -> float:
        """
        Drop the oldest items, until no more are held than these bounds allow.

        Args:
            items: Most of them.
            size: Most bytes of all of them together.
            timestamp: Earliest time of one of them, in seconds.

        Returns:
            The time of the newest item dropped; minus infinity if none was.
        """
        index = max(self.first, self.head - max(items, 0))
        while index < self.head and self._written - self._before[index & self._mask] > size:
            index += 1
        while index < self.head and self._times[index & self._mask] < timestamp:
            index += 1
        if index == self.first:
            return -math.inf
        dropped = self._times[(index - 1) & self._mask]
        self.evict_to(index)
        return dropped

    def evict_before(self, offset: int, index: int) -> None:
        """Drop every item whose offset is below `offset`, and its index below `index`."""
        stop = self.first
        last = min(index, self.head)
        while stop < last and self._offsets[stop & self._mask] < offset:
            stop += 1
        if stop > self.first:
            self.evict_to(stop)

    def index_of_offset(self, offset: int) -> int:
        """Index of the first item whose offset is at least `offset`; `head` if none is."""
        low, high = self.first, self.head
        while low < high:
            middle = (low + high) // 2
            if self._offsets[middle & self._mask] < offset:
                low = middle + 1
            else:
                high = middle
        return low

    def index_of_time(self, timestamp: float) -> int:
        """Index of the first item whose time is at least `timestamp`; `head` if none is."""
        low, high = self.first, self.head
        while low < high:
            middle = (low + high) // 2
            if self._times[middle & self._mask] < timestamp:
                low = middle + 1
            else:
                high = middle
        return low

    def bytes_between(self, start: int, stop: int) -> int:
        """Bytes of the items from `start` up to but without `stop`, both clamped to what is held."""
        start = max(start, self.first)
        stop = min(stop, self.head)
        if start >= stop:
            return 0
        return self._bytes_before(stop) - self._bytes_before(start)

    def stop_for_bytes(self, start: int, maximum: int) -> int:
        """
        How far a write of `maximum` bytes from `start` on reaches.

        Returns:
            The largest index up to `head` with `bytes_between(start, index) <= maximum`; one past `start` if even that
            item is larger, so that a write always moves on. `start` is clamped to what is held.
        """
        start = min(max(start, self.first), self.head)
        if start == self.head:
            return start
        base = self._bytes_before(start)
        low, high = start + 1, self.head
        while low < high:
            middle = (low + high + 1) // 2
            if self._bytes_before(middle) - base <= maximum:
                low = middle
            else:
                high = middle - 1
        return low

    def _slot(self, index: int) -> int:
        if not self.first <= index < self.head:
            raise IndexError(f"index {index} is outside {self.first} to {self.head}")
        return index & self._mask

    def _bytes_before(self, index: int) -> int:
        return self._written if index == self.head else self._before[index & self._mask]

    def _resize(self, capacity: int) -> None:
        """Move everything to new slots; `capacity` is a power of two."""
        items: list[object] = [None] * capacity
        offsets, before = array("q", bytes(8 * capacity)), array("q", bytes(8 * capacity))
        times = array("d", bytes(8 * capacity))
        # Making these may run the collector, and with it code that uses the ring: only now is what it holds looked at.
        if self.head - self.first > capacity:
            return
        for index in range(self.first, self.head):
            old, new = index & self._mask, index & (capacity - 1)
            items[new] = self._items[old]
            offsets[new] = self._offsets[old]
            before[new] = self._before[old]
            times[new] = self._times[old]
        self._items, self._offsets, self._before, self._times = items, offsets, before, times
        self._mask = capacity - 1
