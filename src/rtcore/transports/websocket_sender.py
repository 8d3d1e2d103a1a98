"""
The sending half of a WebSocket connection.

What leaves, leaves in this order: the rest of a write that the system cut short, control frames, own messages, then the
views' slices or the backlog. So no frame is ever torn, and a reply comes before the events that follow it. Sending is
synchronous as long as the transport takes everything; the first refusal starts a drain task, which lives only until
nothing waits any more.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import trio

from rtcore._fast import join
from rtcore.errors import ConnectionClosed
from rtcore.hub.encoding import FrameEncoding
from rtcore.hub.hub import Hub
from rtcore.hub.subscriber import Subscriber
from rtcore.protocol.connection_state import ConnectionState
from rtcore.transports.connection_timers import ConnectionTimers
from rtcore.transports.traffic import Traffic
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
        traffic: Where its bytes and messages are counted.
        opening: Bytes that leave before the first frame: the answer to the handshake.
    """

    __slots__ = (
        "_drain_scope",
        "_gone",
        "_hub",
        "_nursery",
        "_outbox",
        "_outbox_bytes",
        "_progress",
        "_reading",
        "_state",
        "_traffic",
        "_transport",
        "_unsent",
        "ended",
        "limits",
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
        traffic: Traffic,
        opening: bytes = b"",
    ) -> None:
        super().__init__(
            encoding, hub.counters, lag_events=limits.lag_events, lag_bytes=limits.lag_bytes, clock=hub.clock
        )
        now = trio.current_time()
        self.limits = limits
        self.timers = ConnectionTimers(limits, now, now)
        self.ended: ConnectionClosed | None = None
        """How it ended, once it has; the socket may still be on its way out."""
        self._hub = hub
        self._transport = transport
        self._state = state
        self._traffic = traffic
        self._outbox: list[bytes] = [opening] if opening else []
        self._outbox_bytes = len(opening)
        self._unsent: bytes | memoryview = b""
        self._progress: trio.Event | None = None
        self._nursery: trio.Nursery | None = None
        self._drain_scope: trio.CancelScope | None = None
        self._reading = False
        self._gone = False

    @abstractmethod
    def _arm(self, deadline: float) -> None:
        """Have the timers looked at no later than `deadline`."""

    def send_message(self, message: bytes, *, text: bool = True) -> None:
        """Queue a message of its own, before the next events; dropped without a word once the connection is closing."""
        if self.ended is not None or self._state.close_taken:
            return
        frame = self._state.encode_message(message, text)
        self._traffic.messages_out += 1
        self._outbox.append(frame)
        self._outbox_bytes += len(frame)
        if self._reading:  # otherwise whoever is handling a message flushes after it
            self._hub.broadcaster.mark(self)

    async def send(self, message: bytes, *, text: bool = True) -> None:
        """
        Send a message and wait while too many bytes wait already.

        Raises:
            ConnectionClosed: If the connection is over.
        """
        self._check_ended()
        self.send_message(message, text=text)
        self.flush()
        await self.wait_room()

    @property
    def over(self) -> bool:
        """Whether it has ended, or its closing has begun."""
        return self.ended is not None

    @property
    def crowded(self) -> bool:
        """Whether more than `Limits.reply_bytes` of own messages wait to leave."""
        return self._outbox_bytes + len(self._unsent) > self.limits.reply_bytes

    async def wait_room(self) -> None:
        """
        Wait until less than `Limits.reply_bytes` of own messages wait to leave; a checkpoint only if it must wait.
        """
        while self.crowded:
            self._check_ended()
            if self._progress is None:
                self._progress = trio.Event()
            await self._progress.wait()

    def flush(self) -> None:
        """Write what is due until the transport takes no more."""
        if self.blocked or self._gone:
            return
        try:
            while data := self._next_write():
                if not self._write(data):
                    self.fall_behind()
                    self._start_drain()
                    return
                if self._transport.sending:
                    self._start_drain()
                if len(data) < self.limits.write_bytes:
                    return  # that was all: a second look would cost every delivery as much as the first
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._lost(str(error))

    def _write(self, data: bytes | memoryview) -> bool:
        """Hand over bytes; returns whether more may follow at once."""
        sent = self._transport.send_nowait(data)
        self._traffic.bytes_out += sent
        self._unsent = memoryview(data)[sent:] if sent < len(data) else b""
        return not self._unsent and not self._transport.full

    def _next_write(self) -> bytes:
        state = self._state
        if not self._outbox and not state.control_pending:
            return b"" if state.close_sent else self.take(self.limits.write_bytes)
        own, self._outbox, self._outbox_bytes = self._outbox, [], 0
        if not state.close_sent:
            return join([state.take_control(), *own, self.take(self.limits.write_bytes)])
        # Nothing may follow a close frame, so it comes last: after the answers to all before it.
        close = state.take_control() if self.ended is not None else b""
        return join([state.take_control(close=False), *own, close])

    def _start_drain(self) -> None:
        if self._drain_scope is None:
            self.timers.blocked_since = trio.current_time()
            self._arm(self.timers.blocked_since + self.limits.slow_consumer_seconds)
        if self._nursery is not None and self._drain_scope is None:
            # Shielded, so that a close frame still leaves when the connection is cancelled; ends with the last byte, or
            # when `_finish` has no more patience.
            self._drain_scope = trio.CancelScope(shield=True)
            self._nursery.start_soon(self._drain, self._drain_scope)

    async def _drain(self, scope: trio.CancelScope) -> None:
        """Write what waits, whenever the transport takes more, until nothing does."""
        try:
            with scope:
                while not self._gone:
                    await self._transport.wait_sendable()
                    self.timers.blocked_since = trio.current_time()
                    if self._write_waiting():
                        break
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._lost(str(error))
        finally:
            self._drain_scope = None
            self.timers.blocked_since = math.inf
            self.catch_up()
            self._made_progress()

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

    def _lost(self, reason: str) -> None:
        self._gone = True
        self._unsent = b""
        self._outbox, self._outbox_bytes = [], 0
        self.ended = self.ended or ConnectionClosed(CloseCode.ABNORMAL, reason)
        self._made_progress()

    def _check_ended(self) -> None:
        if self.ended is not None:
            raise self.ended
