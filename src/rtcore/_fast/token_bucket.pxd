cimport cython


@cython.final
cdef class TokenBucket:
    cdef double _burst
    cdef double _rate
    cdef double _tokens
    cdef double _updated

    cpdef bint take(self, double now) except -1
    cpdef double wait(self, double now) except? -1.0
    cdef void _refill(self, double now) noexcept
