cimport cython
from libc.stdint cimport uint64_t

from rtcore._fast.socket_table cimport SlotState, SocketSlot


cdef struct Part:
    const char *data
    size_t size
    Py_ssize_t next_part


cdef struct Failure:
    SlotState *state
    Py_ssize_t first_part
    Py_ssize_t sent
    int error


@cython.final
cdef class SlotGroup:
    cdef readonly list members
    cdef readonly list slots
    cdef SlotState **_states
    cdef Py_ssize_t _size
    cdef Py_ssize_t _capacity

    cpdef Py_ssize_t add(self, SocketSlot slot, object member) except -1
    cpdef object remove(self, Py_ssize_t place)
    cdef int _reserve(self, Py_ssize_t capacity) except -1


@cython.final
cdef class FanOut:
    cdef list _groups
    cdef list _data
    cdef uint64_t _round
    cdef Py_ssize_t _write_bytes
    cdef readonly long long bytes_sent
    cdef readonly long long writes
    # Grown as rounds need it, and kept.
    cdef Part *_parts
    cdef Py_ssize_t _parts_capacity
    cdef SlotState **_states
    cdef Py_ssize_t _states_capacity
    cdef Failure *_failures
    cdef Py_ssize_t _failures_capacity

    cpdef object add(self, SlotGroup group, bytes data)
    cpdef list send(self)
    cdef bint _exceeds(self, SlotGroup group, Py_ssize_t size) noexcept
    cdef void _count_bytes(self, SlotGroup group, Py_ssize_t size) noexcept
    cdef Py_ssize_t _send_alike(self, SlotGroup group, bytes data) except -1
    cdef Py_ssize_t _send_parts(self, list groups, list data) except -1
    cdef Py_ssize_t _gather(self, list groups, list data) except -1
    cdef list _take_failures(self, Py_ssize_t count, bytes alike)
