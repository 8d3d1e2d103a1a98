# cython: language_level=3, auto_pickle=False
"""The XOR that clients put over their payloads, compiled; see `rtcore._pure.masking`."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

__all__ = ["apply_mask", "unmask_slice"]

cdef enum:
    # Releasing the GIL costs about 40 ns; below this size the work is not worth it.
    RELEASE_BYTES = 65536


cdef void xor_kernel(unsigned char *output, const unsigned char *source, Py_ssize_t size, const unsigned char *key,
                     int phase) noexcept nogil:
    """
    XOR `size` bytes of `source` into `output` with the 4 bytes of `key`, beginning with byte `phase` (0 to 3) of it.

    Eight bytes at a time; memcpy is how C reads a word that may be unaligned, and compiles to one instruction.
    """
    cdef unsigned char rotated[8]
    cdef uint64_t wide
    cdef uint64_t word
    cdef Py_ssize_t index
    cdef int place
    for place in range(8):
        rotated[place] = key[(place + phase) & 3]
    memcpy(&wide, rotated, 8)
    index = 0
    while index + 8 <= size:
        memcpy(&word, source + index, 8)
        word ^= wide
        memcpy(output + index, &word, 8)
        index += 8
    while index < size:
        output[index] = source[index] ^ rotated[index & 7]
        index += 1


cdef bytes _masked(const unsigned char *source, Py_ssize_t size, const unsigned char *key, int phase):
    """New bytes; the caller holds the buffer that `source` points into and has checked the rest."""
    cdef bytes result = PyBytes_FromStringAndSize(NULL, size)
    cdef unsigned char *output = <unsigned char *> PyBytes_AS_STRING(result)
    if size >= RELEASE_BYTES:
        with nogil:
            xor_kernel(output, source, size, key, phase)
    elif size:
        # The interpreter shares one empty bytes object: never write to it.
        xor_kernel(output, source, size, key, phase)
    return result


def apply_mask(data: bytes | bytearray | memoryview, mask: bytes) -> bytes:
    """XOR a payload with its repeating key; see `rtcore._pure.masking.apply_mask`."""
    cdef Py_buffer view
    cdef bytes key
    if isinstance(data, memoryview) and not data.contiguous:
        raise BufferError("payload is not contiguous")
    if len(mask) != 4:
        raise ValueError(f"mask of {len(mask)} bytes: must be 4")
    key = bytes(mask)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return _masked(<const unsigned char *> view.buf, view.len, <const unsigned char *> PyBytes_AS_STRING(key), 0)
    finally:
        PyBuffer_Release(&view)


cpdef bytes unmask_slice(bytes data, Py_ssize_t start, Py_ssize_t stop, bytes mask, int phase):
    """XOR a piece of a payload that lies within a larger buffer; see `rtcore._pure.masking.unmask_slice`."""
    if data is None or mask is None:
        raise TypeError("data and mask must be bytes")
    if PyBytes_GET_SIZE(mask) != 4:
        raise ValueError(f"mask of {len(mask)} bytes: must be 4")
    if not 0 <= phase <= 3:
        raise ValueError(f"phase {phase}: must be 0 to 3")
    if not 0 <= start <= stop <= PyBytes_GET_SIZE(data):
        raise ValueError(f"piece from {start} to {stop} of {len(data)} bytes")
    return _masked(
        <const unsigned char *> PyBytes_AS_STRING(data) + start,
        stop - start,
        <const unsigned char *> PyBytes_AS_STRING(mask),
        phase,
    )
