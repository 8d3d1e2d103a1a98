"""
A session: one client's conversation in `rtcore.v1`, whatever carries its messages.

Until it is authenticated, only `auth` and heartbeats are heard. Every fault of the client is answered with an `error`
that carries the request's id when that could be read; none ends the conversation, but for a token that is refused. A
fault of ours is logged with its traceback, told as `server.internal`, and ends nothing either.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import lru_cache, partial
from typing import Any, Final, Protocol

from attrs import evolve

from rtcore.errors import AuthenticationError, ErrorCode, HubClosed, RequestError
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.commands import heartbeat_data, run_command
from rtcore.hub.dialect import RTCORE, Dialect, Greeting
from rtcore.hub.hub import Hub
from rtcore.hub.late_answer import LateAnswer
from rtcore.hub.subscriber import Subscriber
from rtcore.hub.unasked import run_schedules, subscribe_first
from rtcore.protocol.command_codec import decode_command
from rtcore.protocol.envelope import (
    IncomingMessage,
    RequestId,
    decode_envelope,
    decode_object,
    encode_error,
    encode_reply,
    request_id,
)
from rtcore.protocol.json_codec import json_dumps, json_fragment
from rtcore.values.commands import Auth, Heartbeat, Refresh
from rtcore.values.events import Json
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode
from rtcore.values.version import VERSION

__all__ = ["PROTOCOL_NAME", "Authenticator", "Session", "SessionConnection"]

logger = logging.getLogger("rtcore.session")

PROTOCOL_NAME: Final = "rtcore.v1"
"""The WebSocket subprotocol."""

_WITHOUT_IDENTITY: Final = frozenset({"auth", "heartbeat", "connection.heartbeat"})
_LIMITS_TOLD: Final = (
    "message_bytes",
    "json_depth",
    "messages_per_second",
    "message_burst",
    "channels_per_connection",
    "lag_events",
    "lag_bytes",
    "replay_events",
    "replay_bytes",
    "batch_events",
    "batch_seconds",
    "batch_events_maximum",
    "batch_seconds_maximum",
    "filter_fields",
    "filter_values",
    "filter_patterns",
    "filter_search_length",
    "authentication_seconds",
    "idle_seconds",
)


class SessionConnection(Protocol):
    """What carries a session's messages."""

    @property
    def connection_id(self) -> str:
        """Unique name, for the client's reports and our logs."""
        ...

    @property
    def subscriber(self) -> Subscriber:
        """What is given cursors."""
        ...

    def send_message(self, message: bytes) -> None:
        """Queue a message of the session's own before the next events; never blocks."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; idempotent."""
        ...


class Authenticator(Protocol):
    """What knows whose a token is."""

    def authenticate(self, token: str) -> Identity:
        """
        The identity of a token's bearer; does not block.

        Raises:
            AuthenticationError: If the token is not good.
        """
        ...


