cimport cython
from libc.stdint cimport int8_t, int64_t


@cython.final
cdef class EventRing:
    cdef readonly Py_ssize_t first
    cdef readonly Py_ssize_t head
    cdef int64_t _written
    cdef Py_ssize_t _mask
    cdef list _items
    cdef int64_t[::1] _offsets
    cdef int8_t[::1] _lanes
    cdef int64_t[::1] _sizes
    cdef int64_t[::1] _before
    cdef double[::1] _times

    @cython.locals(index=Py_ssize_t, newest=Py_ssize_t, slot=Py_ssize_t)
    cpdef Py_ssize_t append(self, object item, int64_t offset, int64_t lane, int64_t size, double timestamp) except -1
    cpdef object get(self, int64_t index)
    cpdef int64_t offset_at(self, int64_t index) except? -1
    cpdef int lane_at(self, int64_t index) except -1
    cpdef int64_t size_at(self, int64_t index) except -1
    cpdef double timestamp_at(self, int64_t index) except? -1.0
    @cython.locals(low=Py_ssize_t, high=Py_ssize_t)
    cpdef list slice(self, int64_t start, int64_t stop)
    @cython.locals(slot=Py_ssize_t, capacity=Py_ssize_t)
    cpdef object evict_to(self, int64_t index)
    @cython.locals(index=Py_ssize_t, dropped=double)
    cpdef double keep(self, int64_t items, int64_t size, double timestamp) except? -1.0
    @cython.locals(stop=Py_ssize_t, last=Py_ssize_t)
    cpdef object evict_before(self, int64_t offset, int64_t index)
    @cython.locals(low=Py_ssize_t, high=Py_ssize_t, middle=Py_ssize_t)
    cpdef Py_ssize_t index_of_offset(self, int64_t offset) except -1
    @cython.locals(low=Py_ssize_t, high=Py_ssize_t, middle=Py_ssize_t)
    cpdef Py_ssize_t index_of_time(self, double timestamp) except -1
    cpdef int64_t bytes_between(self, int64_t start, int64_t stop) except -1
    @cython.locals(base=int64_t, low=Py_ssize_t, high=Py_ssize_t, middle=Py_ssize_t)
    cpdef Py_ssize_t stop_for_bytes(self, int64_t start, int64_t maximum) except -1
    cdef Py_ssize_t _slot(self, int64_t index) except -1
    cdef int64_t _bytes_before(self, int64_t index) except -1
    @cython.locals(index=Py_ssize_t, old=Py_ssize_t, new=Py_ssize_t, old_mask=Py_ssize_t)
    cdef int _resize(self, Py_ssize_t capacity) except -1
