from libc.stdint cimport int64_t


cdef struct RingSlot:
    int64_t offset
    int64_t before  # bytes of all items before it
    double time


cdef class EventRing:
    cdef readonly Py_ssize_t first
    cdef readonly Py_ssize_t head
    cdef int64_t _written
    cdef Py_ssize_t _mask
    cdef list _items
    cdef RingSlot *_slots

    cpdef Py_ssize_t append(self, object item, int64_t offset, int64_t size, double timestamp) except -1
    cpdef object get(self, int64_t index)
    cpdef int64_t offset_at(self, int64_t index) except? -1
    cpdef double timestamp_at(self, int64_t index) except? -1.0
    cpdef list slice(self, int64_t start, int64_t stop)
    cpdef object evict_to(self, int64_t index)
    cpdef double keep(self, int64_t items, int64_t size, double timestamp) except? -1.0
    cpdef object evict_before(self, int64_t offset, int64_t index)
    cpdef Py_ssize_t index_of_offset(self, int64_t offset) noexcept
    cpdef Py_ssize_t index_of_time(self, double timestamp) noexcept
    cpdef int64_t bytes_between(self, int64_t start, int64_t stop) noexcept
    cpdef Py_ssize_t stop_for_bytes(self, int64_t start, int64_t maximum) noexcept
    cdef Py_ssize_t _slot(self, int64_t index) except -1
    cdef int64_t _bytes_before(self, int64_t index) noexcept
    cdef int _resize(self, Py_ssize_t capacity) except -1
