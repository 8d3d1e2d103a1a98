from rtcore._fast.frame_writer cimport encode_frame
from rtcore._fast.socket_table cimport SocketSlot
from rtcore._fast.traffic cimport Traffic

cdef int _TEXT
cdef int _BINARY
cdef int _CLOSE
cdef int _PING
cdef int _PONG
cdef int _CONTROL_BYTES
cdef int _PONGS


cdef class FrameOutbox:
    # The small ones together: an idle connection's memory is a promise.
    cdef bint _compression
    cdef readonly bint abandoned
    cdef readonly bint close_sent
    cdef readonly bint close_taken
    cdef list _outbox
    cdef bytes _ping
    cdef list _pongs
    cdef bytes _close_frame
    cdef readonly long long messages_sent
    cdef readonly Py_ssize_t outbox_bytes
    cdef readonly Traffic traffic

    cdef bytes _encode(self, bytes data, bint text)
    cdef int _append(self, bytes frame) except -1
    cdef bytes _take_all(self, bint close)
    cdef int _add_pong(self, bytes payload) except -1
    cdef int _take_answers(self, list frames) except -1
    cdef int _take_close(self, list frames) except -1
