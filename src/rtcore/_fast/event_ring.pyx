# cython: language_level=3, auto_pickle=False
"""
Rings of items, compiled; see `rtcore._pure.event_ring`.

The numbers of an item stand side by side in one C array: appending touches one cache line of it, and an empty ring is
150 bytes. As arrays with a typed view on each, as the Python source would be compiled, it was 2.4 KiB, and a channel of
one subscriber has two.
"""

cimport cython
from libc.math cimport INFINITY
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

__all__ = ["EventRing"]

cdef enum:
    SMALLEST = 4  # slots of the first allocation; a power of two, as every capacity is

cdef int64_t LARGEST = <int64_t> 1 << 40  # see `rtcore._pure.event_ring`


@cython.final
cdef class EventRing:
    """Items by absolute index; see `rtcore._pure.event_ring.EventRing`."""

    def __cinit__(self):
        self.first = self.head = 0
        self._written = 0
        self._mask = -1
        self._items = []
        self._slots = NULL

    def __init__(self) -> None:
        pass

    def __dealloc__(self):
        free(self._slots)

    def __len__(self) -> int:
        return self.head - self.first

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes held."""
        return self.bytes_between(self.first, self.head)

    cpdef Py_ssize_t append(self, object item, int64_t offset, int64_t size, double timestamp) except -1:
        """Add the newest item; see `rtcore._pure.event_ring.EventRing.append`."""
        cdef Py_ssize_t index
        cdef RingSlot *newest
        cdef RingSlot *slot
        if size < 0 or size > LARGEST:
            raise ValueError(f"size must be 0 to {LARGEST}, got {size}")
        if timestamp != timestamp:
            raise ValueError("timestamp must be a number, got nan")
        while self.head - self.first > self._mask:
            self._resize(max(SMALLEST, 2 * (self._mask + 1)))
        index = self.head
        if index > self.first:
            newest = &self._slots[(index - 1) & self._mask]
            if offset <= newest.offset:
                raise ValueError(f"offset {offset} is not above {newest.offset}")
            if timestamp < newest.time:
                raise ValueError(f"timestamp {timestamp} is before {newest.time}")
        slot = &self._slots[index & self._mask]
        slot.offset = offset
        slot.before = self._written
        slot.time = timestamp
        self._items[index & self._mask] = item
        self._written += size
        self.head = index + 1
        return index

    cpdef object get(self, int64_t index):
        """The item at an index. Raises IndexError outside `first` to `head`."""
        return self._items[self._slot(index)]

    cpdef int64_t offset_at(self, int64_t index) except? -1:
        """The offset at an index. Raises IndexError outside `first` to `head`."""
        return self._slots[self._slot(index)].offset

    cpdef double timestamp_at(self, int64_t index) except? -1.0:
        """The time at an index, in seconds. Raises IndexError outside `first` to `head`."""
        return self._slots[self._slot(index)].time

    cpdef list slice(self, int64_t start, int64_t stop):
        """The items from `start` up to but without `stop`; see `rtcore._pure.event_ring.EventRing.slice`."""
        cdef Py_ssize_t first
        cdef Py_ssize_t low
        cdef Py_ssize_t high
        cdef Py_ssize_t capacity
        cdef list items
        cdef list found
        while True:
            first = self.first
            start = max(start, first)
            stop = min(stop, self.head)
            if start >= stop:
                return []
            low = start & self._mask
            high = low + <Py_ssize_t> (stop - start)
            items, capacity = self._items, self._mask + 1
            found = items[low:high]
            if high > capacity:
                found += items[: high - capacity]
            # Making a list may run the collector, and with it code that drops some of these.
            if self.first == first:
                return found

    cpdef object evict_to(self, int64_t index):
        """Drop every item below an index; see `rtcore._pure.event_ring.EventRing.evict_to`."""
        cdef Py_ssize_t slot
        cdef Py_ssize_t capacity
        index = min(index, self.head)
        while self.first < index:
            # The ring is whole before the item goes: letting go of it may run code that uses the ring.
            slot = self.first & self._mask
            self.first += 1
            self._items[slot] = None
        capacity = self._mask + 1
        if capacity > SMALLEST and (self.head - self.first) * 8 <= capacity:
            self._resize(capacity // 2)

    cpdef double keep(self, int64_t items, int64_t size, double timestamp) except? -1.0:
        """Drop the oldest items beyond these bounds; see `rtcore._pure.event_ring.EventRing.keep`."""
        cdef int64_t index = max(self.first, self.head - max(items, 0))
        cdef double dropped
        while index < self.head and self._written - self._slots[index & self._mask].before > size:
            index += 1
        while index < self.head and self._slots[index & self._mask].time < timestamp:
            index += 1
        if index == self.first:
            return -INFINITY
        dropped = self._slots[(index - 1) & self._mask].time
        self.evict_to(index)
        return dropped

    cpdef object evict_before(self, int64_t offset, int64_t index):
        """Drop what is below both; see `rtcore._pure.event_ring.EventRing.evict_before`."""
        cdef int64_t stop = self.first
        cdef int64_t last = min(index, self.head)
        while stop < last and self._slots[stop & self._mask].offset < offset:
            stop += 1
        if stop > self.first:
            self.evict_to(stop)

    cpdef Py_ssize_t index_of_offset(self, int64_t offset) noexcept:
        """Index of the first item whose offset is at least `offset`; `head` if none is."""
        cdef Py_ssize_t low = self.first
        cdef Py_ssize_t high = self.head
        cdef Py_ssize_t middle
        while low < high:
            middle = (low + high) // 2
            if self._slots[middle & self._mask].offset < offset:
                low = middle + 1
            else:
                high = middle
        return low

    cpdef Py_ssize_t index_of_time(self, double timestamp) noexcept:
        """Index of the first item whose time is at least `timestamp`; `head` if none is."""
        cdef Py_ssize_t low = self.first
        cdef Py_ssize_t high = self.head
        cdef Py_ssize_t middle
        while low < high:
            middle = (low + high) // 2
            if self._slots[middle & self._mask].time < timestamp:
                low = middle + 1
            else:
                high = middle
        return low

    cpdef int64_t bytes_between(self, int64_t start, int64_t stop) noexcept:
        """Bytes of the items from `start` up to but without `stop`, both clamped to what is held."""
        start = max(start, self.first)
        stop = min(stop, self.head)
        if start >= stop:
            return 0
        return self._bytes_before(stop) - self._bytes_before(start)

    cpdef Py_ssize_t stop_for_bytes(self, int64_t start, int64_t maximum) noexcept:
        """How far a write reaches; see `rtcore._pure.event_ring.EventRing.stop_for_bytes`."""
        cdef int64_t base
        cdef Py_ssize_t low
        cdef Py_ssize_t high
        cdef Py_ssize_t middle
        start = min(max(start, self.first), self.head)
        if start == self.head:
            return start
        base = self._bytes_before(start)
        low = start + 1
        high = self.head
        while low < high:
            middle = (low + high + 1) // 2
            if self._bytes_before(middle) - base <= maximum:
                low = middle
            else:
                high = middle - 1
        return low

    cdef Py_ssize_t _slot(self, int64_t index) except -1:
        if index < self.first or index >= self.head:
            raise IndexError(f"index {index} is outside {self.first} to {self.head}")
        return index & self._mask

    cdef int64_t _bytes_before(self, int64_t index) noexcept:
        return self._written if index == self.head else self._slots[index & self._mask].before

    cdef int _resize(self, Py_ssize_t capacity) except -1:
        """Move everything to new slots; `capacity` is a power of two."""
        cdef list items = [None] * capacity
        cdef RingSlot *slots
        cdef Py_ssize_t index
        # Making the list may run the collector, and with it code that uses the ring: only now is it looked at.
        if self.head - self.first > capacity:
            return 0
        slots = <RingSlot *> malloc(<size_t> capacity * sizeof(RingSlot))
        if slots == NULL:
            raise MemoryError
        for index in range(self.first, self.head):
            items[index & (capacity - 1)] = self._items[index & self._mask]
            slots[index & (capacity - 1)] = self._slots[index & self._mask]
        free(self._slots)
        self._slots = slots
        self._mask = capacity - 1
        self._items = items
        return 0
