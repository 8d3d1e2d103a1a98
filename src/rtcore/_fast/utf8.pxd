cimport cython


cdef struct Utf8State:
    # Continuation bytes still owed, and the range that the next one must lie in.
    int owed
    unsigned char lowest
    unsigned char highest


cdef bint utf8_kernel(Utf8State *state, const unsigned char *data, Py_ssize_t size) noexcept nogil

cpdef bint is_utf8(bytes data) except -1


@cython.final
cdef class Utf8Validator:
    cdef Utf8State _state
    cdef bint _failed
    cpdef bint feed(self, bytes data) except -1
