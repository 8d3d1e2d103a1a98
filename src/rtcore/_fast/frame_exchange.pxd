from rtcore._fast.frame_writer cimport encode_frame
from rtcore._fast.framing cimport FrameParser
from rtcore._fast.peer_events cimport MessageReceived, PingReceived, PongReceived
from rtcore._fast.utf8 cimport is_utf8

cdef int _TEXT
cdef int _BINARY
cdef int _CLOSE
cdef int _PING
cdef int _PONG
cdef int _CONTROL_BYTES
cdef int _PONGS
cdef list _NO_PARTS


cdef class FrameExchange:
    cdef FrameParser _parser
    cdef bint _compression
    cdef bint _assembling
    cdef list _parts
    cdef Py_ssize_t _taken
    cdef bint _reading
    cdef bytes _ping
    cdef list _pongs
    cdef list _outbox
    cdef bytes _close_frame
    cdef readonly Py_ssize_t outbox_bytes
    cdef readonly long long pings_received
    cdef readonly long long pongs_received
    cdef readonly bint close_sent
    cdef readonly bint close_taken

    cdef tuple _take_part(self)
    cdef object _receive_control(self, int opcode, bytes payload)
    cdef bytes _encode(self, bytes data, bint text)
    cdef int _take_answers(self, list frames) except -1
    cdef int _take_close(self, list frames) except -1
