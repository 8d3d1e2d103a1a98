# cython: language_level=3, auto_pickle=False
"""UTF-8 checked as it comes, compiled; see `rtcore._pure.utf8`."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

__all__ = ["Utf8Validator", "is_utf8"]

cdef enum:
    # Releasing the GIL costs about 40 ns; below this size the work is not worth it.
    RELEASE_BYTES = 65536


cdef bint utf8_kernel(Utf8State *state, const unsigned char *data, Py_ssize_t size) noexcept nogil:
    """
    Take `size` bytes after `state`; whether all so far may be the beginning of a text.

    The ranges are those of the grammar in RFC 3629, section 4: only the second byte's depends on the first.
    """
    cdef Py_ssize_t index = 0
    cdef int owed = state.owed
    cdef unsigned char lowest = state.lowest
    cdef unsigned char highest = state.highest
    cdef unsigned char octet
    cdef uint64_t word
    while index < size:
        if owed == 0:
            # Eight bytes of ASCII at a time; memcpy is how C reads a word that may be unaligned.
            while index + 8 <= size:
                memcpy(&word, data + index, 8)
                if word & <uint64_t> 0x8080808080808080:
                    break
                index += 8
            if index == size:
                break
        octet = data[index]
        index += 1
        if owed:
            if octet < lowest or octet > highest:
                return False
            owed -= 1
            lowest = 0x80
            highest = 0xBF
        elif octet >= 0x80:
            lowest = 0x80
            highest = 0xBF
            if octet < 0xC2 or octet > 0xF4:
                return False
            if octet < 0xE0:
                owed = 1
            elif octet < 0xF0:
                owed = 2
                if octet == 0xE0:
                    lowest = 0xA0
                elif octet == 0xED:
                    highest = 0x9F
            else:
                owed = 3
                if octet == 0xF0:
                    lowest = 0x90
                elif octet == 0xF4:
                    highest = 0x8F
    state.owed = owed
    state.lowest = lowest
    state.highest = highest
    return True


cdef bint _check(Utf8State *state, bytes data) noexcept:
    """The kernel over a bytes object, without the GIL where that pays."""
    cdef const unsigned char *octets = <const unsigned char *> PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef bint valid
    if size < RELEASE_BYTES:
        return utf8_kernel(state, octets, size)
    with nogil:
        valid = utf8_kernel(state, octets, size)
    return valid


cpdef bint is_utf8(bytes data) except -1:
    """Whether these bytes are text by themselves; see `rtcore._pure.utf8.is_utf8`."""
    cdef Utf8State state
    if data is None:
        raise TypeError("data must be bytes")
    state.owed = 0
    state.lowest = 0x80
    state.highest = 0xBF
    return _check(&state, data) and state.owed == 0


@cython.final
cdef class Utf8Validator:
    """Checks one text that comes in pieces; see `rtcore._pure.utf8.Utf8Validator`."""

    def __init__(self):
        # Not `__cinit__`, which without parameters would let any arguments pass. Zeroed memory is a valid state, too.
        self.reset()

    cpdef bint feed(self, bytes data) except -1:
        """Take the next bytes; whether all so far may be the beginning of a text."""
        if data is None:
            raise TypeError("data must be bytes")
        if not self._failed:
            self._failed = not _check(&self._state, data)
        return not self._failed

    @property
    def complete(self):
        """Whether the bytes so far are a whole text."""
        return not self._failed and self._state.owed == 0

    def reset(self):
        """Begin with a new text."""
        self._failed = False
        self._state.owed = 0
        self._state.lowest = 0x80
        self._state.highest = 0xBF
