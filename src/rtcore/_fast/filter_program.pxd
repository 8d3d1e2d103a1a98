cimport cython
from libc.stdint cimport uint64_t

cdef int _DATA
cdef int _TYPE
cdef int _CHANNEL
cdef int _TABLE
cdef int _WORD_BITS
cdef object _NOTHING


@cython.final
cdef class FilterProgram:
    cdef tuple _steps

    @cython.locals(step=_Step)
    cpdef bint matches(self, object event_type, object channel, object data) except -1


@cython.locals(places=list, place=Py_ssize_t, program=FilterProgram)
cpdef list passing(list programs, object event_type, object channel, object data)


@cython.final
cdef class _Step:
    cdef _Check _check
    cdef tuple _path
    cdef int _source
    cdef readonly int cost

    @cython.locals(key=str, fields=dict)
    cdef bint passes(self, object event_type, object channel, object data) except -1


cdef object _field(object value, str key)

cdef object _plain(object value)


cdef class _Check:
    cdef readonly int cost

    cdef bint holds(self, object value) except -1


cdef class _OneText(_Check):
    cdef str _text

    cdef bint holds(self, object value) except -1


cdef class _OneNumber(_Check):
    cdef object _number

    cdef bint holds(self, object value) except -1


cdef class _OneOf(_Check):
    cdef Py_ssize_t _longest
    cdef frozenset _numbers
    cdef tuple _singletons
    cdef frozenset _texts

    @cython.locals(text=str)
    cdef bint holds(self, object value) except -1


cdef class _TextRange(_Check):
    cdef str _above
    cdef str _below
    cdef str _least
    cdef str _most

    @cython.locals(text=str)
    cdef bint holds(self, object value) except -1


cdef class _NumberRange(_Check):
    cdef object _above
    cdef object _below
    cdef object _least
    cdef object _most

    cdef bint holds(self, object value) except -1


cdef class _Patterns(_Check):
    cdef tuple _ends
    cdef frozenset _names
    cdef tuple _prefixes
    cdef _Search _search
    cdef tuple _suffixes

    @cython.locals(text=str, ends=tuple, first=str, last=str)
    cdef bint holds(self, object value) except -1


@cython.final
cdef class _Search:
    cdef uint64_t _begin
    cdef dict _beyond
    cdef uint64_t _ends
    cdef uint64_t _free
    cdef uint64_t _inner
    cdef uint64_t[::1] _masks
    cdef uint64_t _stay

    @cython.locals(state=uint64_t, start=uint64_t, mask=uint64_t, character=Py_UCS4, code=int)
    cdef bint fits(self, str text) except -1


cdef _Check _check_for(tuple condition)
