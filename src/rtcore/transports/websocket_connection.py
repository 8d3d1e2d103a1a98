"""
A WebSocket connection after its handshake: the protocol's state joined to a transport, the hub and the clock.

An idle connection is one parked task and one timer. The sending half is `websocket_sender`; here is what comes in, what
is to happen by when, and how it ends.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

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
from rtcore.transports.traffic import Traffic
from rtcore.transports.transport import Transport
from rtcore.transports.websocket_sender import WebSocketSender
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode

__all__ = ["Lifetime", "WebSocketConnection"]

logger = logging.getLogger("rtcore.connection")

_CUT_SECONDS: Final = 1.0  # a connection that is cancelled still gets its close frame out, if that takes no longer


class Lifetime(Protocol):
    """Who wants to know of connections that come and go."""

    def opened(self, connection: WebSocketConnection) -> None:
        """It is there; what this raises closes it with 1011."""
        ...

    def closed(self, connection: WebSocketConnection) -> None:
        """It is over; called once for each that was `opened` without error."""
        ...


class _Unobserved:
    """Nobody wants to know."""

    def opened(self, connection: WebSocketConnection) -> None:
        return None

    def closed(self, connection: WebSocketConnection) -> None:
        return None


_UNOBSERVED: Final = _Unobserved()


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
        "_last_word",
        "_left_receive",
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
        self._last_word: CloseReceived | ProtocolFailed | None = None
        self._timer: Timer | None = None
        self._left_receive = trio.current_time()

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

        Cancelled, it has taken nothing. One task may receive at a time.

        Raises:
            ConnectionClosed: If the connection is over; messages that came before that are given out first.
        """
        self._was_away()
        self.flush()
        self._reading = True
        try:
            while True:
                self._check_last_word()
                early, self._early = self._early, b""
                messages = self._received(early or await self._transport.receive_some())
                if messages:
                    return messages
                self.flush()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._lost(str(error))
            raise self.ended or ConnectionClosed(CloseCode.ABNORMAL, str(error)) from error
        finally:
            self._reading = False
            self._left_receive = trio.current_time()

    def _was_away(self) -> None:
        now = trio.current_time()
        self.timers.away(now - self._left_receive)
        self._left_receive = now

    def _received(self, data: bytes) -> list[MessageReceived]:
        if not data:
            self._state.receive_eof()
            self.ended = self.ended or ConnectionClosed(CloseCode.ABNORMAL, "end of stream without a close frame")
            self._begin_closing()  # it may still read: what waits for it leaves
            self._made_progress()
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
                self._last_word = event
        self._traffic.messages_in += len(messages)
        self.timers.received(trio.current_time(), message=bool(messages))
        return [] if closing else messages

    def _check_last_word(self) -> None:
        """The peer's last word takes effect once the messages before it were handled, and answered."""
        if self._last_word is not None:
            event, self._last_word = self._last_word, None
            if isinstance(event, ProtocolFailed):
                self._traffic.errors += 1
                logger.info("connection %s: closing with %d: %s", self._connection_id, event.code, event.reason)
            self.ended = self.ended or ConnectionClosed(event.code, event.reason)
            self._begin_closing()
        self._check_ended()

    # Living and ending

    async def run(
        self, handler: Callable[[WebSocketConnection], Awaitable[None]], lifetime: Lifetime = _UNOBSERVED
    ) -> None:
        """
        Run a handler over this connection; when it returns, the connection is closed.

        Args:
            handler: Receives and sends.
            lifetime: Told when the connection is there, and when it is over: once each.

        An exception of the handler closes with 1011 and stays here: one failing connection must not stop its siblings.
        Cancelled, the close frame still leaves, if that takes no longer than a second.
        """
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._timer = self._hub.timeouts.call_at(self.timers.next(), self._on_timer)
            if self.blocked:  # closed before it ran: what waits could not be sent without a nursery
                self._start_drain()
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
                nursery.cancel_scope.cancel()

    def _patience(self) -> float:
        return _CUT_SECONDS if trio.current_effective_deadline() == -math.inf else self.limits.close_seconds

    async def _finish(self, patience: float) -> None:
        self.close(CloseCode.NORMAL if patience > _CUT_SECONDS else CloseCode.GOING_AWAY)
        self._hub.detach(self)
        with trio.move_on_after(patience, shield=True) as scope:
            await self._leave_politely(scope)
        self._gone = True
        if self._drain_scope is not None:
            self._drain_scope.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()
        with trio.move_on_after(_CUT_SECONDS, shield=True):
            await self._transport.aclose()

    async def _leave_politely(self, scope: trio.CancelScope) -> None:
        """Let the close frame leave and wait for the peer's end; what else comes is read and thrown away."""
        try:
            while (self.blocked or self._drain_scope is not None) and not self._gone:
                if self._progress is None:
                    self._progress = trio.Event()
                await self._progress.wait()
            while not self._gone:
                if self._state.closed and not await self._transport.send_eof():
                    if self._state.close_received:
                        return  # both have said everything
                    scope.deadline = min(scope.deadline, trio.current_time() + _CUT_SECONDS)
                # A socket closed with bytes unread takes back what it sent last, the close frame included.
                data = await self._transport.receive_some()
                if not data:
                    return
                self._state.receive_data(data)
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
        code, error_code, reason = ENDINGS[due]
        logger.info("connection %s: closing with %d: %s", self._connection_id, code, reason)
        if error_code is not None:
            self.send_message(encode_error(RequestError(error_code, reason), timestamp=self._clock()))
        self.close(code, reason)
