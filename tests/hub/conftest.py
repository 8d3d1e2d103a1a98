"""A session over the real hub, with a connection that keeps what it is given."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio

from rtcore.errors import AuthenticationError
from rtcore.hub.encoding import Encoding
from rtcore.hub.hub import Hub
from rtcore.hub.session import Session
from rtcore.hub.subscriber import Subscriber
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

NOW = 1_736_942_400.0


class Lines(Encoding):
    """Messages that can be told apart again."""

    def wire(self, text: bytes) -> bytes:
        return text + b"\n"


class KeepingSubscriber(Subscriber):
    """Takes everything while `taking`; keeps the parts in order."""

    def __init__(self, hub: Hub, sent: list[bytes], limits: Limits) -> None:
        super().__init__(
            Lines(), hub.counters, lag_events=limits.lag_events, lag_bytes=limits.lag_bytes, clock=hub.clock
        )
        self.taking = True
        self._sent = sent

    def flush(self) -> None:
        if not self.taking:
            if not self.blocked:
                self.fall_behind()
            return
        while data := self.take(64 * 1024):
            self._sent += data.splitlines()
        if self.blocked:
            self.catch_up()

    def overflowed(self) -> None:
        raise AssertionError("no channel of these tests disconnects")


class KeepingConnection:
    """What a session sees of a transport."""

    def __init__(self, hub: Hub, limits: Limits) -> None:
        self.connection_id = "c1"
        self.sent: list[bytes] = []
        self.subscriber = KeepingSubscriber(hub, self.sent, limits)
        self.closed: tuple[int, str] | None = None

    def send_message(self, message: bytes) -> None:
        self.sent.append(message)

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)


class Tokens:
    """Tokens by their text."""

    def __init__(self, **identities: Identity) -> None:
        self.identities = identities

    def authenticate(self, token: str) -> Identity:
        try:
            return self.identities[token]
        except KeyError:
            raise AuthenticationError("the token is not valid") from None


class Talk:
    """One client's side of a session."""

    def __init__(self, hub: Hub, limits: Limits, **options: Any) -> None:
        self.hub = hub
        self.connection = KeepingConnection(hub, limits)
        options = {"identity": Identity(user="u1", roles={"publisher"}), "authenticator": None} | options
        self.session = Session(hub, self.connection, limits=limits, clock=hub.clock, **options)

    @property
    def subscriber(self) -> KeepingSubscriber:
        return self.connection.subscriber

    def received(self) -> list[dict[str, Any]]:
        """What came since the last call."""
        self.hub.broadcaster.flush()
        messages = [json.loads(message) for message in self.connection.sent]
        self.connection.sent.clear()
        return messages

    async def say(self, type: str, data: object = None, **envelope: object) -> list[dict[str, Any]]:
        """Send a message; what came back."""
        return await self.say_bytes(json.dumps({"type": type, "data": data, **envelope}).encode())

    async def say_bytes(self, message: bytes) -> list[dict[str, Any]]:
        await self.session.handle_message(message)
        return self.received()

    async def refused(self, type: str, data: object = None, **envelope: object) -> dict[str, Any]:
        """Send a message that gets an error; the error's data."""
        (message,) = await self.say(type, data, **envelope)
        assert message["type"] == "error", message
        assert message.get("id") == envelope.get("id")
        error = message["data"]
        assert isinstance(error, dict)
        return error


@pytest.fixture
def open_hub() -> Callable[..., Hub]:
    """A hub at a fixed time; virtual seconds are added where a test has a virtual clock."""

    def make(**options: Any) -> Hub:
        start = trio.current_time()
        return Hub(clock=lambda: NOW + trio.current_time() - start, **options)

    return make


@pytest.fixture
def talk(open_hub: Callable[..., Hub]) -> Callable[..., Talk]:
    """A session of one client, by default authenticated as a publisher."""

    def make(hub: Hub | None = None, limits: Limits | None = None, namespaces: Any = None, **options: Any) -> Talk:
        limits = limits or Limits()
        return Talk(hub or open_hub(limits=limits, namespaces=namespaces), limits, **options)

    return make


@pytest.fixture
def tokens() -> type[Tokens]:
    return Tokens
