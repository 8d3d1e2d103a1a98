# cython: language_level=3, auto_pickle=False
"""Plain TCP sockets on one epoll set, compiled; see `rtcore._pure.socket_table`."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EAGAIN, EBADF, ECONNABORTED, EINTR, errno
from libc.stdint cimport uint32_t, uint64_t

import os

import sys

from rtcore._pure.socket_table import SlotOwner
from rtcore._pure.socket_table import accept_all as portable_accept_all

__all__ = ["AVAILABLE", "SlotOwner", "SocketSlot", "SocketTable", "accept_all"]

cdef extern from *:
    """
    #include <errno.h>
    #if defined(__linux__)
    #include <arpa/inet.h>
    #include <fcntl.h>
    #include <netdb.h>
    #include <netinet/in.h>
    #include <sys/epoll.h>
    #include <sys/socket.h>
    #include <unistd.h>
    #define RTCORE_EPOLL 1
    static int rtcore_set_nonblocking(int descriptor) {
        int flags = fcntl(descriptor, F_GETFL, 0);
        if (flags < 0) return -1;
        return flags & O_NONBLOCK ? 0 : fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
    }
    /* Accept one; its number, or -1. The address as text, with the zone of an IPv6 one, and the port. */
    static int rtcore_accept(int listening, char *host, size_t size, int *port) {
        struct sockaddr_storage address;
        socklen_t length = sizeof(address);
        int number = accept4(listening, (struct sockaddr *) &address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        host[0] = 0;
        *port = 0;
        if (number < 0) return -1;
        if (address.ss_family == AF_INET) {
            struct sockaddr_in *in = (struct sockaddr_in *) &address;
            inet_ntop(AF_INET, &in->sin_addr, host, size);
            *port = ntohs(in->sin_port);
        } else if (address.ss_family == AF_INET6) {
            getnameinfo((struct sockaddr *) &address, length, host, size, NULL, 0, NI_NUMERICHOST);
            *port = ntohs(((struct sockaddr_in6 *) &address)->sin6_port);
        }
        return number;
    }
    #else
    /* So that the module can be built everywhere: AVAILABLE says that nothing of this works here. */
    #include <stdint.h>
    #include <stddef.h>
    #define RTCORE_EPOLL 0
    #define EPOLL_CLOEXEC 0
    #define EPOLLIN 1u
    #define EPOLLOUT 4u
    #define EPOLL_CTL_ADD 1
    #define EPOLL_CTL_DEL 2
    #define EPOLL_CTL_MOD 3
    #define MSG_DONTWAIT 0
    #define MSG_NOSIGNAL 0
    #define SHUT_WR 1
    typedef union { uint64_t u64; } epoll_data_t;
    struct epoll_event { uint32_t events; epoll_data_t data; };
    static int epoll_create1(int flags) { errno = ENOSYS; return -1; }
    static int epoll_ctl(int set, int what, int fd, struct epoll_event *event) { errno = ENOSYS; return -1; }
    static int epoll_wait(int set, struct epoll_event *events, int n, int timeout) { errno = ENOSYS; return -1; }
    static long recv(int fd, void *data, size_t size, int flags) { errno = ENOSYS; return -1; }
    static long send(int fd, const void *data, size_t size, int flags) { errno = ENOSYS; return -1; }
    static int shutdown(int fd, int how) { errno = ENOSYS; return -1; }
    static int close(int fd) { errno = ENOSYS; return -1; }
    static int rtcore_set_nonblocking(int descriptor) { errno = ENOSYS; return -1; }
    static int rtcore_accept(int listening, char *host, size_t size, int *port) { errno = ENOSYS; return -1; }
    #endif
    """
    const int RTCORE_EPOLL
    const int EPOLL_CLOEXEC
    const uint32_t EPOLLIN
    const uint32_t EPOLLOUT
    const int EPOLL_CTL_ADD
    const int EPOLL_CTL_DEL
    const int EPOLL_CTL_MOD
    const int MSG_DONTWAIT
    const int MSG_NOSIGNAL
    const int SHUT_WR
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags) nogil
    int epoll_ctl(int set, int what, int fd, epoll_event *event) nogil
    int epoll_wait(int set, epoll_event *events, int n, int timeout) nogil
    Py_ssize_t recv(int fd, void *data, size_t size, int flags) nogil
    Py_ssize_t c_send "send"(int fd, const void *data, size_t size, int flags) nogil
    int c_shutdown "shutdown"(int fd, int how) nogil
    int c_close "close"(int fd) nogil
    int rtcore_set_nonblocking(int descriptor) nogil
    int rtcore_accept(int listening, char *host, size_t size, int *port) nogil

AVAILABLE = bool(RTCORE_EPOLL)

cdef enum:
    RECEIVE_BYTES = 65536
    EVENTS = 256
    HOST_BYTES = 128  # an IPv6 address has 45 characters, the name of a zone 15


cdef object _system_error(int number):
    return OSError(number, os.strerror(number))


def accept_all(listening: int, maximum: int) -> list[tuple[int, str, int]]:
    """Accept what waits on a listening socket; see `rtcore._pure.socket_table.accept_all`."""
    cdef char host[HOST_BYTES]
    cdef int port = 0
    cdef int descriptor = listening
    cdef int number
    cdef Py_ssize_t most = maximum
    cdef list accepted = []
    if not RTCORE_EPOLL:
        return portable_accept_all(listening, maximum)
    while len(accepted) < most:
        number = rtcore_accept(descriptor, host, sizeof(host), &port)
        if number >= 0:
            try:
                accepted.append((number, sys.intern(host.decode()), port))
            except BaseException:
                c_close(number)
                raise
        elif errno == EINTR or errno == ECONNABORTED:
            continue
        elif errno == EAGAIN or accepted:
            break
        else:
            raise _system_error(errno)
    return accepted


@cython.final
cdef class SocketTable:
    """Sockets and their owners; see `rtcore._pure.socket_table.SocketTable`."""

    def __cinit__(self):
        self._epoll = -1
        self._scratch = NULL

    def __init__(self) -> None:
        if self._epoll >= 0:
            raise RuntimeError("a table is made once")
        self._slots = []
        self._free = []
        self._serial = 0
        self._count = 0
        self.bytes_received = 0
        self.reads = 0
        self._scratch = <char *> PyMem_Malloc(RECEIVE_BYTES)
        if self._scratch == NULL:
            raise MemoryError
        self._epoll = epoll_create1(EPOLL_CLOEXEC)
        if self._epoll < 0:
            raise _system_error(errno)

    def __dealloc__(self):
        if self._epoll >= 0:
            c_close(self._epoll)
        PyMem_Free(self._scratch)

    def __len__(self) -> int:
        return self._count

    def fileno(self) -> int:
        """The epoll set's descriptor: readable while `poll` has something to do; -1 once closed."""
        return self._epoll

    def add(self, descriptor: int, owner: SlotOwner) -> SocketSlot:
        """Take a connected socket over; see `rtcore._pure.socket_table.SocketTable.add`."""
        cdef SocketSlot slot = SocketSlot.__new__(SocketSlot)
        cdef int number = descriptor
        if rtcore_set_nonblocking(number) < 0:
            raise _system_error(errno)
        slot._table = self
        slot.state.descriptor = number
        slot.owner = owner
        self._serial += 1  # wraps after 2**32 sockets; an event lives no longer than one `poll`
        slot._serial = self._serial
        if self._free:
            slot._index = self._free.pop()
        else:
            slot._index = len(self._slots)
            self._slots.append(None)
        self._slots[slot._index] = slot
        self._count += 1
        try:
            self._watch(slot, True, False)
        except BaseException:
            slot.detach()
            raise
        return slot

    def poll(self) -> int:
        """Serve every socket that is ready; see `rtcore._pure.socket_table.SocketTable.poll`."""
        cdef epoll_event events[EVENTS]
        cdef int count
        cdef int place
        cdef uint64_t word
        cdef Py_ssize_t index
        cdef SocketSlot slot
        if self._epoll < 0:
            raise ValueError("the table is closed")
        count = epoll_wait(self._epoll, events, EVENTS, 0)
        if count < 0:
            if errno == EINTR:
                return 0
            raise _system_error(errno)
        for place in range(count):
            word = events[place].data.u64
            index = <Py_ssize_t> (word & 0xFFFFFFFFu)
            # Whoever was served before may have closed this one, and its place may have been given away.
            slot = self._slots[index] if index < len(self._slots) else None
            if slot is not None and slot._serial == <uint32_t> (word >> 32):
                self._serve(slot, events[place].events)
        return count

    cdef int _serve(self, SocketSlot slot, uint32_t mask) except -1:
        try:
            if slot.writing and mask & ~EPOLLIN:
                slot.owner.sendable()
            if slot.reading and mask & ~EPOLLOUT:
                self._receive(slot)
        except Exception as error:  # one owner's fault must not stop the others
            if slot.owner is None:
                raise
            try:
                slot.owner.failed(error)
            except Exception:
                slot.close()  # it would fail again, and again
                raise
        return 0

    cdef int _receive(self, SocketSlot slot) except -1:
        cdef Py_ssize_t size
        cdef int number
        while True:
            size = recv(slot.state.descriptor, self._scratch, RECEIVE_BYTES, MSG_DONTWAIT)
            number = errno
            if size >= 0 or number != EINTR:
                break
        if size > 0:
            self.reads += 1
            self.bytes_received += size
            slot.owner.data_received(PyBytes_FromStringAndSize(self._scratch, size))
        elif size == 0:
            slot.watch_reading(False)
            slot.owner.eof_received()
        elif number != EAGAIN:
            slot.watch_reading(False)
            slot.owner.lost(_system_error(number))
        return 0

    cdef int _watch(self, SocketSlot slot, bint reading, bint writing) except -1:
        cdef epoll_event event
        cdef bint before = slot.reading or slot.writing
        cdef bint after = reading or writing
        cdef int what
        event.events = (EPOLLIN if reading else 0) | (EPOLLOUT if writing else 0)
        event.data.u64 = (<uint64_t> slot._serial << 32) | <uint64_t> slot._index
        if before or after:
            what = EPOLL_CTL_MOD if before and after else EPOLL_CTL_ADD if after else EPOLL_CTL_DEL
            if epoll_ctl(self._epoll, what, slot.state.descriptor, &event) < 0:
                raise _system_error(errno)
        slot.reading = reading
        slot.writing = writing
        return 0

    def close(self) -> None:
        """Close every socket and the set; idempotent."""
        for slot in self._slots:
            if slot is not None:
                slot.close()
        if self._epoll >= 0:
            c_close(self._epoll)
            self._epoll = -1


@cython.final
cdef class SocketSlot:
    """One socket's place in the table; see `rtcore._pure.socket_table.SocketSlot`."""

    def __cinit__(self):
        self.state.descriptor = -1
        self.state.bytes_sent = 0
        self.state.round_number = 0
        self.state.slot = <void *> self

    def __init__(self, table: SocketTable, descriptor: int, owner: SlotOwner) -> None:
        raise TypeError("slots are made by SocketTable.add")

    @property
    def bytes_sent(self) -> int:
        """Bytes that the system took so far, of `send` and of fan-outs."""
        return self.state.bytes_sent

    @property
    def descriptor(self) -> int:
        """The socket's number; -1 once this is no longer its slot."""
        return self.state.descriptor

    cpdef Py_ssize_t send(self, object data) except -1:
        """Give the system what it takes now; see `rtcore._pure.socket_table.SocketSlot.send`."""
        cdef Py_buffer view
        cdef Py_ssize_t sent
        cdef int number
        if self.state.descriptor < 0:
            raise _system_error(EBADF)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        while True:
            sent = c_send(self.state.descriptor, view.buf, view.len, MSG_DONTWAIT | MSG_NOSIGNAL)
            number = errno
            if sent >= 0 or number != EINTR:
                break
        PyBuffer_Release(&view)
        if sent >= 0:
            self.state.bytes_sent += sent
            return sent
        if number == EAGAIN:
            return 0
        raise _system_error(number)

    cpdef int watch_reading(self, bint wanted) except -1:
        """Read from it, or let what comes wait in the system; idempotent."""
        if self.state.descriptor >= 0 and wanted != self.reading:
            self._table._watch(self, wanted, self.writing)
        return 0

    cpdef int watch_writing(self, bint wanted) except -1:
        """Tell the owner when there is room to write, or no longer; idempotent."""
        if self.state.descriptor >= 0 and wanted != self.writing:
            self._table._watch(self, self.reading, wanted)
        return 0

    def shut_down(self) -> None:
        """Say that nothing more will be sent. Raises OSError if the connection is broken or the slot closed."""
        if self.state.descriptor < 0:
            raise _system_error(EBADF)
        if c_shutdown(self.state.descriptor, SHUT_WR) < 0:
            raise _system_error(errno)

    cpdef int detach(self) except -2:
        """Leave the table; the descriptor is the caller's again. -1 if it has left already."""
        cdef int descriptor = self.state.descriptor
        if descriptor >= 0:
            self._table._watch(self, False, False)
            self._table._slots[self._index] = None
            self._table._free.append(self._index)
            self._table._count -= 1
            self.state.descriptor = -1
            self.owner = None  # the two would hold each other until the cyclic collector comes
        return descriptor

    def close(self) -> None:
        """Leave the table and close the socket; the system still delivers what it took. Idempotent."""
        cdef int descriptor = self.detach()
        if descriptor >= 0:
            c_close(descriptor)
