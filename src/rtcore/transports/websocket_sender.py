"""
The sending half of a WebSocket connection.

What leaves, leaves in this order: the rest of a write that the system cut short, control frames, own messages, then the
views' slices or the backlog. So no frame is ever torn, and a reply comes before the events that follow it. Sending is
synchronous as long as the transport takes everything; after the first refusal the transport is asked to tell when
there is room again, until nothing waits any more.
"""

from __future__ import annotations

import math
import os
from abc import abstractmethod

import trio

from rtcore._fast import join
from rtcore.errors import ConnectionClosed
from rtcore.hub.encoding import FrameEncoding
from rtcore.hub.hub import Hub
from rtcore.hub.subscriber import Subscriber
from rtcore.protocol.connection_state import ConnectionState
from rtcore.transports.connection_timers import ConnectionTimers
from rtcore.transports.transport import Transport
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode

__all__ = ["WebSocketSender"]


class WebSocketSender(Subscriber):
    """
    Args:
        hub: Where it may subscribe.
        transport: Carries the bytes.
        state: The protocol's state, after the handshake.
        encoding: Wire form of shared frames that this peer understands.
        limits: Bounds of this connection.
        opening: Bytes that leave before the first frame: the answer to the handshake.
    """

    __slots__ = (
        "_gone",
        "_hub",
        "_progress",
        "_state",
        "_transport",
        "_unsent",
        "_watching_room",
        "ended",
        "timers",
    )

    def __init__(
        self,
        hub: Hub,
        transport: Transport,
        state: ConnectionState,
        encoding: FrameEncoding,
        *,
        limits: Limits,
        opening: bytes = b"",
    ) -> None:
        super().__init__(
            encoding,
            hub.counters,
            lag_events=limits.lag_events,
            lag_bytes=limits.lag_bytes,
            clock=hub.clock,
            slot=transport.slot,
        )
        now = trio.current_time()
        self.timers = ConnectionTimers(limits, now, now)
        self.ended: ConnectionClosed | None = None
        """How it ended, once it has; the socket may still be on its way out."""
        self._hub = hub
        self._transport = transport
        self._state = state
        if opening:
            state.queue_frame(opening)
        self._unsent: bytes | memoryview = b""
        self._progress: trio.Event | None = None
        self._watching_room = False
        self._gone = False

    @property
    def limits(self) -> Limits:
        """Its bounds."""
        return self.timers.limits

    @abstractmethod
    def _arm(self, deadline: float) -> None:
        """Have the timers looked at no later than `deadline`."""

    def send_message(self, message: bytes, *, text: bool = True) -> None:
        """Queue a message of its own, before the next events; dropped without a word once the connection is closing."""
        if self.ended is None:
            self._state.queue_message(message, text)
        if self._hub.broadcaster.attended is not self:  # otherwise it leaves anyhow, once this message is handled
            self._hub.broadcaster.mark(self)

    async def send(self, message: bytes, *, text: bool = True) -> None:
        """
        Send a message and wait while too many bytes wait already.

        Raises:
            ConnectionClosed: If the connection is over.
        """
        self._check_ended()
        self._state.queue_message(message, text)
        self.flush()
        if self.crowded:
            await self.wait_room()

    @property
    def over(self) -> bool:
        """Whether it has ended, or its closing has begun."""
        return self.ended is not None

    @property
    def replying(self) -> bool:
        """Whether messages of its own wait, which leave before any event."""
        return self._state.outbox_bytes > 0

    @property
    def crowded(self) -> bool:
        """Whether more than `Limits.reply_bytes` of own messages wait to leave."""
        return self._state.outbox_bytes + len(self._unsent) > self.limits.reply_bytes

    async def wait_room(self) -> None:
        """
        Wait until less than `Limits.reply_bytes` of own messages wait to leave; a checkpoint only if it must wait.
        """
        while self.crowded:
            self._check_ended()
            if not self.blocked:
                self.flush()  # what is only queued must not be waited for
                continue
            if self._progress is None:
                self._progress = trio.Event()
            await self._progress.wait()

    def flush(self) -> None:
        """Write what is due until the transport takes no more."""
        if self.blocked or self._gone:
            self._hub.broadcaster.unmark(self)
        elif self._transport.direct and not self.cursors and (self._backlog is None or not self.lagging):
            self._flush_directly()
        else:
            self._hub.broadcaster.unmark(self)
            self._flush_all()

    def _flush_directly(self) -> None:
        """As `_flush_all`, where there are no events, and nothing stands between here and the socket."""
        assert self.slot is not None, "a transport that is direct has one"
        try:
            rest = self._state.send_outgoing(self.slot, self.ended is not None)
        except OSError as error:
            self._lose(f"the socket is gone: {error.strerror}")
            return
        if rest:
            self._unsent = rest
            self.fall_behind()
            self._watch_room()

    def _flush_all(self) -> None:
        try:
            while data := self._next_write():
                if not self._write(data):
                    self.fall_behind()
                    self._watch_room()
                    return
                if self._transport.sending:
                    self._watch_room()
                if len(data) < self.limits.write_bytes:
                    return  # that was all: a second look would cost every delivery as much as the first
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError) as error:
            self._lose(str(error))

    def cut_short(self, rest: bytes | memoryview, error: int) -> None:
        """The fan-out could not write all that it had for this connection: what is left leaves before all else."""
        if self._gone:
            return
        if error:
            self._lose(f"the socket is gone: {os.strerror(error)}")
            return
        self._unsent = rest
        self.fall_behind()
        self._watch_room()

    def _write(self, data: bytes | memoryview) -> bool:
        """Hand over bytes; returns whether more may follow at once."""
        sent = self._transport.send_nowait(data)
        self._state.traffic.bytes_out += sent
        self._unsent = memoryview(data)[sent:] if sent < len(data) else b""
        return not self._unsent and not self._transport.full

    def _next_write(self) -> bytes:
        state = self._state
        # Nothing may follow a close frame, so it waits until all that came before it was answered.
        own = state.take_outgoing(close=self.ended is not None)
        if state.close_sent or not (self.cursors or self.lagging):
            return own
        events = self.take(self.limits.write_bytes)
        return join([own, events]) if own and events else own or events

    def _watch_room(self) -> None:
        if not self._watching_room:
            self._watching_room = True
            self.timers.blocked_since = trio.current_time()
            self._arm(self.timers.blocked_since + self.limits.slow_consumer_seconds)
            self._transport.watch_room(True)

    def sendable(self) -> None:
        """The transport takes more: write what waits, and watch on only while something does."""
        if self._gone:
            self._transport.watch_room(False)
            return
        self.timers.blocked_since = trio.current_time()
        try:
            if self._write_waiting():
                self._transport.watch_room(False)
                self._watching_room = False
                self.timers.blocked_since = math.inf
                self.catch_up()
                self._made_progress()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._lose(str(error))

    def _write_waiting(self) -> bool:
        """Write until the transport refuses; returns whether nothing waits any more."""
        while not self._transport.full and (data := self._unsent or self._next_write()):
            if not self._write(data):
                self._made_progress()
                return False
        if not self._unsent and not self._transport.full:
            self.catch_up()  # what is still on its way leaves room: the next events need not wait in the backlog
        return not self._unsent and not self._transport.sending

    def _made_progress(self) -> None:
        self._hub.made_room()
        if self._progress is not None:
            self._progress.set()
            self._progress = None

    def _lose(self, reason: str) -> None:
        """It is gone: nothing can be sent, nothing is owed any more, and whoever waits learns of it."""
        self._gone = True
        self._unsent = b""
        self._state.abandon()
        self.ended = self.ended or ConnectionClosed(CloseCode.ABNORMAL, reason)
        self._transport.watch_room(False)
        self._watching_room = False
        self.timers.blocked_since = math.inf
        self._hub.detach(self)
        self._made_progress()
        self._transport.wake()

    def _check_ended(self) -> None:
        if self.ended is not None:
            raise self.ended
