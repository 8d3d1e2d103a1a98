"""
Plain TCP sockets on one epoll set: readiness, reads and single writes, without a wait or a task per socket.

One task waits until the set's own descriptor is readable and calls `poll`; that reads from every socket that has
something and hands the bytes to the socket's owner. A socket stays registered from its first byte to its last, so a
message costs one `recv` and no `epoll_ctl`. Readiness to write is asked for only after a write was refused.

A descriptor's number comes back as soon as it is closed. So nothing here is found by number alone: a slot that was
closed refuses every further use, and an event that was reported for it is dropped.

Linux only (`AVAILABLE`); elsewhere, and for TLS, connections run over streams.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
from typing import Any, Protocol

__all__ = ["AVAILABLE", "SlotOwner", "SocketSlot", "SocketTable", "accept_all"]

AVAILABLE = hasattr(select, "epoll")
"""Whether this system has epoll."""

_RECEIVE_BYTES = 64 * 1024
"""Most bytes of one read: what one client may have handled before all others have their turn."""
_EVENTS = 256
"""Most sockets served by one `poll`."""


def accept_all(listening: int, maximum: int) -> list[tuple[int, str, int]]:
    """
    Accept what waits on a listening socket.

    Args:
        listening: Its number; it does not block.
        maximum: Most connections at once.

    Returns:
        For each its number, which is the caller's and does not block, and the peer's address and port. Fewer than
        `maximum`: no more wait.

    Raises:
        OSError: If the system refuses before there is one; what refuses after the first is left to the next call.
    """
    accepted: list[tuple[int, str, int]] = []
    borrowed = socket.socket(fileno=listening)  # not a copy: there may be no descriptor left
    try:
        while len(accepted) < maximum:
            try:
                connected, address = borrowed.accept()
            except BlockingIOError:
                break
            except ConnectionAbortedError:  # the peer was gone before
                continue
            except OSError:
                if accepted:
                    break
                raise
            connected.setblocking(False)
            # Interned: a thousand connections of one address hold it once.
            accepted.append((connected.detach(), sys.intern(str(address[0])), int(address[1])))
    finally:
        borrowed.detach()
    return accepted


class SlotOwner(Protocol):
    """What becomes of a socket's bytes. No method may block; what one raises goes to `failed`."""

    def data_received(self, data: bytes) -> None:
        """The next 1 to 64 Ki bytes."""

    def eof_received(self) -> None:
        """The peer will send nothing more; reading is off from now on."""

    def lost(self, error: OSError) -> None:
        """The connection is broken; reading is off from now on."""

    def sendable(self) -> None:
        """After `watch_writing(True)`: the system has room again; called until it is turned off."""

    def failed(self, error: Exception) -> None:
        """Another method of this owner raised `error`."""


