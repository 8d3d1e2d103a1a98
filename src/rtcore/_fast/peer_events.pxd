cimport cython


@cython.final
@cython.freelist(16)
cdef class MessageReceived:
    cdef readonly bint text
    cdef readonly bytes data


@cython.final
cdef class PingReceived:
    cdef readonly bytes payload


@cython.final
cdef class PongReceived:
    cdef readonly bytes payload
