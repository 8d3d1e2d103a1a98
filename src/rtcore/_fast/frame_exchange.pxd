cimport cython

from rtcore._fast.frame_outbox cimport FrameOutbox
from rtcore._fast.framing cimport FrameParser
from rtcore._fast.peer_events cimport MessageReceived, PingReceived, PongReceived
from rtcore._fast.traffic cimport Traffic
from rtcore._fast.utf8 cimport is_utf8

cdef int _TEXT
cdef int _CLOSE
cdef int _PING
cdef int _PONG
cdef int _PORTION_BYTES
cdef int _MESSAGE_BYTES
cdef list _NO_PARTS


cdef class FrameExchange(FrameOutbox):
    cdef bint _assembling
    cdef bint _reading
    cdef readonly bint handed_on
    cdef int _taken
    cdef FrameParser _parser
    cdef list _parts
    cdef readonly long long bytes_received
    cdef readonly long long messages_received
    cdef readonly long long pings_received
    cdef readonly long long pongs_received

    @cython.locals(left=Py_ssize_t, message=MessageReceived)
    cpdef object hand_on(self, object handler, object attendant, object began)
    cdef bint _has_more(self) except -1
    cdef object _next(self)
    cdef tuple _take_part(self)
    cdef object _receive_control(self, int opcode, bytes payload)