class SocketTable:
    """Sockets and their owners."""

    __slots__ = ("_epoll", "_slots", "bytes_received", "reads")

    bytes_received: int
    """Bytes read from all sockets so far."""
    reads: int
    """Reads that brought something."""

    def __init__(self) -> None:
        self._epoll: Any = select.epoll()  # Any: typeshed has it on Linux only
        self._slots: dict[int, SocketSlot] = {}
        self.bytes_received = 0
        self.reads = 0

    def __len__(self) -> int:
        return len(self._slots)

    def fileno(self) -> int:
        """The epoll set's descriptor: readable while `poll` has something to do; -1 once closed."""
        return -1 if self._epoll.closed else int(self._epoll.fileno())

    def add(self, descriptor: int, owner: SlotOwner) -> SocketSlot:
        """
        Take a connected socket over, and read from it from now on.

        Args:
            descriptor: Its number; made non-blocking, and closed by the slot.
            owner: Given what comes.

        Raises:
            OSError: If the system refuses; the descriptor is still the caller's.
        """
        if self._epoll.closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        os.set_blocking(descriptor, False)
        slot = SocketSlot(self, descriptor, owner)
        self._watch(slot, True, False)
        self._slots[descriptor] = slot
        return slot

    def poll(self) -> int:
        """
        Serve every socket that is ready, at most 256; does not wait.

        Returns:
            How many were; 256 mean that more may be.

        Raises:
            Exception: What an owner's `failed` raised; its socket is closed, and the others are served next time.
        """
        ready = [(self._slots.get(descriptor), mask) for descriptor, mask in self._epoll.poll(0, _EVENTS)]
        for slot, mask in ready:
            if slot is not None:
                self._serve(slot, mask)
        return len(ready)

    def _serve(self, slot: SocketSlot, mask: int) -> None:
        try:
            if slot.writing and mask & ~select.EPOLLIN and slot.owner is not None:
                slot.owner.sendable()
            if slot.reading and mask & ~select.EPOLLOUT:
                self._receive(slot)
        except Exception as error:  # one owner's fault must not stop the others
            if slot.owner is None:
                raise
            try:
                slot.owner.failed(error)
            except Exception:
                slot.close()  # it would fail again, and again
                raise

    def _receive(self, slot: SocketSlot) -> None:
        owner = slot.owner
        assert owner is not None, "a slot that is read from has an owner"
        try:
            data = os.read(slot.descriptor, _RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            slot.watch_reading(False)
            owner.lost(error)
            return
        if data:
            self.reads += 1
            self.bytes_received += len(data)
            owner.data_received(data)
        else:
            slot.watch_reading(False)
            owner.eof_received()

    def _watch(self, slot: SocketSlot, reading: bool, writing: bool) -> None:
        """Change what is asked for; a slot that asks for nothing leaves the set, which reports hang-ups unasked."""
        before, after = slot.reading or slot.writing, reading or writing
        mask = (select.EPOLLIN if reading else 0) | (select.EPOLLOUT if writing else 0)
        if before and after:
            self._epoll.modify(slot.descriptor, mask)
        elif after:
            self._epoll.register(slot.descriptor, mask)
        elif before:
            self._epoll.unregister(slot.descriptor)
        slot.reading, slot.writing = reading, writing

    def close(self) -> None:
        """Close every socket and the set; idempotent."""
        for slot in list(self._slots.values()):
            slot.close()
        self._epoll.close()


class SocketSlot:
    """
    One socket's place in the table; made by `SocketTable.add`.

    Once it is closed or detached, `descriptor` is -1, and every method does nothing or raises OSError.
    """

    __slots__ = ("_table", "bytes_sent", "descriptor", "owner", "reading", "writing")

    bytes_sent: int
    """Bytes that the system took so far, of `send` and of fan-outs."""
    descriptor: int
    """The socket's number; -1 once this is no longer its slot."""
    owner: SlotOwner | None
    """Given what comes; may be replaced, when a handshake becomes a connection. None once it has left the table."""
    reading: bool
    """Whether it is read from."""
    writing: bool
    """Whether its owner is told of room to write."""

    def __init__(self, table: SocketTable, descriptor: int, owner: SlotOwner) -> None:
        self._table = table
        self.bytes_sent = 0
        self.descriptor = descriptor
        self.owner = owner
        self.reading = False
        self.writing = False

    def send(self, data: bytes | memoryview) -> int:
        """
        Give the system what it takes now.

        Returns:
            How many bytes it took; 0 if it has no room.

        Raises:
            OSError: If the connection is broken or the slot closed.
        """
        try:
            sent = os.write(self.descriptor, data)
        except BlockingIOError:
            return 0
        self.bytes_sent += sent
        return sent

    def watch_reading(self, wanted: bool) -> None:
        """Read from it, or let what comes wait in the system; idempotent."""
        if self.descriptor >= 0 and wanted != self.reading:
            self._table._watch(self, wanted, self.writing)

    def watch_writing(self, wanted: bool) -> None:
        """Tell the owner when there is room to write, or no longer; idempotent."""
        if self.descriptor >= 0 and wanted != self.writing:
            self._table._watch(self, self.reading, wanted)

    def shut_down(self) -> None:
        """Say that nothing more will be sent. Raises OSError if the connection is broken or the slot closed."""
        if self.descriptor < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        borrowed = socket.socket(fileno=self.descriptor)  # not a copy: there may be no descriptor left
        try:
            borrowed.shutdown(socket.SHUT_WR)
        finally:
            borrowed.detach()

    def detach(self) -> int:
        """Leave the table; the descriptor is the caller's again. -1 if it has left already."""
        descriptor = self.descriptor
        if descriptor >= 0:
            self._table._watch(self, False, False)
            del self._table._slots[descriptor]
            self.descriptor = -1
            self.owner = None  # the two would hold each other until the cyclic collector comes
        return descriptor

    def close(self) -> None:
        """Leave the table and close the socket; the system still delivers what it took. Idempotent."""
        descriptor = self.detach()
        if descriptor >= 0:
            os.close(descriptor)
