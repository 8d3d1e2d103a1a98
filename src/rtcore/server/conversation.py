"""An `rtcore.v1` connection: its session, its rate, and the end of its identity."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable
from contextlib import AbstractContextManager
from typing import Final

import trio
from attrs import frozen

from rtcore._fast import TokenBucket, Traffic
from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.dialect import RTCORE, Dialect
from rtcore.hub.hub import Hub
from rtcore.hub.session import Session
from rtcore.protocol.envelope import RequestId, decode_object, encode_error, request_id
from rtcore.protocol.protocol_events import MessageReceived
from rtcore.server.authentication import Authenticator
from rtcore.server.revocation import RevocationList
from rtcore.server.violations import ViolationLedger
from rtcore.transports.conversation import Conversation
from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode

__all__ = ["Converser"]

_logger = logging.getLogger("rtcore.connection")

_PEEK_BYTES: Final = 4096  # a refused message must not cost what the refusal is to save


@frozen(kw_only=True, eq=False)
class Converser:
    """Serves connections that speak `rtcore.v1`, or a dialect of it."""

    hub: Hub
    """Where they subscribe and publish."""
    authenticator: Authenticator | None
    """Verifies tokens; None: nobody needs one."""
    revocations: RevocationList
    """Ends connections whose token is revoked."""
    ledger: ViolationLedger
    """Where rate violations are written down."""
    traffic: Traffic
    """Where they are counted."""
    heartbeat_seconds: float
    """How often clients are asked to send a heartbeat."""
    dialect: Dialect = RTCORE
    """What clients call things, and what they are sent without asking."""

    def converse(self, connection: WebSocketConnection) -> Conversation:
        """A conversation over a new connection."""
        return _Conversation(self, connection)


class _Conversation:
    """What is known of one connection."""

    __slots__ = ("_bucket", "_connection", "_converser", "_tracking", "session")

    def __init__(self, converser: Converser, connection: WebSocketConnection) -> None:
        limits = connection.limits
        self.session = Session(
            converser.hub,
            connection,
            identity=connection.identity,
            authenticator=converser.authenticator,
            limits=limits,
            clock=converser.hub.clock,
            heartbeat_seconds=converser.heartbeat_seconds,
            dialect=converser.dialect,
        )
        self._bucket = TokenBucket(limits.messages_per_second, limits.message_burst, connection.timers.last_message)
        self._connection = connection
        self._converser = converser
        self._tracking: AbstractContextManager[None] | None = None

    def begin(self) -> None:
        """Greet the client, and start its deadlines."""
        identity = self.session.identity
        if self._converser.authenticator is not None:
            self.session.on_authenticated = self._admit
        if identity is None:
            self._connection.expect_authentication()
        elif not identity.anonymous:
            self._admit(identity)
        self.session.start()

    def end(self) -> None:
        """Forget the client."""
        self._stop_tracking()
        self._converser.ledger.forget(self._connection.connection_id)

    def handle(self, message: MessageReceived) -> Awaitable[None] | None:
        """Carry out a command, unless too many came; then the client is told."""
        now = trio.current_time()
        if not self._bucket.take(now):
            limit = f"messages_per_second={self._connection.limits.messages_per_second:g}"
            error = RequestError(ErrorCode.RATE, f"too many messages: {limit}", retry_after=self._bucket.wait(now))
            self._tell(error, _peek_id(message.data, self._connection.limits))
            self._violated()
        elif not message.text:
            self._end(CloseCode.UNSUPPORTED_DATA, "messages of rtcore.v1 are text")
        else:
            return self.session.handle_nowait(message.data)
        return None

    def pinged(self) -> None:
        """A ping came: it counts like a message."""
        if not self._bucket.take(trio.current_time()):
            self._violated()

    def _violated(self) -> None:
        converser = self._converser
        converser.traffic.rate_violations += 1
        if converser.ledger.record(self._connection.connection_id, "rate", converser.hub.clock()):
            limits = self._connection.limits
            within = f"violations={limits.violations} within violation_seconds={limits.violation_seconds:g}"
            self._end(CloseCode.POLICY_VIOLATION, f"too many messages for too long: {within}")

    def _admit(self, identity: Identity) -> None:
        self._stop_tracking()  # of a token that this one replaces
        self._tracking = self._converser.revocations.track(identity, self._revoked)
        self._tracking.__enter__()
        self._connection.admit(identity, self._end_of(identity))

    def _stop_tracking(self) -> None:
        if self._tracking is not None:
            self._tracking.__exit__(None, None, None)
            self._tracking = None

    def _end_of(self, identity: Identity) -> float:
        authenticator = self._converser.authenticator
        if identity.expires_at is None or authenticator is None:
            return math.inf
        remaining = identity.expires_at + authenticator.settings.leeway_seconds - self._converser.hub.clock()
        return trio.current_time() + remaining

    def _revoked(self) -> None:
        self._tell(RequestError(ErrorCode.TOKEN_REVOKED, "the token was revoked"))
        self._end(CloseCode.TOKEN_REVOKED, "the token was revoked")

    def _end(self, code: CloseCode, reason: str) -> None:
        """Whoever runs the server sees who was sent away, and why."""
        _logger.info("connection %s: closing with %d: %s", self._connection.connection_id, code, reason)
        self._connection.close(code, reason)

    def _tell(self, error: RequestError, id: RequestId | None = None) -> None:
        self._connection.send_message(encode_error(error, id=id, timestamp=self._converser.hub.clock()))


def _peek_id(text: bytes, limits: Limits) -> RequestId | None:
    """The id of a refused message, so that its sender knows which one to repeat; None where reading it costs much."""
    if len(text) > _PEEK_BYTES:
        return None
    try:
        return request_id(decode_object(text, limits))
    except RequestError:
        return None
