# cython: language_level=3, auto_pickle=False
"""
A request head, from its bytes to its parts, compiled; see `rtcore._pure.request_head`.

Plain heads are read here in one pass: a target that begins with a slash, a host that is a name or an IPv4 address, nothing
wrong. All others go to the reference, which says what is wrong, or reads what is right and rare; so there is one place
that refuses, and no message is written twice.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.string cimport memchr, memcmp

from rtcore._pure import request_head as reference

__all__ = ["RequestHead", "check_head_bytes", "check_line_bytes", "parse_request_head", "whole_head_bytes"]

cdef enum:
    # What a byte may be part of. No zero byte is part of anything, and one ends each bytes object: so a scan for a kind
    # stops in time without looking at the length.
    TOKEN = 1
    VALUE = 2
    TARGET = 4
    HOST = 8
    DIGIT = 16
    # Longer names are not made lower case on the stack.
    NAME_BYTES = 64

cdef unsigned char[256] _kinds
cdef unsigned char[256] _lower
cdef frozenset _SINGLE = frozenset(reference._SINGLE)


cdef int _fill_tables() except -1:
    cdef int octet
    for octet in range(256):
        _lower[octet] = octet + 32 if c"A" <= octet <= c"Z" else octet
        _kinds[octet] = 0
        if octet == c"\t" or c" " <= octet <= c"~" or octet >= 0x80:
            _kinds[octet] |= VALUE
        if c"!" <= octet <= c"~" and octet not in b"#\"<>":
            _kinds[octet] |= TARGET
        if c"0" <= octet <= c"9":
            _kinds[octet] |= DIGIT
        if octet < 0x80 and chr(octet).isalnum():
            _kinds[octet] |= TOKEN | HOST
        if octet in b"!#$%&'*+.^_`|~-":
            _kinds[octet] |= TOKEN
        if octet in b"._~!$&'()*+,;=%-":
            _kinds[octet] |= HOST
    return 0


_fill_tables()


@cython.final
cdef class RequestHead:
    """The request line and the headers; see `rtcore._pure.request_head.RequestHead`."""

    def __init__(self, str method not None, str target not None, str path not None, str query not None,
                 str version not None, tuple headers not None):
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.version = version
        self.headers = headers
        self._first = dict(reversed(headers))

    cpdef object get(self, str name):
        """The value of the first header of this name (in lower case); None where there is none."""
        return self._first.get(name)

    cpdef tuple get_all(self, str name):
        """The values of all headers of this name (in lower case), in order."""
        first = self._first.get(name)
        if first is None:
            return ()
        if len(self._first) == len(self.headers):
            return (first,)
        return tuple([value for candidate, value in self.headers if candidate == name])


cpdef RequestHead parse_request_head(bytes data, object limits):
    """Read a request head; see `rtcore._pure.request_head.parse_request_head`."""
    if data is None:
        raise TypeError("data must be bytes")
    # Compared as objects, since a limit may be wider than any C integer. A head that is no longer than a line may be
    # has no line that is too long.
    if len(data) <= limits.request_line_bytes and len(data) <= limits.request_head_bytes:
        head = _read_plain(data)
        if head is not None and len(head.headers) <= limits.request_headers:
            return head
    rare = reference.parse_request_head(data, limits)
    return RequestHead(rare.method, rare.target, rare.path, rare.query, rare.version, rare.headers)


def check_line_bytes(length, is_request_line, limits):
    """Return if a line of a head is not too long; see `rtcore._pure.request_head.check_line_bytes`."""
    reference.check_line_bytes(length, is_request_line, limits)


def check_head_bytes(length, limits):
    """Return if a head is not too long; see `rtcore._pure.request_head.check_head_bytes`."""
    reference.check_head_bytes(length, limits)


cpdef Py_ssize_t whole_head_bytes(bytes data) except -1:
    """The length of a head that came in one piece; see `rtcore._pure.request_head.whole_head_bytes`."""
    if data is None:
        raise TypeError("data must be bytes")
    cdef const unsigned char *octets = <const unsigned char *> PyBytes_AS_STRING(data)
    cdef const unsigned char *newline
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t start = 0, stop
    while start < size:
        newline = <const unsigned char *> memchr(octets + start, c"\n", size - start)
        if newline == NULL:
            return 0
        stop = newline - octets
        if stop == 0 or octets[stop - 1] != c"\r":
            return 0
        if stop - start == 1:
            return stop + 1 if start else 0
        start = stop + 1
    return 0


cdef RequestHead _read_plain(bytes data):
    """The parts of a plain head; None for any other, right or wrong."""
    cdef const unsigned char *octets = <const unsigned char *> PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef RequestHead head = RequestHead.__new__(RequestHead)
    cdef Py_ssize_t position = _read_request_line(head, octets, size)
    if position < 0:
        return None
    cdef list headers = []
    cdef dict first = {}
    cdef bint hosted = False
    cdef Py_ssize_t colon, start, stop, end
    while octets[position] != c"\r":
        colon = position
        while _kinds[octets[colon]] & TOKEN:
            colon += 1
        if colon == position or octets[colon] != c":":
            return None
        start = colon + 1
        while octets[start] == c" " or octets[start] == c"\t":
            start += 1
        end = start
        while _kinds[octets[end]] & VALUE:
            end += 1
        if octets[end] != c"\r" or octets[end + 1] != c"\n":
            return None
        stop = end
        while stop > start and (octets[stop - 1] == c" " or octets[stop - 1] == c"\t"):
            stop -= 1
        name = _lower_name(octets + position, colon - position)
        value = PyUnicode_DecodeLatin1(<const char *> octets + start, stop - start, NULL)
        if name in first:
            if name in _SINGLE:
                return None
        else:
            first[name] = value
            if name == "host":
                if not _is_plain_host(octets + start, stop - start):
                    return None
                hosted = True
        headers.append((name, value))
        position = end + 2
    if octets[position + 1] != c"\n" or position + 2 != size or not (hosted or head.version == "1.0"):
        return None
    head.headers = tuple(headers)
    head._first = first
    return head


cdef Py_ssize_t _read_request_line(RequestHead head, const unsigned char *octets, Py_ssize_t size) except -2:
    """Where the headers begin; -1 if the line is not plain."""
    cdef Py_ssize_t space = 0, end, question
    while _kinds[octets[space]] & TOKEN:
        space += 1
    if space == 0 or octets[space] != c" " or octets[space + 1] != c"/":
        return -1
    cdef Py_ssize_t start = space + 1
    question = start
    while _kinds[octets[question]] & TARGET and octets[question] != c"?":
        question += 1
    end = question
    while _kinds[octets[end]] & TARGET:
        end += 1
    if size - end < 11 or memcmp(octets + end, b" HTTP/1.", 8) != 0 or memcmp(octets + end + 9, b"\r\n", 2) != 0:
        return -1
    if octets[end + 8] == c"1":
        head.version = "1.1"
    elif octets[end + 8] == c"0":
        head.version = "1.0"
    else:
        return -1
    cdef const char *text = <const char *> octets
    head.method = PyUnicode_DecodeLatin1(text, space, NULL)
    head.target = PyUnicode_DecodeLatin1(text + start, end - start, NULL)
    if question == end:
        head.path = head.target
        head.query = ""
    else:
        head.path = PyUnicode_DecodeLatin1(text + start, question - start, NULL)
        head.query = PyUnicode_DecodeLatin1(text + question + 1, end - question - 1, NULL)
    return end + 11


cdef str _lower_name(const unsigned char *octets, Py_ssize_t size):
    cdef char[NAME_BYTES] name
    cdef Py_ssize_t index
    if size > NAME_BYTES:
        return PyUnicode_DecodeLatin1(<const char *> octets, size, NULL).lower()
    for index in range(size):
        name[index] = <char> _lower[octets[index]]
    return PyUnicode_DecodeLatin1(name, size, NULL)


cdef bint _is_plain_host(const unsigned char *octets, Py_ssize_t size) noexcept:
    """Whether it is a name or an IPv4 address, with or without a port of at most five digits."""
    cdef Py_ssize_t position = 0, colon
    while position < size and _kinds[octets[position]] & HOST:
        position += 1
    if position == 0 or position == size:
        return position > 0
    colon = position
    if octets[colon] != c":" or size - colon > 6:
        return False
    position += 1
    while position < size and _kinds[octets[position]] & DIGIT:
        position += 1
    return position == size
