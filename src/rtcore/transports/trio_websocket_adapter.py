"""
Joining a trio-websocket connection to a hub, for applications that run a trio-websocket server already.

The conversation is that of rtcore's own server: the same sessions, cursors, backlogs and notices. What differs is the
way out. trio-websocket makes its own frames, one message at a time, and its sending waits; so the fan-out hands text
over to a small queue, and one task per connection sends it. While the queue holds more than a write's worth, what is
published waits in the backlog, where lanes and limits rule. A reader that takes nothing for too long is closed as slow.
"""

from __future__ import annotations

import logging
import math
import secrets
from collections import deque
from typing import Final

import trio
import trio_websocket
from attrs import evolve, frozen

from rtcore._fast import TokenBucket
from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.encoding import Encoding
from rtcore.hub.hub import Hub
from rtcore.hub.session import Authenticator, Session
from rtcore.hub.subscriber import Subscriber
from rtcore.hub.timeouts import Timer
from rtcore.protocol.envelope import encode_error
from rtcore.transports.connection_timers import ConnectionTimers, Due
from rtcore.values.identity import ANONYMOUS, Identity
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode

__all__ = ["LineEncoding", "attach"]

logger = logging.getLogger("rtcore.connection")

_CUT_SECONDS: Final = 1.0  # a session that is cancelled still gets its close frame out, if that takes no longer


async def attach(
    hub: Hub,
    connection: trio_websocket.WebSocketConnection,
    *,
    identity: Identity | None = None,
    authenticator: Authenticator | None = None,
    limits: Limits | None = None,
) -> None:
    """
    Run an `rtcore.v1` session on an accepted connection until it is closed.

    The hub must be running. Nobody else may read or write the connection meanwhile. When this returns or raises, the
    connection is closed and nothing of the session is left in the hub. Cancelled, it closes with 1001, within a second.

    Args:
        hub: Where the client may subscribe and publish.
        connection: The server's side of a trio-websocket connection, after the handshake.
        identity: Who the client is, where the application knows already.
        authenticator: Lets the client show a token with `auth`. With neither of the two it stays anonymous.
        limits: Bounds on this connection; by default the hub's. trio-websocket has two bounds of its own, on the size
            of messages and on how many it queues.
    """
    if identity is None and authenticator is None:
        identity = ANONYMOUS
    bounds = limits or hub.limits
    adapter = _TrioWebSocketAdapter(hub, connection, bounds)
    session = Session(hub, adapter, identity=identity, authenticator=authenticator, limits=bounds, clock=hub.clock)
    await adapter.run(session)


@frozen
class LineEncoding(Encoding):
    """Text of one message and a line feed, which JSON written without spaces never holds: joined, it can be parted."""

    def wire(self, text: bytes) -> bytes:
        """One line."""
        return text + b"\n"


