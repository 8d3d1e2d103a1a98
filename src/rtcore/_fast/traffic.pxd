cimport cython


@cython.final
cdef class Traffic:
    cdef public long long messages_in
    cdef public long long messages_out
    cdef public long long bytes_in
    cdef public long long bytes_out
    cdef public long long pings_in
    cdef public long long errors
    cdef public long long rate_violations