class Session:
    """
    Args:
        hub: Where the client may subscribe and publish.
        connection: Carries its messages.
        identity: Who it is, where that is known already; None: it has to say so with `auth`.
        authenticator: Knows whose a token is; None: there are no tokens here.
        limits: Bounds on its requests.
        clock: Unix seconds.
        heartbeat_seconds: How often the client is asked to send a heartbeat.
        dialect: What the client calls things, and what it is sent without asking.

    Raises:
        ValueError: If it could never be authenticated: neither identity nor authenticator.
    """

    __slots__ = (
        "_authenticator",
        "_clock",
        "_connection",
        "_dialect",
        "_heartbeat_seconds",
        "_hub",
        "_limits",
        "identity",
        "on_authenticated",
    )

    def __init__(
        self,
        hub: Hub,
        connection: SessionConnection,
        *,
        identity: Identity | None,
        authenticator: Authenticator | None,
        limits: Limits,
        clock: Callable[[], float] = time.time,
        heartbeat_seconds: float = 30.0,
        dialect: Dialect = RTCORE,
    ) -> None:
        if identity is None and authenticator is None:
            raise ValueError("a session without an identity needs an authenticator")
        self.identity = identity
        """Who is there; None until `auth`."""
        self.on_authenticated: Callable[[Identity], None] | None = None
        """Told of each identity that `auth` or `refresh` brought, so that the connection can move its deadlines."""
        self._hub = hub
        self._connection = connection
        self._authenticator = authenticator
        self._limits = limits
        self._clock = clock
        self._heartbeat_seconds = heartbeat_seconds
        self._dialect = dialect

    def start(self) -> None:
        """Greet the client."""
        data = {
            "connection_id": self._connection.connection_id,
            "protocol": PROTOCOL_NAME,
            "server": f"rtcore/{VERSION}",
            "authentication": self._authentication(),
            "heartbeat_seconds": self._heartbeat_seconds,
            "limits": json_fragment(_limits_told(self._limits)),
        }
        greeting = self._dialect.greet(Greeting(self._connection.connection_id, self.identity, data))
        if greeting is not None:
            self._send(greeting)
        if self.identity is not None:
            self._begin(self.identity)

    def _authentication(self) -> str:
        if self.identity is None:
            return "required"
        return "none" if self.identity.anonymous else "done"

    async def handle_message(self, data: bytes) -> None:
        """
        Deal with one text message of the client; a checkpoint only where a channel's rule is to wait for room, since
        messages come by the dozen and each checkpoint would be a tick of its own for what they publish.

        Cancelled while it waits, it has done nothing. One message at a time: the next may come when this has returned.

        Args:
            data: UTF-8; what is not JSON is answered with an `error`.
        """
        waiting = self.handle_nowait(data)
        if waiting is not None:
            await waiting

    def handle_nowait(self, data: bytes) -> LateAnswer | None:
        """
        As `handle_message`, as far as it can be done without waiting.

        Returns:
            None if it is done; otherwise what has to be awaited before the next message, or closed.
        """
        received: dict[str, Json] = {}
        try:
            received = decode_object(data, self._limits)
            message = decode_envelope(received, self._limits)
            waiting = self._answer(message)
        except Exception as error:  # one failing command must not end the connection
            self._refuse(self._told(error), request_id(received))
            return None
        return None if waiting is None else LateAnswer(waiting, partial(self.answer, identifier=message.id))

    def _told(self, error: Exception) -> RequestError:
        """What its client is told of an error; of a fault of ours nothing, but the log is."""
        if isinstance(error, RequestError):
            return error
        if isinstance(error, HubClosed):
            return RequestError(ErrorCode.UNAVAILABLE, "the server is shutting down")
        logger.error("connection %s: a command failed", self._connection.connection_id, exc_info=error)
        return RequestError(ErrorCode.INTERNAL, "internal error")

    def _answer(self, message: IncomingMessage) -> Awaitable[Reply] | None:
        identity = self.identity
        type = self._dialect.aliases.get(message.type, message.type)
        if identity is None and type not in _WITHOUT_IDENTITY:
            raise RequestError(ErrorCode.AUTHENTICATION_REQUIRED, "send `auth` with a token first")
        rule = self._rule(type)
        if rule is not None and identity is not None:
            return self._answered(rule.run(self._context(identity, id=message.id), message.data), message.id)
        if type is not message.type:
            message = evolve(message, type=type)
        command = decode_command(message, self._limits)
        if isinstance(command, Heartbeat):
            cursors = self._connection.subscriber.cursors
            now = self._clock()
            self._send(Reply(message.type, heartbeat_data(cursors, now)), message.id, now)
        elif isinstance(command, Auth):
            self._authenticate(command, message.id)
        elif isinstance(command, Refresh):
            self._refresh(command, message.id)
        else:
            assert identity is not None, "only auth and heartbeats come so far without one"
            context = self._context(identity, asked=message.id is not None)
            return self._answered(run_command(context, command), message.id)
        return None

    def _context(self, identity: Identity, *, asked: bool = True, id: RequestId | None = None) -> CommandContext:
        return CommandContext(self._hub, self._connection.subscriber, identity, self._limits, asked, self, id)

    def _answered(
        self, outcome: Reply | Awaitable[Reply] | None, identifier: RequestId | None
    ) -> Awaitable[Reply] | None:
        if not isinstance(outcome, Reply):
            return outcome
        self._reply(outcome, identifier)
        return None

    def answer(self, outcome: Reply | Exception, identifier: RequestId | None) -> None:
        """Answer a command whose handler said that the answer would come later; see `CommandContext.answer`."""
        try:
            if not isinstance(outcome, Reply):
                raise outcome
            self._reply(outcome, identifier)
        except Exception as error:  # as above
            self._refuse(self._told(error), identifier)

    def _reply(self, reply: Reply, identifier: RequestId | None) -> None:
        if reply.unasked or identifier is not None:
            self._send(reply, identifier)

    # Identity

    def _authenticate(self, command: Auth, identifier: RequestId | None) -> None:
        if self.identity is not None and not self.identity.anonymous:
            raise RequestError(ErrorCode.CONFLICT, "already authenticated; a newer token comes with `refresh`")
        try:
            identity = self._verify(command.token)
        except AuthenticationError as error:
            self._refuse(error, identifier)
            self._connection.close(CloseCode.AUTHENTICATION_FAILED, "authentication failed")
            return
        first = self.identity is None
        self._become(identity)
        self._send(Reply("auth_success", _identity_data(identity)), identifier)
        if first:
            self._begin(identity)

    def _refresh(self, command: Refresh, identifier: RequestId | None) -> None:
        current = self.identity
        if current is None or current.anonymous:
            raise RequestError(ErrorCode.AUTHENTICATION_REQUIRED, "nothing to refresh; send `auth`")
        identity = self._verify(command.token)
        if (identity.user, identity.workspace) != (current.user, current.workspace):
            raise _with_token_field(AuthenticationError("the token is not of this user and workspace"))
        self._become(identity)
        self._send(Reply("refreshed", _identity_data(identity)), identifier)

    def _verify(self, token: str) -> Identity:
        if self._authenticator is None:
            raise _with_token_field(AuthenticationError("no tokens are accepted here"))
        try:
            return self._authenticator.authenticate(token)
        except AuthenticationError as error:
            raise _with_token_field(error) from None  # the cause may name what the token says

    def _become(self, identity: Identity) -> None:
        self.identity = identity
        if self.on_authenticated is not None:
            self.on_authenticated(identity)
        subscriber = self._connection.subscriber
        lost = [channel for channel in subscriber.cursors if not self._hub.access.can_read(identity, channel)]
        for channel in lost:
            self._hub.detach_cursor(subscriber, channel)
        if lost:
            self._send(Reply("unsubscribed", {"channels": lost, "reason": ErrorCode.DENIED.value}))

    # What it is sent without asking

    def _begin(self, identity: Identity) -> None:
        """It is known who it is: what its dialect begins with, channels first and schedules last."""
        dialect = self._dialect
        for template in dialect.channels:
            subscribe_first(self._context_now, template, self._announce, self._told)
        for template in dialect.optional_channels:
            subscribe_first(self._context_now, template, self._announce_if_there, self._told)
        dialect.begin(self._context_now)
        if dialect.schedules:
            run_schedules(self._hub, self._connection.subscriber, dialect.schedules, self._run_scheduled)

    def _announce(self, outcome: Reply | RequestError) -> None:
        if isinstance(outcome, RequestError):
            self._refuse(outcome, None)
        elif self._dialect.announces:
            self._send(outcome)

    def _announce_if_there(self, outcome: Reply | RequestError) -> None:
        if not isinstance(outcome, RequestError):
            self._announce(outcome)

    def _context_now(self) -> CommandContext:
        assert self.identity is not None, "it was known when its dialect began, and is never forgotten"
        return self._context(self.identity)

    def _run_scheduled(self, type: str) -> None:
        """As though the client had asked; only what is answered at once can be scheduled."""
        rule = self._rule(type)
        if self.identity is None or rule is None:
            return
        try:
            outcome = rule.run(self._context(self.identity), {})
            if not isinstance(outcome, Reply):
                if isinstance(outcome, Coroutine):
                    outcome.close()
                raise TypeError(f"command {type} has to be waited for, so it cannot be scheduled")
            self._send(outcome)
        except Exception as error:  # one failing command must not end the connection
            self._refuse(self._told(error), None)

    def _rule(self, type: str) -> CommandRule[Any] | None:
        return self._dialect.commands.get(type) or self._hub.registry.commands.get(type)

    # Sending

    def _send(self, reply: Reply, identifier: RequestId | None = None, timestamp: float | None = None) -> None:
        now = self._clock() if timestamp is None else timestamp
        type = self._dialect.replies.get(reply.type, reply.type)
        message = encode_reply(type, reply.data, id=identifier, timestamp=now)
        self._connection.send_message(message)

    def _refuse(self, error: RequestError, identifier: RequestId | None) -> None:
        self._connection.send_message(encode_error(error, id=identifier, timestamp=self._clock()))


@lru_cache(maxsize=16)  # a server has one, an application perhaps a few
def _limits_told(limits: Limits) -> bytes:
    return json_dumps({name: getattr(limits, name) for name in _LIMITS_TOLD})


def _with_token_field(error: AuthenticationError) -> AuthenticationError:
    error.field = error.field or "data.token"
    return error


def _identity_data(identity: Identity) -> dict[str, object]:
    return {
        "user_id": identity.user,
        "workspace": identity.workspace,
        "roles": sorted(identity.roles),
        "expires_at": identity.expires_at,
    }
