"""
A WebSocket connection after its handshake: the protocol's state joined to a transport, the hub and the clock.

An idle connection is one parked task and one timer. The sending half is `websocket_sender`; here is what comes in, what
is to happen by when, and how it ends.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from rtcore.errors import ConnectionClosed, RequestError
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
from rtcore.transports.connection_timers import ENDINGS, Due
from rtcore.transports.lifetime import UNOBSERVED, Lifetime
from rtcore.transports.traffic import Traffic
from rtcore.transports.transport import Transport
from rtcore.transports.websocket_sender import WebSocketSender
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode

__all__ = ["WebSocketConnection"]

logger = logging.getLogger("rtcore.connection")

_CUT_SECONDS: Final = 1.0  # a connection that is cancelled still gets its close frame out, if that takes no longer


_PORTION_BYTES: Final = 64 * 1024
"""Messages that `receive` returns at once, in bytes inflated: as much as one read brings uncompressed."""
_MESSAGE_BYTES: Final = 64
"""What a message counts for beside its own bytes, since handling it costs something too."""


class WebSocketConnection(WebSocketSender):
    """
    Args:
        hub: Where it may subscribe.
        transport: Carries the bytes; owned from now on.
        state: The protocol's state, after the handshake.
        encoding: Wire form of shared frames that this peer understands.
        connection_id: Unique name for logs and statistics.
        limits: Bounds of this connection.
        traffic: Where its bytes and messages are counted.
        opening: Bytes that leave before the first frame: the answer to the handshake.
        early: Bytes that came after the handshake's request.
    """

    __slots__ = (
        "_connection_id",
        "_early",
        "_end_of_stream",
        "_finishing",
        "_last_word",
        "_left_receive",
        "_messages",
        "_reading",
        "_scope",
        "_timer",
        "address",
        "identity",
        "on_ping",
        "path",
    )

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
        opening: bytes = b"",
        early: bytes = b"",
    ) -> None:
        super().__init__(hub, transport, state, encoding, limits=limits, traffic=traffic, opening=opening)
        self._connection_id = connection_id
        self.address = ""
        """Whom it counts for: the peer, or the client that a trusted proxy names."""
        self.path = ""
        """The path that it asked for."""
        self.identity: Identity | None = None
        """Who is at the other end, once that is known."""
        self.on_ping: Callable[[], None] | None = None
        """Told of each ping, so that a flood of them can be counted like one of messages."""
        self._early = early
        self._messages: list[MessageReceived] = []
        self._last_word: CloseReceived | ProtocolFailed | None = None
        self._end_of_stream = False
        self._reading = False
        self._finishing = False
        self._scope = trio.CancelScope()
        self._timer: Timer | None = None
        self._left_receive = trio.current_time()
        if transport.slot is not None:
            transport.slot.owner = self  # what comes before its task has begun is its already

    @property
    def connection_id(self) -> str:
        """Unique name for logs and statistics."""
        return self._connection_id

    @property
    def subscriber(self) -> Subscriber:
        """Itself: what a session gives cursors to."""
        return self

    def expect_authentication(self) -> None:
        """From now on `Limits.authentication_seconds` run, until `admit_until` is called."""
        self.timers.authenticate_by = trio.current_time() + self.limits.authentication_seconds
        self._arm(self.timers.authenticate_by)

    def admit(self, identity: Identity, deadline: float) -> None:
        """It has authenticated, until a time on Trio's clock; infinity for ever."""
        self.identity = identity
        self.timers.authenticate_by = math.inf
        self.timers.expires = deadline
        self._arm(deadline)

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

    # Receiving

    async def receive(self) -> list[MessageReceived]:
        """
        The next messages, one or more; pings are answered on the way. A checkpoint.

        What came in one read is given out in portions of some 64 KiB of inflated messages, with a checkpoint between:
        sixty messages of a megabyte fit into one segment.

        Cancelled, it has taken nothing. One task may receive at a time.

        Raises:
            ConnectionClosed: If the connection is over; messages that came before that are given out first.
        """
        self._was_away()
        self.flush()
        self._reading = True
        try:
            if self._state.pending or self._last_word is not None:
                await trio.lowlevel.checkpoint()
                self._take_events()
            while not self._messages:
                self._check_last_word()
                self._transport.watch_input(True)
                await self._transport.wait_input()
            messages, self._messages = self._messages, []
            return messages
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._lose(str(error))
            raise self.ended or ConnectionClosed(CloseCode.ABNORMAL, str(error)) from error
        finally:
            self._reading = False
            self._left_receive = trio.current_time()

    def _was_away(self) -> None:
        now = trio.current_time()
        self.timers.away(now - self._left_receive)
        self._left_receive = now

    def _flushes_soon(self) -> bool:
        return not self._reading

    def data_received(self, data: bytes) -> None:
        """The next bytes came: pings and closes are dealt with here, and messages wake the handler's task."""
        self._traffic.bytes_in += len(data)
        self._state.feed(data)
        if self._finishing:
            self._discard_events()
        elif not self._reading:
            self._transport.watch_input(False)  # one read ahead of the handler is enough: the rest waits at the peer
        else:
            self._take_events()
            if self._messages or self._last_word is not None:
                self._transport.wake()
                if self._state.pending:
                    self._transport.watch_input(False)
            elif self._state.control_pending:
                self.flush()

    def _take_events(self) -> None:
        """Read what was fed, until some messages are there to be handled."""
        left = _PORTION_BYTES
        count = 0
        while left > 0 and (event := self._state.next_event()) is not None:
            if isinstance(event, MessageReceived):
                left -= len(event.data) + _MESSAGE_BYTES
                if not self._state.close_sent:
                    self._messages.append(event)
                count += 1
            elif isinstance(event, PingReceived):
                self._traffic.pings_in += 1
                if self.on_ping is not None:
                    self.on_ping()
            elif isinstance(event, CloseReceived | ProtocolFailed):
                self._last_word = event
        self._traffic.messages_in += count
        self.timers.received(trio.current_time(), message=count > 0)

    def _discard_events(self) -> None:
        """After the handler's end only the peer's own end is of interest."""
        while self._state.next_event() is not None:
            pass
        self._transport.wake()

    def eof_received(self) -> None:
        """The peer will send nothing more; what it sent before is handled first, and answered."""
        self._end_of_stream = True
        if self._finishing:
            self._state.receive_eof()
        self._transport.wake()

    def lost(self, error: OSError) -> None:
        """The transport is broken."""
        self._lose(f"the socket is gone: {error.strerror or error}")

    def failed(self, error: Exception) -> None:
        """What came could not be dealt with, through a fault of ours: close, and say so in the log alone."""
        self._traffic.errors += 1
        logger.error("connection %s: reading failed", self._connection_id, exc_info=error)
        self.close(CloseCode.INTERNAL_ERROR, "internal error")

    def _check_last_word(self) -> None:
        """The peer's last word takes effect once the messages before it were handled, and answered."""
        if self._last_word is not None:
            event, self._last_word = self._last_word, None
            if isinstance(event, ProtocolFailed):
                self._traffic.errors += 1
                logger.info("connection %s: closing with %d: %s", self._connection_id, event.code, event.reason)
            self.ended = self.ended or ConnectionClosed(event.code, event.reason)
            self._begin_closing()
        if self._end_of_stream:
            self._state.receive_eof()
            self.ended = self.ended or ConnectionClosed(CloseCode.ABNORMAL, "end of stream without a close frame")
            self._begin_closing()  # it may still read: what waits for it leaves
            self._made_progress()
        self._check_ended()

    # Living and ending

    async def run(
        self, handler: Callable[[WebSocketConnection], Awaitable[None]], lifetime: Lifetime = UNOBSERVED
    ) -> None:
        """
        Run a handler over this connection; when it returns, the connection is closed.

        Args:
            handler: Receives and sends.
            lifetime: Told when the connection is there, and when it is over: once each.

        An exception of the handler closes with 1011 and stays here: one failing connection must not stop its siblings.
        Cancelled, the close frame still leaves, if that takes no longer than a second.
        """
        with trio.CancelScope() as self._scope:
            self._timer = self._hub.timeouts.call_at(self.timers.next(), self._on_timer)
            async with self._transport.serve(self):
                self._state.feed(self._early)
                self._early = b""
                await self._run_handler(handler, lifetime)

    async def _run_handler(
        self, handler: Callable[[WebSocketConnection], Awaitable[None]], lifetime: Lifetime
    ) -> None:
        patience = _CUT_SECONDS
        try:
            lifetime.opened(self)
            if self._outbox:  # the answer to the handshake leaves within this tick, whatever the handler waits for
                self._hub.broadcaster.mark(self)
            try:
                await handler(self)
            finally:
                lifetime.closed(self)
            patience = self.limits.close_seconds
        # Starred: out of a handler's own nursery they come in a group, with its siblings' cancellation beside them.
        except* ConnectionClosed:
            patience = self._patience()
        except* Exception:
            self._traffic.errors += 1
            logger.exception("connection %s: its handler failed", self._connection_id)
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
            patience = self._patience()
        finally:
            await self._finish(patience)

    def _patience(self) -> float:
        return _CUT_SECONDS if trio.current_effective_deadline() == -math.inf else self.limits.close_seconds

    async def _finish(self, patience: float) -> None:
        self.close(CloseCode.NORMAL if patience > _CUT_SECONDS else CloseCode.GOING_AWAY)
        self._hub.detach(self)
        with trio.move_on_after(patience, shield=True) as scope:
            await self._leave_politely(scope)
        self._gone = True
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()
        with trio.move_on_after(_CUT_SECONDS, shield=True):
            await self._transport.aclose()

    async def _leave_politely(self, scope: trio.CancelScope) -> None:
        """Let the close frame leave and wait for the peer's end; what else comes is read and thrown away."""
        self._finishing = True
        self._messages.clear()
        self._discard_events()
        if self._end_of_stream:
            self._state.receive_eof()
        try:
            while (self.blocked or self._watching_room) and not self._gone:
                if self._progress is None:
                    self._progress = trio.Event()
                await self._progress.wait()
            while not self._gone:
                if self._state.closed and not await self._transport.send_eof():
                    if self._state.close_received:
                        return  # both have said everything
                    scope.deadline = min(scope.deadline, trio.current_time() + _CUT_SECONDS)
                if self._end_of_stream or self._gone:
                    return
                # A socket closed with bytes unread takes back what it sent last, the close frame included.
                self._transport.watch_input(True)
                await self._transport.wait_input()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # gone already: nothing is left to be said

    def _arm(self, deadline: float) -> None:
        timer = self._timer
        if timer is not None and timer.callback is not None and deadline < timer.deadline:
            timer.cancel()
            self._timer = self._hub.timeouts.call_at(deadline, self._on_timer)

    def _on_timer(self) -> float | None:
        if not self._reading:  # a pong could not be seen, nor a message
            self._was_away()
        due = self.timers.due(trio.current_time())
        if due is Due.CLOSE_TIMEOUT:
            self._lose("no answer to the close frame in time")
            self._scope.cancel()
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
        code, error_code, reason = ENDINGS[due]
        logger.info("connection %s: closing with %d: %s", self._connection_id, code, reason)
        if error_code is not None:
            self.send_message(encode_error(RequestError(error_code, reason), timestamp=self._clock()))
        self.close(code, reason)
