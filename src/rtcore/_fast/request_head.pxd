cimport cython


@cython.final
cdef class RequestHead:
    cdef readonly str method
    cdef readonly str target
    cdef readonly str path
    cdef readonly str query
    cdef readonly str version
    cdef readonly tuple headers
    cdef dict _first

    cpdef object get(self, str name)
    cpdef tuple get_all(self, str name)


cpdef RequestHead parse_request_head(bytes data, object limits)

cpdef Py_ssize_t whole_head_bytes(bytes data) except -1
