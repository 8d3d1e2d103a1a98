cimport cython
from libc.stdint cimport uint32_t, uint64_t


cdef struct SlotState:
    # What a fan-out needs of a slot, in C, so that it can be read without the GIL.
    int descriptor
    long long bytes_sent
    # Where the parts for this socket stand in the round of a FanOut: the round's number, the first part and the last;
    # while parts are still added, the last is how many bytes they have.
    uint64_t round_number
    Py_ssize_t first_part
    Py_ssize_t last_part
    void *slot


@cython.final
cdef class SocketTable:
    cdef int _epoll
    cdef list _slots
    cdef list _free
    cdef uint32_t _serial
    cdef Py_ssize_t _count
    cdef char *_scratch
    cdef readonly long long bytes_received
    cdef readonly long long reads

    cdef int _serve(self, SocketSlot slot, uint32_t mask) except -1
    cdef int _receive(self, SocketSlot slot) except -1
    cdef int _watch(self, SocketSlot slot, bint reading, bint writing) except -1


@cython.final
cdef class SocketSlot:
    cdef SocketTable _table
    cdef SlotState state
    cdef public object owner
    cdef readonly bint reading
    cdef readonly bint writing
    cdef Py_ssize_t _index
    cdef uint32_t _serial

    cpdef Py_ssize_t send(self, object data) except -1
    cpdef int watch_reading(self, bint wanted) except -1
    cpdef int watch_writing(self, bint wanted) except -1
    cpdef int detach(self) except -2
