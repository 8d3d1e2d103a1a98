cimport cython

from rtcore._fast.masking cimport unmask_slice

cdef int _FIN
cdef int _RSV1
cdef int _MASKED
cdef int _CONTINUATION
cdef int _TEXT
cdef int _BINARY
cdef int _CLOSE
cdef int _PONG
cdef int _CONTROL_BYTES


@cython.final
cdef class FrameParser:
    cdef readonly object failure
    cdef long long _maximum
    cdef long long _maximum_compressed
    cdef bint _compression
    cdef bint _masked
    cdef bytes _pending
    cdef int _message_opcode
    cdef bint _message_compressed
    cdef long long _message_bytes
    cdef int _opcode
    cdef bint _final
    cdef bint _rsv1
    cdef long long _length
    cdef bytes _mask
    cdef bint _within_frame
    cdef long long _remaining

    @cython.locals(position=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t, stop=Py_ssize_t, available=Py_ssize_t)
    cpdef list feed(self, bytes data)

    cdef int _begin_data_frame(self) except -1

    @cython.locals(phase=int, ended=bint, last=bint, payload=bytes)
    cdef int _take_payload(self, list parts, bytes data, Py_ssize_t start, Py_ssize_t stop) except -1

    cdef bytes _payload(self, bytes data, Py_ssize_t start, Py_ssize_t stop, int phase)

    @cython.locals(first=int, length="long long", width=int, index=Py_ssize_t, octets="const unsigned char *")
    cdef Py_ssize_t _read_header(self, bytes data, Py_ssize_t position, Py_ssize_t end) except -2

    @cython.locals(opcode=int)
    cdef bint _check_start(self, int first, bint masked, long long length) except -1

    @cython.locals(before="long long", compressed=bint, limit="long long")
    cdef bint _check_size(self, long long length) except -1

    cdef bint _fail(self, int close_code, str reason) except -1