class _TrioWebSocketAdapter(Subscriber):
    """The subscriber of one connection, and its two tasks: the caller's reads, another one sends."""

    def __init__(self, hub: Hub, connection: trio_websocket.WebSocketConnection, limits: Limits) -> None:
        super().__init__(
            LineEncoding(), hub.counters, lag_events=limits.lag_events, lag_bytes=limits.lag_bytes, clock=hub.clock
        )
        self.connection_id = secrets.token_hex(8)
        self._hub = hub
        self._connection = connection
        self._limits = limits
        self._queue: deque[bytes] = deque()
        """Lines on their way out, in order: whoever was told a position has been sent what precedes it."""
        self._queue_bytes = 0
        self._wake = trio.Event()
        self._room = trio.Event()
        self._closing: tuple[int, str] | None = None
        self._timer: Timer | None = None
        self._sending = trio.CancelScope(shield=True)
        now = trio.current_time()
        # trio-websocket answers pings; sending them is the application's choice.
        self._timers = ConnectionTimers(evolve(limits, ping_seconds=0), last_message=now, last_received=now)
        self._messages = TokenBucket(limits.messages_per_second, limits.message_burst, now)
        self._violations = TokenBucket(limits.violations / limits.violation_seconds, limits.violations, now)

    @property
    def subscriber(self) -> Subscriber:
        """Itself."""
        return self

    # For the hub and the session: nothing here waits

    @property
    def over(self) -> bool:
        """Whether its closing has begun."""
        return self._closing is not None

    def flush(self) -> None:
        """Queue what is due, up to a write's worth; the rest waits in the backlog."""
        if self.blocked or self._closing is not None:
            return
        maximum = self._limits.write_bytes
        while self._queue_bytes < maximum and (lines := self.take(maximum)):
            self._enqueue(lines)
        if self.lagging or any(cursor.next < cursor.view.due for cursor in self.cursors.values()):
            self.fall_behind()

    def overflowed(self) -> None:
        """Close a subscriber whose channel would rather lose it than an event."""
        self.counters.disconnected_slow += 1
        self.close(CloseCode.SLOW_CONSUMER, "slow consumer: no room left")

    def undeliverable(self) -> None:
        """Close, with nothing of what it is owed."""
        self.close(CloseCode.INTERNAL_ERROR, "internal error")

    def send_message(self, message: bytes) -> None:
        """Queue a message of the session's own; dropped without a word once the connection is closing."""
        if self._closing is None:
            self._enqueue(message + b"\n")

    def close(self, code: int, reason: str = "") -> None:
        """Let what is queued leave, then close; cut off after `Limits.close_seconds`. Idempotent."""
        if self._closing is None:
            self._closing = (code, reason)
            self._sending.deadline = trio.current_time() + self._limits.close_seconds
            self._hub.detach(self)
            self._wake.set()
            self._room.set()

    def _enqueue(self, lines: bytes) -> None:
        self._queue.append(lines)
        self._queue_bytes += len(lines)
        self._wake.set()

    # Living and ending

    async def run(self, session: Session) -> None:
        """Converse until the connection is closed; a checkpoint."""
        self._timers.authenticate_by = math.inf if session.identity else self._deadline_of_authentication()
        self._follow(session.identity)
        session.on_authenticated = self._follow
        self._look_soon()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send)
                try:
                    session.start()
                    await self._receive(session)
                finally:
                    self._leave()
        finally:
            self._look_no_more()
            self._hub.detach(self)

    def _leave(self) -> None:
        cancelled = trio.current_effective_deadline() == -math.inf
        self.close(CloseCode.GOING_AWAY if cancelled else CloseCode.NORMAL)
        if cancelled:
            self._sending.deadline = min(self._sending.deadline, trio.current_time() + _CUT_SECONDS)

    async def _receive(self, session: Session) -> None:
        while self._closing is None:
            try:
                message = await self._connection.get_message()
            except trio_websocket.ConnectionClosed:
                return
            began = trio.current_time()
            self._timers.received(began, message=True)
            if isinstance(message, bytes):
                self.close(CloseCode.UNSUPPORTED_DATA, "expected text")
            elif len(data := message.encode()) > self._limits.message_bytes:
                self.close(CloseCode.MESSAGE_TOO_BIG, f"message exceeds message_bytes={self._limits.message_bytes}")
            elif self._within_rate(began):
                await session.handle_message(data)
                await self._wait_room()
                self._timers.away(trio.current_time() - began)

    def _within_rate(self, now: float) -> bool:
        if self._messages.take(now):
            return True
        if not self._violations.take(now):
            self.close(CloseCode.POLICY_VIOLATION, "too many messages for too long")
            return False
        error = RequestError(
            ErrorCode.RATE,
            f"more than messages_per_second={self._limits.messages_per_second:g} messages",
            retry_after=self._messages.wait(now),
        )
        self.send_message(encode_error(error, timestamp=self._clock()))
        return False

    async def _wait_room(self) -> None:
        """A client that does not read its replies is not read either."""
        while self._queue_bytes > self._limits.reply_bytes and self._closing is None:
            self._room = trio.Event()
            await self._room.wait()

    # Sending

    async def _send(self) -> None:
        """The only task that writes; its last act is to close the connection, or to cut it."""
        try:
            # Shielded: a message that is cut in two would make what follows unreadable, the close frame above all.
            with self._sending:
                while lines := await self._next_lines():
                    for line in lines.splitlines():
                        self._timers.blocked_since = trio.current_time()
                        await self._connection.send_message(line.decode())
                    self._timers.blocked_since = math.inf
                code, reason = self._closing or (CloseCode.NORMAL, "")
                await self._connection.aclose(code, reason or None)
        except trio_websocket.ConnectionClosed:
            self._closing = self._closing or (CloseCode.ABNORMAL, "")
        finally:
            self._room.set()
            # In a scope that is cancelled already it does not wait for anybody: where need be it cuts the stream.
            with trio.CancelScope(deadline=-math.inf, shield=True):
                await self._connection.aclose()

    async def _next_lines(self) -> bytes:
        """What leaves next; empty once the connection is closing and nothing is left."""
        while True:
            if self._queue:
                lines = self._queue.popleft()
                self._queue_bytes -= len(lines)
                if self._queue_bytes <= self._limits.reply_bytes:
                    self._room.set()
                return lines
            if self._closing is not None:
                return b""
            if not self.blocked:
                self._wake = trio.Event()
                await self._wake.wait()
            elif lines := self.take(self._limits.write_bytes):
                self._hub.made_room()
                return lines
            else:
                self.catch_up()
                self._hub.made_room()
                self.flush()

    # Time

    def _deadline_of_authentication(self) -> float:
        return trio.current_time() + self._limits.authentication_seconds

    def _follow(self, identity: Identity | None) -> None:
        """An identity was shown: its end is the connection's."""
        if identity is None:
            return
        expires = identity.expires_at
        self._timers.authenticate_by = math.inf
        self._timers.expires = math.inf if expires is None else trio.current_time() + expires - self._clock()
        self._look_soon()

    def _look_soon(self) -> None:
        self._look_no_more()
        self._timer = self._hub.timeouts.call_at(self._next_look(), self._on_timer)

    def _look_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _next_look(self) -> float:
        # A send that takes too long is noticed at a look, so that a send which does not costs no timer.
        return min(self._timers.next(), trio.current_time() + self._limits.slow_consumer_seconds)

    def _on_timer(self) -> float | None:
        try:
            return self._look()
        except Exception:  # its timer is not called again after a fault, and without deadlines it could stay for ever
            logger.exception("connection %s: looking at its deadlines failed", self.connection_id)
            self.undeliverable()
            return None

    def _look(self) -> float | None:
        if self._closing is not None:
            return None
        due = self._timers.due(trio.current_time())
        if (ending := self._timers.ending(due)) is not None:
            code, error_code, reason = ending
            if due is Due.SLOW_CONSUMER:
                self.counters.disconnected_slow += 1
            if error_code is not None:
                self.send_message(encode_error(RequestError(error_code, reason), timestamp=self._clock()))
            self.close(code, reason)
            return None
        return self._next_look()
