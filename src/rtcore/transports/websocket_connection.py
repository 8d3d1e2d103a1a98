"""
A WebSocket connection after its handshake: the protocol's state joined to a transport, the hub and the clock.

What leaves, leaves in this order: the rest of a write that the system cut short, control frames, own messages, then the
views' slices or the backlog. So no frame is ever torn, and a reply comes before the events that follow it. Sending is
synchronous as long as the transport takes everything; the first refusal starts a drain task, which lives only until
nothing waits any more. An idle connection is one parked task.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from rtcore._fast import join
from rtcore.errors import ConnectionClosed, ErrorCode, RequestError
from rtcore.hub.encoding import FrameEncoding
from rtcore.hub.hub import Hub
from rtcore.hub.subscriber import Subscriber
from rtcore.hub.timeouts import Timer
from rtcore.protocol.connection_state import (
    CloseReceived,
    ConnectionState,
    MessageReceived,
    PingReceived,
    ProtocolFailed,
)
from rtcore.protocol.envelope import encode_error
from rtcore.transports.connection_timers import ConnectionTimers, Due
from rtcore.transports.traffic import Traffic
from rtcore.transports.transport import Transport
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode

__all__ = ["WebSocketConnection"]

logger = logging.getLogger("rtcore.connection")

_ENDINGS: Final[dict[Due, tuple[CloseCode, ErrorCode | None, str]]] = {
    Due.AUTHENTICATION_TIMEOUT: (
        CloseCode.AUTHENTICATION_TIMEOUT,
        ErrorCode.AUTHENTICATION_REQUIRED,
        "no valid auth message in time",
    ),
    Due.TOKEN_EXPIRED: (CloseCode.TOKEN_EXPIRED, ErrorCode.TOKEN_EXPIRED, "the token has expired"),
    Due.IDLE_TIMEOUT: (CloseCode.IDLE_TIMEOUT, None, "no message for too long"),
    Due.PING_TIMEOUT: (CloseCode.PING_TIMEOUT, None, "a ping stayed unanswered"),
    Due.SLOW_CONSUMER: (CloseCode.SLOW_CONSUMER, None, "slow consumer: nothing was taken for too long"),
}
_CUT_SECONDS: Final = 1.0  # a connection that is cancelled still gets its close frame out, if that takes no longer


class WebSocketConnection(Subscriber):
    """
    Args:
        hub: Where it may subscribe.
        transport: Carries the bytes; owned from now on.
        state: The protocol's state, after the handshake.
        encoding: Wire form of shared frames that this peer understands.
        connection_id: Unique name for logs and statistics.
        limits: Bounds of this connection.
        traffic: Where its bytes and messages are counted.
    """

    def __init__(
        self,
        hub: Hub,
        transport: Transport,
        state: ConnectionState,
        encoding: FrameEncoding,
        *,
        connection_id: str,
        limits: Limits,
        traffic: Traffic,
    ) -> None:
        super().__init__(
            encoding, hub.counters, lag_events=limits.lag_events, lag_bytes=limits.lag_bytes, clock=hub.clock
        )
        now = trio.current_time()
        self.connection_id = connection_id
        self.limits = limits
        self.timers = ConnectionTimers(limits, now, now)
        self.ended: ConnectionClosed | None = None
        """How it ended, once it has; the socket may still be on its way out."""
        self.on_ping: Callable[[], None] | None = None
        """Told of each ping, so that a flood of them can be counted like one of messages."""
        self._hub = hub
        self._transport = transport
        self._state = state
        self._traffic = traffic
        self._outbox: list[bytes] = []
        self._outbox_bytes = 0
        self._unsent: bytes | memoryview = b""
        self._progress: trio.Event | None = None
        self._nursery: trio.Nursery | None = None
        self._drain_scope: trio.CancelScope | None = None
        self._timer: Timer | None = None
        self._left_receive = now
        self._reading = False
        self._gone = False

    @property
    def subscriber(self) -> Subscriber:
        """Itself: what a session gives cursors to."""
        return self

    # Sending

    def send_message(self, message: bytes, *, text: bool = True) -> None:
        """Queue a message of its own, before the next events; dropped without a word once the connection is closing."""
        if self._state.close_sent or self.ended is not None:
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

    async def wait_room(self) -> None:
        """
        Wait until less than `Limits.reply_bytes` of own messages wait to leave; a checkpoint only if it must wait.
        """
        while self._outbox_bytes + len(self._unsent) > self.limits.reply_bytes:
            self._check_ended()
            if self._progress is None:
                self._progress = trio.Event()
            await self._progress.wait()

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; idempotent. The peer has `Limits.close_seconds` to answer, then it is cut."""
        if self._state.close_sent or self._gone:
            return
        self.flush()
        self._state.start_close(code, reason)
        self.ended = self.ended or ConnectionClosed(code, reason)
        self._begin_closing()

    def overflowed(self) -> None:
        """Close a subscriber whose channel would rather lose it than an event."""
        self.counters.disconnected_slow += 1
        self.close(CloseCode.SLOW_CONSUMER, "slow consumer: no room left")

    def _begin_closing(self) -> None:
        self._hub.detach(self)
        self.timers.close_by = trio.current_time() + self.limits.close_seconds
        self._arm(self.timers.close_by)
        self.flush()

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
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._lost(str(error))

    def _write(self, data: bytes | memoryview) -> bool:
        """Hand over bytes; returns whether more may follow at once."""
        sent = self._transport.send_nowait(data)
        self._traffic.bytes_out += sent
        self._unsent = memoryview(data)[sent:] if sent < len(data) else b""
        return not self._unsent and not self._transport.sending

    def _next_write(self) -> bytes:
        state = self._state
        if not self._outbox and not state.control_pending:
            return b"" if state.close_sent else self.take(self.limits.write_bytes)
        own, self._outbox, self._outbox_bytes = self._outbox, [], 0
        if state.close_sent:
            return join([*own, state.take_control()])  # nothing may follow a close frame, so it comes last
        return join([state.take_control(), *own, self.take(self.limits.write_bytes)])

    def _start_drain(self) -> None:
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
        while not self._transport.sending and (data := self._unsent or self._next_write()):
            if not self._write(data):
                self._made_progress()
                return False
        return not self._transport.sending

    def _made_progress(self) -> None:
        self._hub.made_room()
        if self._progress is not None:
            self._progress.set()
            self._progress = None

    # Receiving

    async def receive(self) -> list[MessageReceived]:
        """
        The next messages, one or more; pings are answered on the way. A checkpoint.

        Cancelled, it has taken nothing. One task may receive at a time.

        Raises:
            ConnectionClosed: If the connection is over; messages that came before that are given out first.
        """
        self.timers.away(trio.current_time() - self._left_receive)
        self.flush()
        self._reading = True
        try:
            while True:
                self._check_ended()
                messages = self._received(await self._transport.receive_some())
                if messages:
                    return messages
                self.flush()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._lost(str(error))
            raise self.ended or ConnectionClosed(CloseCode.ABNORMAL, str(error)) from error
        finally:
            self._reading = False
            self._left_receive = trio.current_time()

    def _received(self, data: bytes) -> list[MessageReceived]:
        if not data:
            self._state.receive_eof()
            self._lost("end of stream without a close frame")
            return []
        self._traffic.bytes_in += len(data)
        messages: list[MessageReceived] = []
        closing = self._state.close_sent
        for event in self._state.receive_data(data):
            if isinstance(event, MessageReceived):
                messages.append(event)
            elif isinstance(event, PingReceived):
                self._traffic.pings_in += 1
                if self.on_ping is not None:
                    self.on_ping()
            elif isinstance(event, CloseReceived | ProtocolFailed):
                self._end(event)
        self._traffic.messages_in += len(messages)
        self.timers.received(trio.current_time(), message=bool(messages))
        return [] if closing else messages

    def _end(self, event: CloseReceived | ProtocolFailed) -> None:
        if isinstance(event, ProtocolFailed):
            self._traffic.errors += 1
            logger.info("connection %s: closing with %d: %s", self.connection_id, event.code, event.reason)
        self.ended = self.ended or ConnectionClosed(event.code, event.reason)
        self._begin_closing()

    def _lost(self, reason: str) -> None:
        self._gone = True
        self._unsent = b""
        self._outbox, self._outbox_bytes = [], 0
        self.ended = self.ended or ConnectionClosed(CloseCode.ABNORMAL, reason)
        self._made_progress()

    def _check_ended(self) -> None:
        if self.ended is not None:
            raise self.ended

    # Living and ending

    async def run(self, handler: Callable[[WebSocketConnection], Awaitable[None]]) -> None:
        """
        Run a handler over this connection; when it returns, the connection is closed.

        An exception of the handler closes with 1011 and stays here: one failing connection must not stop its siblings.
        Cancelled, the close frame still leaves, if that takes no longer than a second.
        """
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._timer = self._hub.timeouts.call_at(self.timers.next(), self._on_timer)
            patience = _CUT_SECONDS
            try:
                await handler(self)
                patience = self.limits.close_seconds
            except ConnectionClosed:
                patience = self.limits.close_seconds
            except Exception:
                self._traffic.errors += 1
                logger.exception("connection %s: its handler failed", self.connection_id)
                self.close(CloseCode.INTERNAL_ERROR, "internal error")
                patience = self.limits.close_seconds
            finally:
                await self._finish(patience)
                nursery.cancel_scope.cancel()

    async def _finish(self, patience: float) -> None:
        self.close(CloseCode.NORMAL if patience > _CUT_SECONDS else CloseCode.GOING_AWAY)
        self._hub.detach(self)
        with trio.move_on_after(patience, shield=True):
            await self._leave_politely()
        self._gone = True
        if self._drain_scope is not None:
            self._drain_scope.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()
        with trio.move_on_after(_CUT_SECONDS, shield=True):
            await self._transport.aclose()

    async def _leave_politely(self) -> None:
        """Let the close frame leave and wait for the peer's end; what else comes is read and thrown away."""
        try:
            while self.blocked and not self._gone:
                if self._progress is None:
                    self._progress = trio.Event()
                await self._progress.wait()
            if self._state.closed and not self._gone:
                await self._transport.send_eof()
            while not self._gone:
                # A socket closed with bytes unread takes back what it sent last, the close frame included.
                data = await self._transport.receive_some()
                if not data:
                    return
                self._state.receive_data(data)
                if self._state.closed:
                    await self._transport.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # gone already: nothing is left to be said

    def _arm(self, deadline: float) -> None:
        timer = self._timer
        if timer is not None and timer.callback is not None and deadline < timer.deadline:
            timer.cancel()
            self._timer = self._hub.timeouts.call_at(deadline, self._on_timer)

    def _on_timer(self) -> float | None:
        due = self.timers.due(trio.current_time())
        if due is Due.CLOSE_TIMEOUT:
            self._gone = True
            if self._nursery is not None:
                self._nursery.cancel_scope.cancel()
            return None
        if due is Due.PING:
            self._state.queue_ping()
            self.timers.pinged = trio.current_time()
            self.flush()
        elif due is not Due.NOTHING:
            self._time_out(due)
        return self.timers.next()

    def _time_out(self, due: Due) -> None:
        if due is Due.SLOW_CONSUMER:
            self.counters.disconnected_slow += 1
        code, error_code, reason = _ENDINGS[due]
        logger.info("connection %s: closing with %d: %s", self.connection_id, code, reason)
        if error_code is not None:
            self.send_message(encode_error(RequestError(error_code, reason), timestamp=self._clock()))
        self.close(code, reason)
