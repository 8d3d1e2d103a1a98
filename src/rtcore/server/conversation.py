"""An `rtcore.v1` connection: its session, its rate, its identity's end, and who is told of it."""

from __future__ import annotations

import math
from contextlib import ExitStack

import trio

from rtcore._fast import TokenBucket
from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.hub import Hub
from rtcore.hub.session import Session
from rtcore.protocol.connection_state import MessageReceived
from rtcore.protocol.envelope import encode_error
from rtcore.server.authentication import Authenticator
from rtcore.server.revocation import RevocationList
from rtcore.server.violations import ViolationLedger
from rtcore.transports.traffic import Traffic
from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.identity import Identity
from rtcore.values.opcodes import CloseCode

__all__ = ["Converser"]


class Converser:
    """
    Serves connections that speak `rtcore.v1`.

    Args:
        hub: Where they subscribe and publish.
        authenticator: Verifies tokens; None: nobody needs one.
        revocations: Ends connections whose token is revoked.
        ledger: Where rate violations are written down.
        traffic: Where they are counted.
        heartbeat_seconds: How often clients are asked to send a heartbeat.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        authenticator: Authenticator | None,
        revocations: RevocationList,
        ledger: ViolationLedger,
        traffic: Traffic,
        heartbeat_seconds: float,
    ) -> None:
        self._hub = hub
        self._authenticator = authenticator
        self._revocations = revocations
        self._ledger = ledger
        self._traffic = traffic
        self._heartbeat_seconds = heartbeat_seconds

    async def converse(self, connection: WebSocketConnection, identity: Identity | None) -> None:
        """Serve one connection until it ends."""
        with ExitStack() as tracking:
            session = Session(
                self._hub,
                connection,
                identity=identity,
                authenticator=self._authenticator,
                limits=connection.limits,
                clock=self._hub.clock,
                heartbeat_seconds=self._heartbeat_seconds,
            )
            if self._authenticator is not None:
                session.on_authenticated = lambda known: self._admit(connection, known, tracking)
            if identity is None:
                connection.expect_authentication()
            elif not identity.anonymous:
                self._admit(connection, identity, tracking)
            session.start()
            try:
                await self._listen(connection, session)
            finally:
                self._ledger.forget(connection.connection_id)

    def _admit(self, connection: WebSocketConnection, identity: Identity, tracking: ExitStack) -> None:
        tracking.close()  # what was tracked for a token that this one replaces
        tracking.enter_context(self._revocations.track(identity, lambda: _revoke(connection, self._hub.clock())))
        connection.admit(identity, self._end_of(identity))

    def _end_of(self, identity: Identity) -> float:
        if identity.expires_at is None or self._authenticator is None:
            return math.inf
        remaining = identity.expires_at + self._authenticator.settings.leeway_seconds - self._hub.clock()
        return trio.current_time() + remaining

    async def _listen(self, connection: WebSocketConnection, session: Session) -> None:
        limits = connection.limits
        bucket = TokenBucket(limits.messages_per_second, limits.message_burst, trio.current_time())
        connection.on_ping = lambda: self._pinged(connection, bucket)
        while True:
            for message in await connection.receive():
                if connection.ended is not None:
                    break  # a message before this one closed the connection
                if self._admits(connection, bucket, message):
                    await session.handle_message(message.data)
            connection.flush()
            await connection.wait_room()

    def _admits(self, connection: WebSocketConnection, bucket: TokenBucket, message: MessageReceived) -> bool:
        now = trio.current_time()
        if not bucket.take(now):
            error = RequestError(ErrorCode.RATE, "too many messages", retry_after=bucket.wait(now))
            connection.send_message(encode_error(error, timestamp=self._hub.clock()))
            self._violated(connection)
            return False
        if not message.text:
            connection.close(CloseCode.UNSUPPORTED_DATA, "messages of rtcore.v1 are text")
            return False
        return True

    def _pinged(self, connection: WebSocketConnection, bucket: TokenBucket) -> None:
        if not bucket.take(trio.current_time()):
            self._violated(connection)

    def _violated(self, connection: WebSocketConnection) -> None:
        self._traffic.rate_violations += 1
        if self._ledger.record(connection.connection_id, "rate", self._hub.clock()):
            connection.close(CloseCode.POLICY_VIOLATION, "too many messages for too long")


def _revoke(connection: WebSocketConnection, timestamp: float) -> None:
    connection.send_message(
        encode_error(RequestError(ErrorCode.TOKEN_REVOKED, "the token was revoked"), timestamp=timestamp)
    )
    connection.close(CloseCode.TOKEN_REVOKED, "the token was revoked")

