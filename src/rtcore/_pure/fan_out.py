"""
Fan-out: the same bytes to many sockets, one write each.

A view's subscribers that keep up all stand at the same place, so nothing has to be known of each but its socket: they
are a `SlotGroup`, and a tick's delivery to them is one call. `FanOut` gathers what a tick has (several views may have
something for one socket) and then writes once to each socket: a `send`, or a `writev` where there are several parts.
Nothing in Python happens per socket but for those that did not take everything, which are returned.

The compiled twin keeps both in arrays and makes all system calls of a round without the GIL.
"""

from __future__ import annotations

import os

from .socket_table import SocketSlot

__all__ = ["FanOut", "SlotGroup"]

_PARTS = 256
"""Most parts of one `writev`; systems take 1024 and more."""


class SlotGroup:
    """Sockets that are written the same bytes, each with the member that it belongs to."""

    __slots__ = ("members", "slots")

    members: list[object]
    """What was added, in places 0 to n - 1."""
    slots: list[SocketSlot]
    """The sockets, in the same places."""

    def __init__(self) -> None:
        self.members = []
        self.slots = []

    def __len__(self) -> int:
        return len(self.members)

    def add(self, slot: SocketSlot, member: object) -> int:
        """
        Add a socket; returns its place, which stays until `remove` moves it.

        Args:
            slot: Written to from now on; skipped once it is closed.
            member: Anything, to be told by `remove` who moved.

        Raises:
            TypeError: If `slot` is not a SocketSlot.
        """
        if not isinstance(slot, SocketSlot):
            raise TypeError("slot must be a SocketSlot")
        self.slots.append(slot)
        self.members.append(member)
        return len(self.members) - 1

    def remove(self, place: int) -> object | None:
        """
        Take the socket at a place out.

        Returns:
            The member that now stands at this place, moved there from the end; None if none had to move.

        Raises:
            IndexError: If there is no such place.
        """
        if not 0 <= place < len(self.members):
            raise IndexError(f"place {place} is outside 0 to {len(self.members) - 1}")
        last, slot = self.members.pop(), self.slots.pop()
        if place == len(self.members):
            return None
        self.members[place] = last
        self.slots[place] = slot
        return last


class FanOut:
    """
    Gathers the parts of one round, and writes them.

    Args:
        write_bytes: Most bytes that a socket is written in one round, where they are of more than one part.
    """

    __slots__ = ("_parts", "_pending", "_write_bytes", "bytes_sent", "writes")

    bytes_sent: int
    """Bytes that sockets took so far."""
    writes: int
    """Writes so far."""

    def __init__(self, write_bytes: int) -> None:
        self._write_bytes = write_bytes
        self._parts: list[tuple[SlotGroup, bytes]] = []
        self._pending: dict[SocketSlot, int] = {}
        self.bytes_sent = 0
        self.writes = 0

    def add(self, group: SlotGroup, data: bytes) -> bool:
        """
        Have every socket of a group written to in this round, after what was added for it before.

        Returns:
            Whether it will be. False, and nothing was added, if a socket that has another part in this round already
            would be written more than `write_bytes` with this one: it has to wait for the next.

        Args:
            group: Must not change before `send` has returned.
            data: n > 0 bytes.

        Raises:
            TypeError: If it is not a group, or not bytes.
        """
        if not isinstance(group, SlotGroup) or type(data) is not bytes:
            raise TypeError("a group and its bytes are needed")
        pending, size = self._pending, len(data)
        if any(pending[slot] + size > self._write_bytes for slot in group.slots if slot in pending):
            return False
        for slot in group.slots:
            pending[slot] = pending.get(slot, 0) + size
        self._parts.append((group, data))
        return True

    def send(self) -> list[tuple[SocketSlot, bytes | memoryview, int]]:
        """
        Write what was added, once to each socket, and begin a new round.

        Returns:
            For each socket that did not take everything: its slot, the rest, and the error number; 0: it has no
            more room just now. Closed slots are passed over.
        """
        parts, self._parts = self._parts, []
        self._pending.clear()
        wanted: dict[SocketSlot, list[bytes]] = {}
        for group, data in parts:
            for slot in group.slots:
                wanted.setdefault(slot, []).append(data)
        failures: list[tuple[SocketSlot, bytes | memoryview, int]] = []
        for slot, pieces in wanted.items():
            if slot.descriptor >= 0:
                self._write(slot, pieces, failures)
        return failures

    def _write(
        self, slot: SocketSlot, pieces: list[bytes], failures: list[tuple[SocketSlot, bytes | memoryview, int]]
    ) -> None:
        for start in range(0, len(pieces), _PARTS):
            some = pieces[start : start + _PARTS]
            sent, error = _attempt(slot.descriptor, some)
            self.writes += 1
            self.bytes_sent += sent
            slot.bytes_sent += sent
            if error or sent < sum(map(len, some)):
                failures.append((slot, _rest(pieces[start:], sent), error))
                return


def _attempt(descriptor: int, pieces: list[bytes]) -> tuple[int, int]:
    """Bytes taken, and the number of the error if it was one."""
    try:
        return (os.write(descriptor, pieces[0]) if len(pieces) == 1 else os.writev(descriptor, pieces)), 0
    except BlockingIOError:
        return 0, 0
    except OSError as error:
        return 0, error.errno or 0


def _rest(pieces: list[bytes], sent: int) -> bytes | memoryview:
    """What is left; of one part, which many sockets share, without a copy."""
    if len(pieces) == 1:
        return memoryview(pieces[0])[sent:] if sent else pieces[0]
    return b"".join(pieces)[sent:]
