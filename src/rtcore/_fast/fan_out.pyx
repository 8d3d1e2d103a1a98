# cython: language_level=3, auto_pickle=False
"""
Fan-out, compiled; see `rtcore._pure.fan_out`.

A round of one part for one group, the usual tick, walks the group's array of slots and calls `send` for each. A round
of several parts first chains the parts of each slot (a slot remembers the round and its first and last part), and then
walks the slots that were met. Both walks run without the GIL: they touch only C arrays, and nobody else may change a
group, a slot or a part meanwhile, since all of them belong to the thread that called.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from rtcore._fast.socket_table cimport SlotState, SocketSlot

__all__ = ["FanOut", "SlotGroup"]

cdef extern from *:
    """
    #include <errno.h>
    #if defined(__linux__)
    #include <sys/socket.h>
    #include <sys/uio.h>
    #else
    /* So that the module can be built everywhere: without epoll there are no slots to write to. */
    #include <stddef.h>
    #define MSG_DONTWAIT 0
    #define MSG_NOSIGNAL 0
    struct iovec { void *iov_base; size_t iov_len; };
    struct msghdr { void *msg_name; struct iovec *msg_iov; size_t msg_iovlen; };
    static long send(int fd, const void *data, size_t size, int flags) { errno = ENOSYS; return -1; }
    static long sendmsg(int fd, const struct msghdr *message, int flags) { errno = ENOSYS; return -1; }
    #endif
    """
    const int MSG_DONTWAIT
    const int MSG_NOSIGNAL
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
    Py_ssize_t c_send "send"(int fd, const void *data, size_t size, int flags) nogil
    Py_ssize_t c_sendmsg "sendmsg"(int fd, const msghdr *message, int flags) nogil

cdef enum:
    PARTS = 256


cdef struct Attempt:
    Py_ssize_t sent
    int error


cdef inline int _outcome(Attempt *attempt, Py_ssize_t sent, int number) noexcept nogil:
    """Note what a call returned; whether it has to be made again."""
    if sent < 0 and number == EINTR:
        return 1
    attempt.sent = sent if sent >= 0 else 0
    attempt.error = 0 if sent >= 0 or number == EAGAIN else number
    return 0


cdef inline Attempt _send_one(int descriptor, const char *data, size_t size) noexcept nogil:
    cdef Attempt attempt
    cdef Py_ssize_t sent
    while True:
        sent = c_send(descriptor, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
        if not _outcome(&attempt, sent, errno):
            return attempt


cdef inline Attempt _send_many(int descriptor, iovec *pieces, size_t count) noexcept nogil:
    cdef Attempt attempt
    cdef msghdr message
    cdef Py_ssize_t sent
    memset(&message, 0, sizeof(message))
    message.msg_iov = pieces
    message.msg_iovlen = count
    while True:
        sent = c_sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
        if not _outcome(&attempt, sent, errno):
            return attempt


cdef int _grow(void **array, Py_ssize_t *capacity, Py_ssize_t needed, size_t size) except -1:
    """Make room for `needed` items of `size` bytes; the array stays as it was if there is no memory."""
    cdef Py_ssize_t wanted = max(needed, 2 * capacity[0], 2)  # most groups are of one
    cdef void *grown
    if needed <= capacity[0]:
        return 0
    grown = realloc(array[0], <size_t> wanted * size)
    if grown == NULL:
        raise MemoryError
    array[0] = grown
    capacity[0] = wanted
    return 0


@cython.final
cdef class SlotGroup:
    """Sockets that are written the same bytes; see `rtcore._pure.fan_out.SlotGroup`."""

    def __cinit__(self):
        self.members = []
        self.slots = []
        self._states = NULL
        self._size = 0
        self._capacity = 0

    def __init__(self) -> None:
        pass

    def __dealloc__(self):
        free(self._states)

    def __len__(self) -> int:
        return self._size

    cdef int _reserve(self, Py_ssize_t capacity) except -1:
        return _grow(<void **> &self._states, &self._capacity, capacity, sizeof(SlotState *))

    cpdef Py_ssize_t add(self, SocketSlot slot, object member) except -1:
        """Add a socket; see `rtcore._pure.fan_out.SlotGroup.add`."""
        if slot is None:
            raise TypeError("slot must be a SocketSlot")
        self._reserve(self._size + 1)
        self.slots.append(slot)  # holds what the array points to
        self.members.append(member)
        self._states[self._size] = &slot.state
        self._size += 1
        return self._size - 1

    cpdef object remove(self, Py_ssize_t place):
        """Take the socket at a place out; see `rtcore._pure.fan_out.SlotGroup.remove`."""
        cdef object last
        cdef object slot
        if place < 0 or place >= self._size:
            raise IndexError(f"place {place} is outside 0 to {self._size - 1}")
        self._size -= 1
        self._states[place] = self._states[self._size]
        last, slot = self.members.pop(), self.slots.pop()
        if place == self._size:
            return None
        self.members[place] = last
        self.slots[place] = slot
        return last


@cython.final
cdef class FanOut:
    """Gathers the parts of one round, and writes them; see `rtcore._pure.fan_out.FanOut`."""

    def __cinit__(self):
        self._groups = []
        self._data = []
        self._round = 0
        self.bytes_sent = 0
        self.writes = 0
        self._parts = NULL
        self._states = NULL
        self._failures = NULL
        self._parts_capacity = self._states_capacity = self._failures_capacity = 0

    def __init__(self, write_bytes: int) -> None:
        self._write_bytes = write_bytes

    def __dealloc__(self):
        free(self._parts)
        free(self._states)
        free(self._failures)

    cpdef object add(self, SlotGroup group, bytes data):
        """Have every socket of a group written to in this round; see `rtcore._pure.fan_out.FanOut.add`."""
        cdef Py_ssize_t count
        if group is None or data is None:
            raise TypeError("a group and its bytes are needed")
        count = len(self._groups)
        if count == 1:  # nearly always the only one: then nobody has to know whose sockets it has
            self._round = _next_round()
            self._count_bytes(self._groups[0], PyBytes_GET_SIZE(<bytes> self._data[0]))
        if count >= 1:
            if self._exceeds(group, PyBytes_GET_SIZE(data)):
                return False
            self._count_bytes(group, PyBytes_GET_SIZE(data))
        self._groups.append(group)
        self._data.append(data)
        return True

    cdef bint _exceeds(self, SlotGroup group, Py_ssize_t size) noexcept:
        """Whether a socket of the group that has a part in this round would be written too much with so many more."""
        cdef Py_ssize_t place
        cdef SlotState *state
        for place in range(group._size):
            state = group._states[place]
            if state.round_number == self._round and state.last_part + size > self._write_bytes:
                return True
        return False

    cdef void _count_bytes(self, SlotGroup group, Py_ssize_t size) noexcept:
        """Note that each socket of the group is written so many more; `last_part` holds them until `_gather`."""
        cdef Py_ssize_t place
        cdef SlotState *state
        for place in range(group._size):
            state = group._states[place]
            if state.round_number != self._round:
                state.round_number = self._round
                state.last_part = 0
            state.last_part += size

    cpdef list send(self):
        """Write what was added, once to each socket; see `rtcore._pure.fan_out.FanOut.send`."""
        cdef list groups = self._groups
        cdef list data = self._data
        if not groups:
            return []
        self._groups = []
        self._data = []
        if len(groups) == 1:
            return self._take_failures(self._send_alike(groups[0], data[0]), data[0])
        return self._take_failures(self._send_parts(groups, data), None)

    cdef Py_ssize_t _send_alike(self, SlotGroup group, bytes data) except -1:
        """One part for one group; the number of failures."""
        cdef Py_ssize_t size = group._size
        cdef Py_ssize_t place
        cdef Py_ssize_t failed = 0
        cdef Py_ssize_t writes = 0
        cdef long long total = 0
        cdef const char *start = PyBytes_AS_STRING(data)
        cdef size_t length = <size_t> PyBytes_GET_SIZE(data)
        cdef SlotState **states = group._states
        cdef Failure *failures
        cdef int descriptor
        cdef Attempt attempt
        _grow(<void **> &self._failures, &self._failures_capacity, size, sizeof(Failure))
        failures = self._failures
        with nogil:
            for place in range(size):
                descriptor = states[place].descriptor
                if descriptor < 0:
                    continue
                attempt = _send_one(descriptor, start, length)
                writes += 1
                total += attempt.sent
                states[place].bytes_sent += attempt.sent
                if attempt.error != 0 or <size_t> attempt.sent < length:
                    failures[failed].state = states[place]
                    failures[failed].first_part = -1
                    failures[failed].sent = attempt.sent
                    failures[failed].error = attempt.error
                    failed += 1
        self.writes += writes
        self.bytes_sent += total
        return failed

    cdef Py_ssize_t _gather(self, list groups, list data) except -1:
        """Chain the parts of each socket; the number of sockets, which `_slots` points to."""
        cdef Py_ssize_t needed = 0
        cdef Py_ssize_t part = 0
        cdef Py_ssize_t met = 0
        cdef Py_ssize_t number
        cdef Py_ssize_t place
        cdef SlotGroup group
        cdef bytes piece
        cdef SlotState *state
        for group in groups:
            needed += group._size
        _grow(<void **> &self._parts, &self._parts_capacity, needed, sizeof(Part))
        _grow(<void **> &self._states, &self._states_capacity, needed, sizeof(SlotState *))
        _grow(<void **> &self._failures, &self._failures_capacity, needed, sizeof(Failure))
        self._round = _next_round()
        for number in range(len(groups)):
            group = groups[number]
            piece = data[number]
            for place in range(group._size):
                state = group._states[place]
                self._parts[part].data = PyBytes_AS_STRING(piece)
                self._parts[part].size = <size_t> PyBytes_GET_SIZE(piece)
                self._parts[part].next_part = -1
                if state.round_number == self._round:
                    self._parts[state.last_part].next_part = part
                else:
                    state.round_number = self._round
                    state.first_part = part
                    self._states[met] = state
                    met += 1
                state.last_part = part
                part += 1
        return met

    cdef Py_ssize_t _send_parts(self, list groups, list data) except -1:
        """Several parts; the number of failures. The lists hold what the parts point to."""
        cdef Py_ssize_t met = self._gather(groups, data)
        cdef Py_ssize_t place
        cdef Py_ssize_t failed = 0
        cdef Py_ssize_t writes = 0
        cdef Py_ssize_t part
        cdef Py_ssize_t began
        cdef size_t count
        cdef size_t length
        cdef long long total = 0
        cdef int descriptor
        cdef iovec pieces[PARTS]
        cdef Attempt attempt
        with nogil:
            for place in range(met):
                descriptor = self._states[place].descriptor
                part = self._states[place].first_part
                while descriptor >= 0 and part >= 0:
                    began = part
                    count = 0
                    length = 0
                    while part >= 0 and count < PARTS:
                        pieces[count].iov_base = <void *> self._parts[part].data
                        pieces[count].iov_len = self._parts[part].size
                        length += self._parts[part].size
                        count += 1
                        part = self._parts[part].next_part
                    if count == 1:
                        attempt = _send_one(descriptor, self._parts[began].data, length)
                    else:
                        attempt = _send_many(descriptor, pieces, count)
                    writes += 1
                    total += attempt.sent
                    self._states[place].bytes_sent += attempt.sent
                    if attempt.error != 0 or <size_t> attempt.sent < length:
                        self._failures[failed].state = self._states[place]
                        self._failures[failed].first_part = began
                        self._failures[failed].sent = attempt.sent
                        self._failures[failed].error = attempt.error
                        failed += 1
                        break
        self.writes += writes
        self.bytes_sent += total
        return failed

    cdef list _take_failures(self, Py_ssize_t count, bytes alike):
        """What `send` returns; `alike` is the one part of all of them, or None."""
        cdef list failures = []
        cdef Py_ssize_t number
        cdef Py_ssize_t part
        cdef Py_ssize_t sent
        cdef list pieces
        for number in range(count):
            sent = self._failures[number].sent
            if alike is not None:
                rest = memoryview(alike)[sent:] if sent else alike
            else:
                pieces = []
                part = self._failures[number].first_part
                while part >= 0:
                    pieces.append(self._parts[part].data[: self._parts[part].size])
                    part = self._parts[part].next_part
                rest = b"".join(pieces)[sent:]
            failures.append((<object> self._failures[number].state.slot, rest, self._failures[number].error))
        return failures


cdef uint64_t _rounds = 0


cdef uint64_t _next_round() noexcept:
    """A number that no round of any FanOut had before, so that a slot may be written to by several of them."""
    global _rounds
    _rounds += 1
    return _rounds
