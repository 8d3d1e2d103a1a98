"""
Arrivals: plain TCP connections from their first byte until their request head is whole.

An arrival is a socket in the table and nothing else: no task waits for it. Most heads come in one read; then the
connection's task is begun, with the handshake already decided. All arrivals have the same time, so one timer serves
them, and there are only so many: whoever opens connections and says little is after the descriptors.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from typing import Protocol

import trio
from attrs import define, field

from rtcore._fast import SocketSlot, SocketTable
from rtcore.errors import HandshakeRefused
from rtcore.hub.timeouts import TimeoutWatcher, Timer
from rtcore.protocol.header_grammar import HeadReader
from rtcore.server.incoming import Incoming, Peer, own_address
from rtcore.server.reception import HttpRequest, Reception, Upgrade
from rtcore.server.unfinished import Unfinished
from rtcore.transports.socket_stream import SocketStream
from rtcore.values.limits import Limits

__all__ = ["Arrivals", "Outcomes"]

logger = logging.getLogger("rtcore.reception")


class Outcomes(Protocol):
    """What becomes of an arrival; nothing here blocks."""

    def upgraded(self, slot: SocketSlot, upgrade: Upgrade) -> None:
        """It is a WebSocket connection."""

    def arrived_http(self, incoming: Incoming, wanted: HttpRequest) -> None:
        """It wants HTTP, and has left the table."""

    def arrived_refused(self, incoming: Incoming, refused: HandshakeRefused) -> None:
        """It gets no further, and has left the table."""


class Arrivals:
    """
    Args:
        table: Where their sockets are.
        reception: Decides what a request head wants.
        limits: `handshake_seconds` is their time.
        timeouts: Where it is watched.
        unfinished: Counts them.
        outcomes: Told of each whose head is whole, or cannot be.
    """

    def __init__(
        self,
        table: SocketTable,
        reception: Reception,
        *,
        limits: Limits,
        timeouts: TimeoutWatcher,
        unfinished: Unfinished,
        outcomes: Outcomes,
    ) -> None:
        self._table = table
        self._reception = reception
        self._limits = limits
        self._timeouts = timeouts
        self._unfinished = unfinished
        self._outcomes = outcomes
        self._waiting: dict[_Arrival, float] = {}  # with their deadlines; oldest first
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, descriptor: int, client: tuple[str, int]) -> None:
        """Take an accepted connection over; where the system has no room for it, it is closed."""
        arrival = _Arrival(self, client)
        try:
            arrival.slot = self._table.add(descriptor, arrival)
        except OSError as error:
            logger.error("cannot serve a connection: %s", error)
            os.close(descriptor)
            return
        deadline = trio.current_time() + self._limits.handshake_seconds
        self._waiting[arrival] = deadline
        self._unfinished.add(arrival, arrival.drop)
        if self._timer is None:
            self._timer = self._timeouts.call_at(deadline, self._on_timer)

    def forget(self, arrival: _Arrival) -> None:
        """It waits no more."""
        self._waiting.pop(arrival, None)
        self._unfinished.discard(arrival)

    def decide(self, arrival: _Arrival, head: bytes, rest: bytes) -> None:
        """Its head is whole."""
        try:
            wanted = self._reception.decide(arrival.peer, head, rest)
        except HandshakeRefused as refused:
            self.refuse(arrival, refused)
            return
        self.forget(arrival)
        if isinstance(wanted, Upgrade):
            self._outcomes.upgraded(arrival.slot, wanted)
        else:
            self._outcomes.arrived_http(arrival.leave_table(), wanted)

    def refuse(self, arrival: _Arrival, refused: HandshakeRefused) -> None:
        """It gets no further."""
        self.forget(arrival)
        self._outcomes.arrived_refused(arrival.leave_table(), refused)

    def close(self) -> None:
        """Drop them all; idempotent."""
        for arrival in list(self._waiting):
            arrival.drop()
        if self._timer is not None:
            self._timer.cancel()

    def new_reader(self) -> HeadReader:
        """For one request head."""
        return HeadReader(self._limits)

    def _on_timer(self) -> float | None:
        now = trio.current_time()
        for arrival, deadline in list(self._waiting.items()):
            if deadline > now:
                return deadline
            arrival.drop()
        self._timer = None
        return None


@define(eq=False)
class _Arrival:
    """One of them: the owner of its socket until it is something else."""

    _arrivals: Arrivals
    _client: tuple[str, int]
    slot: SocketSlot = field(init=False)
    _reader: HeadReader | None = field(default=None, init=False)

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        return Peer(self._client, False)

    def data_received(self, data: bytes) -> None:
        """The next bytes of its head."""
        reader = self._reader
        if reader is None:
            reader = self._reader = self._arrivals.new_reader()
        try:
            found = reader.feed(data)
        except HandshakeRefused as refused:
            self._arrivals.refuse(self, refused)
            return
        if found is not None:
            self._arrivals.decide(self, *found)

    def eof_received(self) -> None:
        """It left before it said what it wants."""
        self.drop()

    def lost(self, error: OSError) -> None:
        """It was cut before it said what it wants."""
        logger.debug("%s: gone before its handshake: %s", self._client[0], error)
        self.drop()

    def sendable(self) -> None:
        """Never asked for."""

    def failed(self, error: Exception) -> None:
        """A fault of ours; nobody else's connection suffers from it."""
        logger.error("%s: its handshake failed", self._client[0], exc_info=error)
        self.drop()

    def drop(self) -> None:
        """Close it without a word; idempotent."""
        self._arrivals.forget(self)
        self.slot.close()

    def leave_table(self) -> Incoming:
        """Its socket as a stream, for whoever speaks no WebSocket with it."""
        descriptor = self.slot.detach()
        if descriptor < 0:
            raise OSError(errno.EBADF, "the connection is closed")
        try:
            connected = socket.socket(fileno=descriptor)
        except OSError:
            os.close(descriptor)
            raise
        return Incoming(stream=SocketStream(connected), client=self._client, server=own_address(connected))
