"""
A WebSocket connection after its handshake: the protocol's state joined to a transport, the hub and the clock.

An idle connection is one parked task and one timer. The sending half is `websocket_sender`; here is what comes in, what
is to happen by when, and how it ends.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext
from typing import Final

import trio
from attrs import asdict

from rtcore.errors import ConnectionClosed, ErrorCode, RequestError
from rtcore.hub.encoding import FrameEncoding
from rtcore.hub.hub import Hub
from rtcore.hub.late_answer import LateAnswer
from rtcore.hub.subscriber import Subscriber
from rtcore.hub.timeouts import Timer
from rtcore.protocol.connection_state import ConnectionState
from rtcore.protocol.envelope import encode_error
from rtcore.transports.connection_timers import Due
from rtcore.transports.lifetime import UNOBSERVED, Lifetime
from rtcore.transports.statistics import ConnectionStatistics
from rtcore.transports.transport import Transport
from rtcore.transports.websocket_receiver import WebSocketReceiver
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode

__all__ = ["CUT_SECONDS", "WebSocketConnection"]

logger = logging.getLogger("rtcore.connection")

CUT_SECONDS: Final = 1.0
"""A connection that is cancelled still gets its close frame out, if that takes no longer."""


_UNCUT: Final = nullcontext()
"""In place of a cancel scope, which costs a tenth of a handshake, where nothing has to be cancelled."""


def _cancelled() -> bool:
    return trio.current_effective_deadline() == -math.inf


def _closing_code() -> CloseCode:
    return CloseCode.GOING_AWAY if _cancelled() else CloseCode.NORMAL


class WebSocketConnection(WebSocketReceiver):
    """
    Args:
        hub: Where it may subscribe.
        transport: Carries the bytes; owned from now on.
        state: The protocol's state, after the handshake.
        encoding: Wire form of shared frames that this peer understands.
        connection_id: Unique name for logs and statistics.
        limits: Bounds of this connection.
        opening: Bytes that leave before the first frame: the answer to the handshake.
        early: Bytes that came after the handshake's request.
    """

    __slots__ = ("_timer", "address", "identity", "path")

    def __init__(
        self,
        hub: Hub,
        transport: Transport,
        state: ConnectionState,
        encoding: FrameEncoding,
        *,
        connection_id: str,
        limits: Limits,
        opening: bytes = b"",
        early: bytes = b"",
    ) -> None:
        super().__init__(
            hub,
            transport,
            state,
            encoding,
            connection_id=connection_id,
            limits=limits,
            opening=opening,
            early=early,
        )
        self.address = ""
        """Whom it counts for: the peer, or the client that a trusted proxy names."""
        self.path = ""
        """The path that it asked for."""
        self.identity: Identity | None = None
        """Who is at the other end, once that is known."""
        self._timer: Timer | None = None

    @property
    def subscriber(self) -> Subscriber:
        """Itself: what a session gives cursors to."""
        return self

    def statistics(self) -> ConnectionStatistics:
        """A snapshot of what it has subscribed to and what went over its wire: one look at each subscription."""
        identity = self.identity
        return ConnectionStatistics(
            **asdict(super().statistics(), recurse=False),
            connection_id=self._connection_id,
            address=self.address,
            path=self.path,
            user=None if identity is None or identity.anonymous else identity.user,
            bytes_received=self._state.bytes_received,
            bytes_sent=self._transport.bytes_sent,
            messages_received=self._state.messages_received,
            messages_sent=self._state.messages_sent,
            unsent_bytes=self._state.outbox_bytes + len(self._unsent),
            idle_seconds=trio.current_time() - self.timers.last_message,
            ended=self.ended is not None,
            protocol=self._state.statistics(),
        )

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
        self._hub.detach(self)  # also where it is closing already, and `close` does nothing more

    def _begin_closing(self) -> None:
        self._hub.detach(self)
        self.timers.close_by = trio.current_time() + self.limits.close_seconds
        self._arm(self.timers.close_by)
        self.flush()

    # Living and ending

    async def run(
        self, handler: Callable[[WebSocketConnection], Awaitable[None]] | None, lifetime: Lifetime = UNOBSERVED
    ) -> None:
        """
        Run a handler over this connection; when it returns, the connection is closed.

        Args:
            handler: Receives and sends; None where the connection has a `conversation`.
            lifetime: Told when the connection is there, and when it is over: once each.

        An exception of the handler closes with 1011 and stays here: one failing connection must not stop its siblings.
        Cancelled, the close frame still leaves, if that takes no longer than a second.
        """
        # One function, since each frame of an idle connection's task is a quarter of a KiB.
        code = CloseCode.GOING_AWAY
        try:
            # Whose task only waits for bytes is woken when it is lost; a handler, and a stream's tasks, are cancelled.
            if handler is not None or self._transport.slot is None:
                self._scope = trio.CancelScope()
            with self._scope or _UNCUT:
                self._timer = self._hub.timeouts.call_at(self.timers.next(), self._on_timer)
                async with self._transport.serve(self):
                    try:
                        self._begin(lifetime)
                        try:
                            if handler is None:
                                while True:
                                    await self.next_wait()
                            self._hub.broadcaster.mark(self)  # its opening leaves, whatever the handler waits for
                            await handler(self)
                        finally:
                            self._end(lifetime)
                        code = CloseCode.NORMAL
                    # Starred: out of a handler's own nursery they come in a group, with its siblings' cancellation.
                    except* ConnectionClosed:
                        code = _closing_code()
                    except* Exception as errors:
                        self._fail(errors)
                        code = _closing_code()
                    finally:
                        await self._finish(code)
        finally:
            self._let_go()
            lifetime.gone(self)

    def _let_go(self) -> None:
        """Break the circles that it is part of: a server with much coming and going must not wait for the collector."""
        self.conversation = None
        if self.ended is not None:
            self.ended.__traceback__ = None  # its frames hold the connection

    def _begin(self, lifetime: Lifetime) -> None:
        lifetime.opened(self)
        if self.conversation is not None:
            self._hub.broadcaster.attended = self
            try:
                self.conversation.begin()
            except BaseException:
                self._end(lifetime)
                raise
            finally:
                self._hub.broadcaster.attended = None

    def _end(self, lifetime: Lifetime) -> None:
        try:
            if self.conversation is not None:
                self.conversation.end()
        finally:
            lifetime.closed(self)

    async def _finish(self, code: CloseCode) -> None:
        """Close with this code, unless it is closing already with another, and leave."""
        self._heed_last_word()  # a handler that ended first, or was cancelled, did not ask for it: it is owed an answer
        self.close(code)
        self._hub.detach(self)
        patience = CUT_SECONDS if code is CloseCode.GOING_AWAY else self.limits.close_seconds
        try:
            with trio.move_on_after(patience) as scope:
                await self._leave_politely(scope)
        finally:
            if _cancelled():  # before, or while it was leaving
                with trio.move_on_after(CUT_SECONDS, shield=True) as scope:
                    await self._leave_politely(scope)
            self._gone = True
            if self._timer is not None:
                self._timer.cancel()
            self._transport.abort()
            if not self._transport.direct:  # a socket is closed by now; a stream has tasks that end first
                with trio.move_on_after(CUT_SECONDS, shield=True):
                    await self._transport.aclose()

    async def _leave_politely(self, scope: trio.CancelScope) -> None:
        """Let the close frame leave and wait for the peer's end; what else comes is read and thrown away."""
        self._finishing = True
        self._end_reading()
        if isinstance(self._awaited, Coroutine | LateAnswer):
            self._awaited.close()  # it was never begun
        self._awaited = self._messages = None
        self._discard_messages()
        if self._end_of_stream:
            self._state.receive_eof()
        while (self.blocked or self._watching_room) and not self._gone:
            if self._progress is None:
                self._progress = trio.Event()
            await self._progress.wait()
        while not self._gone:
            if self._state.closed and not await self._say_goodbye():
                if self._state.close_received:
                    return  # both have said everything
                scope.deadline = min(scope.deadline, trio.current_time() + CUT_SECONDS)
            if self._end_of_stream or self._gone:
                return
            # A socket closed with bytes unread takes back what it sent last, the close frame included.
            self._transport.watch_input(True)
            await self._transport.wait_input()

    async def _say_goodbye(self) -> bool:
        try:
            return await self._transport.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._lose(str(error))
            return True

    def _arm(self, deadline: float) -> None:
        timer = self._timer
        if timer is not None and timer.callback is not None and deadline < timer.deadline:
            timer.cancel()
            self._timer = self._hub.timeouts.call_at(deadline, self._on_timer)

    def _on_timer(self) -> float | None:
        try:
            return self._look_at_timers()
        except Exception:
            if math.isfinite(self.timers.close_by):
                self._lose("internal error")
                raise
            # Its timer is not called again after a fault, and a connection without deadlines could stay for ever.
            logger.exception("connection %s: looking at its deadlines failed", self._connection_id)
            self.undeliverable()
            return None if self._gone else self.timers.close_by

    def _look_at_timers(self) -> float | None:
        if self._gone:
            return None
        if not self._reading:  # a pong could not be seen, nor a message
            self._was_away()
        due = self.timers.due(trio.current_time())
        if due is Due.CLOSE_TIMEOUT:
            self._lose("no answer to the close frame in time")
            return None
        if due is Due.PING:
            self._state.queue_ping()
            self.timers.pinged = trio.current_time()
            self.flush()
        elif (ending := self.timers.ending(due)) is not None:
            self._time_out(due, *ending)
        return self.timers.next() if self._reading else self.timers.next_while_away(trio.current_time())

    def _time_out(self, due: Due, code: CloseCode, error_code: ErrorCode | None, reason: str) -> None:
        if due is Due.SLOW_CONSUMER:
            self.counters.disconnected_slow += 1
        logger.info("connection %s: closing with %d: %s", self._connection_id, code, reason)
        if error_code is not None:
            self.send_message(encode_error(RequestError(error_code, reason), timestamp=self._clock()))
        self.close(code, reason)
