# cython: language_level=3, auto_pickle=False
"""Passes over the bytes of JSON texts, compiled; see `rtcore._pure.json_text`."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeASCII
from libc.math cimport fabs, modf, rint
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from rtcore.values.events import format_timestamp as _format_slowly

__all__ = ["encode_event_text", "format_timestamp", "holds_null", "json_depth_exceeds"]

cdef enum:
    SECOND = 19  # characters of `2025-01-15T12:00:00`
    DIGITS = 20  # of the longest number of 64 bits, with its sign


cdef Py_ssize_t _opened(const unsigned char *text, Py_ssize_t size) noexcept nogil:
    """How many brackets open, strings included."""
    cdef Py_ssize_t count = 0
    cdef Py_ssize_t index
    for index in range(size):
        count += (text[index] == c'[') + (text[index] == c'{')
    return count


cdef bint _deeper(const unsigned char *text, Py_ssize_t size, Py_ssize_t most) noexcept nogil:
    """Whether brackets outside of strings are nested deeper than so many."""
    cdef Py_ssize_t depth = 0
    cdef Py_ssize_t index = 0
    cdef bint inside = False
    cdef unsigned char each
    while index < size:
        each = text[index]
        index += 1
        if inside:
            if each == c'"':
                inside = False
            elif each == c'\\':
                index += 1  # what is escaped, be it a quote
        elif each == c'"':
            inside = True
        elif each == c'[' or each == c'{':
            depth += 1
            if depth > most:
                return True
        elif each == c']' or each == c'}':
            depth -= 1
    return False


def json_depth_exceeds(text: bytes, maximum_depth: int) -> bool:
    """Whether a text is nested deeper than so many levels; see `rtcore._pure.json_text.json_depth_exceeds`."""
    if type(text) is not bytes:
        raise TypeError(f"bytes are needed, not {type(text).__name__}")
    cdef const unsigned char *start = <const unsigned char *> PyBytes_AS_STRING(text)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(text)
    cdef Py_ssize_t most
    if maximum_depth < 0:
        return True
    if maximum_depth >= size:  # no text has more levels than bytes; and a limit may be a number of any size
        return False
    most = maximum_depth
    return _opened(start, size) > most and _deeper(start, size, most)


def holds_null(text: bytes) -> bool:
    """Whether `null` stands anywhere in a text; see `rtcore._pure.json_text.holds_null`."""
    if type(text) is not bytes:
        raise TypeError(f"bytes are needed, not {type(text).__name__}")
    cdef const char *place = PyBytes_AS_STRING(text)
    cdef const char *stop = place + PyBytes_GET_SIZE(text) - 3
    while place < stop:
        place = <const char *> memchr(place, c'n', stop - place)
        if place == NULL:
            return False
        if memcmp(place, b"null", 4) == 0:
            return True
        place += 1
    return False


cdef const char *_plain(object name, Py_ssize_t *size) except NULL:
    """The bytes of a name that JSON needs no escapes for."""
    cdef const char *start = PyUnicode_AsUTF8AndSize(name, size)
    cdef Py_ssize_t index
    cdef bint strange = False
    for index in range(size[0]):
        strange |= start[index] < 32 or start[index] > 126 or start[index] == c'"' or start[index] == c'\\'
    if strange:
        raise ValueError("a channel or type has characters that JSON escapes")
    return start


cdef int64_t _second = -(1 << 62)  # whose text is kept; a time so far from now has none
cdef char _second_text[SECOND]


cdef int _write_time(char *target, double timestamp) except -1:
    """24 characters, as `format_timestamp` has them: to the nearest microsecond, and then cut."""
    global _second
    cdef double whole = 0.0
    cdef double fraction = modf(timestamp, &whole)
    cdef int64_t milliseconds
    cdef int64_t second
    cdef int rest
    cdef bytes text
    if not fabs(timestamp) < 1e12:  # far outside of the calendar, or no number
        _format_slowly(timestamp)  # raises
    # Floor division, as Python's, for times before 1970.
    milliseconds = _floor(<int64_t> whole * 1000000 + <int64_t> rint(fraction * 1e6))
    second = _floor(milliseconds)
    rest = <int> (milliseconds - second * 1000)
    if second != _second:
        text = _format_slowly(<double> second).encode()
        memcpy(_second_text, PyBytes_AS_STRING(text), SECOND)
        _second = second
    memcpy(target, _second_text, SECOND)
    target[SECOND] = c'.'
    target[SECOND + 1] = <char> (48 + rest // 100)
    target[SECOND + 2] = <char> (48 + rest // 10 % 10)
    target[SECOND + 3] = <char> (48 + rest % 10)
    target[SECOND + 4] = c'Z'
    return 0


cdef inline int64_t _floor(int64_t number) noexcept:
    """A thousandth, rounded down."""
    cdef int64_t quotient = number // 1000
    return quotient


cdef Py_ssize_t _write_number(char *stop, int64_t number) noexcept:
    """Write a number so that it ends before `stop`; how many characters that took."""
    cdef uint64_t left = <uint64_t> number
    cdef char *place = stop
    if number < 0:
        left = 0 - left
    while True:
        place -= 1
        place[0] = <char> (48 + left % 10)
        left //= 10
        if left == 0:
            break
    if number < 0:
        place -= 1
        place[0] = c'-'
    return stop - place


cdef inline char *_put(char *target, const char *source, Py_ssize_t size) noexcept:
    memcpy(target, source, size)
    return target + size


def format_timestamp(seconds: float) -> str:
    """Unix seconds as RFC 3339 text; see `rtcore.values.events.format_timestamp`."""
    cdef char time[SECOND + 5]
    _write_time(time, seconds)
    return PyUnicode_DecodeASCII(time, SECOND + 5, NULL)


def encode_event_text(channel, type, data: bytes, timestamp: float, offset: int) -> bytes:
    """The JSON text of an event without its closing brace; see `rtcore._pure.json_text.encode_event_text`."""
    cdef Py_ssize_t channel_size = 0
    cdef Py_ssize_t type_size = 0
    cdef Py_ssize_t digits
    cdef char number[DIGITS]
    cdef char time[SECOND + 5]
    cdef bytes text
    cdef char *place
    if data is None or not PyBytes_CheckExact(data):
        raise TypeError(f"bytes are needed, not {data.__class__.__name__}")
    cdef const char *channel_start = _plain(channel, &channel_size)
    cdef const char *type_start = _plain(type, &type_size)
    digits = _write_number(number + DIGITS, offset)
    _write_time(time, timestamp)
    text = PyBytes_FromStringAndSize(
        NULL, 9 + type_size + 13 + channel_size + 9 + PyBytes_GET_SIZE(data) + 14 + (SECOND + 5) + 11 + digits
    )
    place = _put(PyBytes_AS_STRING(text), b'{"type":"', 9)
    place = _put(place, type_start, type_size)
    place = _put(place, b'","channel":"', 13)
    place = _put(place, channel_start, channel_size)
    place = _put(place, b'","data":', 9)
    place = _put(place, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    place = _put(place, b',"timestamp":"', 14)
    place = _put(place, time, SECOND + 5)
    place = _put(place, b'","offset":', 11)
    _put(place, number + DIGITS - digits, digits)
    return text
