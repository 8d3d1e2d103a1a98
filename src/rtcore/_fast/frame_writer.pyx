# cython: language_level=3, auto_pickle=False
"""Frames that go out, compiled; see `rtcore._pure.frame_writer`."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from rtcore._fast.masking cimport xor_kernel

__all__ = ["encode_frame", "frame_header"]

cdef enum:
    FIN = 0x80
    RSV1 = 0x40
    MASKED = 0x80
    SHORT_BYTES = 125
    HEADER_BYTES = 10
    RELEASE_BYTES = 65536  # as in `masking`


cdef inline Py_ssize_t write_header(unsigned char *output, int opcode, unsigned long long length, bint rsv1, bint fin,
                                    bint masked) noexcept nogil:
    """Write a header into `output`, which has room for HEADER_BYTES; its size."""
    cdef unsigned char second = MASKED if masked else 0
    cdef int index
    output[0] = <unsigned char> (opcode | (FIN if fin else 0) | (RSV1 if rsv1 else 0))
    if length <= SHORT_BYTES:
        output[1] = second | <unsigned char> length
        return 2
    if length <= 0xFFFF:
        output[1] = second | 126
        output[2] = <unsigned char> (length >> 8)
        output[3] = <unsigned char> (length & 0xFF)
        return 4
    output[1] = second | 127
    for index in range(8):
        output[2 + index] = <unsigned char> ((length >> (8 * (7 - index))) & 0xFF)
    return 10


cdef int check_opcode(int opcode) except -1:
    if opcode < 0 or opcode > 15:
        raise ValueError(f"opcode must be 0 to 15, got {opcode}")
    return 0


cpdef bytes frame_header(int opcode, long long length, bint rsv1=False, bint fin=True, bint masked=False):
    """The header of a frame, without the masking key; see `rtcore._pure.frame_writer.frame_header`."""
    cdef unsigned char header[HEADER_BYTES]
    check_opcode(opcode)
    if length < 0:
        raise ValueError(f"length must be 0 to 2**63 - 1, got {length}")
    return PyBytes_FromStringAndSize(<char *> header, write_header(header, opcode, length, rsv1, fin, masked))


cpdef bytes encode_frame(int opcode, bytes payload, bint rsv1=False, bint fin=True, bytes mask=None):
    """A whole frame; see `rtcore._pure.frame_writer.encode_frame`."""
    cdef unsigned char header[HEADER_BYTES]
    cdef Py_ssize_t start
    cdef Py_ssize_t size
    cdef bytes frame
    cdef unsigned char *output
    cdef const unsigned char *source
    cdef const unsigned char *key
    if payload is None:
        raise TypeError("payload and mask must be bytes")
    check_opcode(opcode)
    if mask is not None and PyBytes_GET_SIZE(mask) != 4:
        raise ValueError(f"mask of {len(mask)} bytes: must be 4")
    size = PyBytes_GET_SIZE(payload)
    start = write_header(header, opcode, size, rsv1, fin, mask is not None)
    frame = PyBytes_FromStringAndSize(NULL, start + (0 if mask is None else 4) + size)
    output = <unsigned char *> PyBytes_AS_STRING(frame)
    source = <const unsigned char *> PyBytes_AS_STRING(payload)
    memcpy(output, header, start)
    output += start
    if mask is None:
        memcpy(output, source, size)
        return frame
    key = <const unsigned char *> PyBytes_AS_STRING(mask)
    memcpy(output, key, 4)
    if size >= RELEASE_BYTES:
        with nogil:
            xor_kernel(output + 4, source, size, key, 0)
    else:
        xor_kernel(output + 4, source, size, key, 0)
    return frame
