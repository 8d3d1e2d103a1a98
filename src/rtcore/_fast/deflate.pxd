cimport cython
from libc.stdint cimport int64_t


@cython.final
cdef class MessageDeflater:
    cdef object _compressor
    cdef int _level
    cdef int _window_bits
    cdef readonly int64_t bytes_in
    cdef readonly int64_t bytes_out

    cpdef bytes compress(self, bytes data)


@cython.final
cdef class MessageInflater:
    cdef bint _context_takeover
    cdef bint _fed
    cdef int _final_blocks
    cdef Py_ssize_t _left
    cdef Py_ssize_t _maximum_bytes
    cdef bytes _recent
    cdef object _stream
    cdef int _window_bits
    cdef readonly int64_t bytes_in
    cdef readonly int64_t bytes_out

    cpdef bytes feed(self, bytes chunk)
    cpdef bytes finish(self)
    cdef object _begin(self)
    cdef bytes _inflate(self, bytes chunk)
    cdef bytes _inflate_with(self, object stream, bytes chunk)
    cdef object _new_stream(self)


cdef object _new_compressor(int window_bits, int level)
