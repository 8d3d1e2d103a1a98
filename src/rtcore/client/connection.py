"""One connection of a client, from `welcome` to its end."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import trio
import trio_websocket
from attrs import define, field

from rtcore.client.events import ReceivedEvent
from rtcore.client.feed import Feed
from rtcore.client.messages import (
    Message,
    decode_dropped,
    decode_error,
    decode_event,
    decode_message,
    field_of,
    object_of,
)
from rtcore.client.outbox import Outbox
from rtcore.client.settings import ClientSettings
from rtcore.client.transport import WatchedStream, closed_with
from rtcore.errors import (
    AuthenticationError,
    ConnectionClosed,
    ErrorCode,
    RemoteProtocolError,
    RequestError,
)
from rtcore.values.events import Json
from rtcore.values.opcodes import CloseCode

__all__ = ["ClientConnection"]

_log = logging.getLogger("rtcore.client")
_REFRESH_SHARE = 0.1  # of a token's remaining life: refreshed that long before its end


@define(eq=False)
class ClientConnection:
    """
    Tasks of one connection: reader, writer, life signs, and one per subscription.

    Whichever sees the end first says why, and all end.
    """

    websocket: trio_websocket.WebSocketConnection
    stream: WatchedStream
    settings: ClientSettings
    outbox: Outbox
    feeds: Mapping[str, Feed]
    """Subscriptions by channel; the client's own, which changes."""
    token: Callable[[], Awaitable[str]] | None
    fresh_tokens: bool
    """Whether `token` brings a new one each time."""
    wall_clock: Callable[[], float]
    on_open: Callable[[], None]
    """Called once the server takes requests."""
    identifier: str = field(default="", init=False)
    """What the server calls this connection, in its logs too."""
    received: int = field(default=0, init=False)
    sent: int = field(default=0, init=False)
    _welcome: Message = field(factory=dict, init=False)
    _welcomed: trio.Event = field(factory=trio.Event, init=False)
    _nursery: trio.Nursery | None = field(default=None, init=False)
    _open: bool = field(default=False, init=False)
    _ending: Exception | None = field(default=None, init=False)

    async def run(self, deadline: float) -> Exception:
        """
        Serve until the connection ends; returns why.

        Args:
            deadline: Time by which `auth` must have succeeded, in seconds of Trio's clock.
        """
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._read)
            nursery.start_soon(self._write)
            nursery.start_soon(self._begin, deadline)
        self._nursery = None
        return self._ending or ConnectionClosed(CloseCode.NORMAL, "the client was closed")

    def leave(self) -> None:
        """End it from this side."""
        self._end(ConnectionClosed(CloseCode.NORMAL, "the client was closed"))

    def follow(self, feed: Feed) -> None:
        """Look after a subscription while the connection lasts; before it is open it will do so by itself."""
        if self._open and self._nursery is not None and feed.error is None:
            feed.scope = trio.CancelScope()
            self._nursery.start_soon(self._follow, feed, feed.scope)

    # -- its tasks

    async def _begin(self, deadline: float) -> None:
        with self._ends_connection():
            with trio.fail_at(deadline):
                await self._welcomed.wait()
                expires_at = await self._authenticate()
            limits = self._welcome.get("limits")
            self._obey(limits if isinstance(limits, dict) else {})
            self._open = True
            self.on_open()
            for feed in dict.fromkeys(self.feeds.values()):
                self.follow(feed)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._give_life_signs)
                if self.fresh_tokens and expires_at is not None:
                    nursery.start_soon(self._refresh_tokens, expires_at)

    async def _read(self) -> None:
        with self._ends_connection():
            while True:
                text = await self.websocket.get_message()
                self.received += 1
                await self._dispatch(decode_message(text))

    async def _write(self) -> None:
        with self._ends_connection():
            while True:
                text = await self.outbox.next_text()
                await self.websocket.send_message(text)
                self.sent += 1

    async def _give_life_signs(self) -> None:
        """
        A heartbeat keeps the server from closing an idle client, and its answer tells a dead server.

        Silence counts only while the reader waits for bytes: a slow consumer may keep it from reading.
        """
        wish = self._welcome.get("heartbeat_seconds")
        interval = float(wish) if isinstance(wish, (int, float)) and wish > 0 else self.settings.heartbeat_seconds
        with self._ends_connection():
            while True:
                await trio.sleep(interval)
                asked_at = trio.current_time()
                self.outbox.control("heartbeat", {})
                await trio.sleep(min(self.settings.silence_seconds, interval))
                silent_since = self.stream.waiting_since
                if silent_since is not None and silent_since <= asked_at:
                    raise ConnectionClosed(CloseCode.ABNORMAL, "the server fell silent")

    async def _refresh_tokens(self, expires_at: float) -> None:
        while True:
            remaining = expires_at - self.wall_clock()
            await trio.sleep(max(remaining * (1 - _REFRESH_SHARE), 1.0))
            assert self.token is not None
            try:
                token = await self.token()
                reply = await self.outbox.request("refresh", {"token": token}, resend=False, urgent=True).wait()
            except (RequestError, ConnectionClosed, OSError) as error:
                # The present token may still be good; if not, the server closes, and the next connection asks anew.
                _log.warning("the token was not refreshed: %s", error)
                return
            expires_at = _expiry(reply) or math.inf

    async def _follow(self, feed: Feed, scope: trio.CancelScope) -> None:
        with scope, self._ends_connection():
            try:
                await self._subscribe(feed)
            except RequestError as error:
                feed.fail(error)
            else:
                if feed.repairs is not None:
                    await feed.repairs.run(self._replay, feed.deliver_repaired, feed.tell, feed.mailbox.wait_room)

    # -- requests of its own

    async def _authenticate(self) -> float | None:
        """Returns when the identity ends, in Unix seconds; None: never, or nobody asked."""
        if self._welcome.get("authentication") != "required":
            return None
        if self.token is None:
            raise AuthenticationError("the server requires a token", code=ErrorCode.AUTHENTICATION_REQUIRED)
        request = self.outbox.request("auth", {"token": await self.token()}, resend=False, urgent=True)
        return _expiry(await request.wait())

    async def _subscribe(self, feed: Feed) -> None:
        async def once() -> Message:
            feed.request = self.outbox.request("subscribe", feed.wire(), resend=False, on_reply=feed.begin)
            try:
                return await feed.request.wait()
            finally:
                self.outbox.forget(feed.request)

        await self._insist(once)

    async def _replay(self, data: dict[str, Json]) -> Message:
        async def once() -> Message:
            request = self.outbox.request("replay", data, resend=False)
            try:
                return await request.wait()
            finally:
                self.outbox.forget(request)

        return await self._insist(once)

    async def _insist(self, once: Callable[[], Awaitable[Message]]) -> Message:
        attempt = 1
        while True:
            try:
                return await once()
            except RequestError as error:
                if not error.transient or attempt >= self.settings.request_attempts:
                    raise
                await trio.sleep(error.retry_after or self.settings.backoff_seconds * 2**attempt)
                attempt += 1

    # -- what arrives

    async def _dispatch(self, message: Message) -> None:
        if "channel" in message:  # only events have one beside their type, and their type is the publisher's choice
            await self._deliver([decode_event(message)])
        elif message["type"] == "batch":
            await self._deliver([decode_event(event) for event in field_of(object_of(message), "events", list)])
        elif message["type"] == "dropped":
            await self._drop(object_of(message))
        elif message["type"] == "error":
            self._refuse(message)
        elif message["type"] == "welcome" and not self._welcomed.is_set():
            self._welcome = object_of(message)
            self.identifier = str(self._welcome.get("connection_id", ""))[:64]
            self._welcomed.set()
        elif isinstance(message.get("id"), str):
            self.outbox.answer(message["id"], object_of(message), None)
        elif message["type"] == "unsubscribed":
            self._lose(object_of(message))
        elif message["type"] in ("heartbeat", "connection.heartbeat"):
            self._settle(object_of(message).get("positions"))

    async def _deliver(self, events: list[ReceivedEvent]) -> None:
        for event in events:
            if (feed := self.feeds.get(event.channel)) is not None:
                feed.accept(event)
        for channel in {event.channel for event in events}:
            if (feed := self.feeds.get(channel)) is not None:
                await feed.mailbox.wait_room()

    async def _drop(self, data: Message) -> None:
        notice = decode_dropped(data, self.wall_clock())
        if (feed := self.feeds.get(notice.channel)) is not None:
            feed.accept_dropped(notice)
            await feed.mailbox.wait_room()

    def _settle(self, positions: object) -> None:
        if not isinstance(positions, dict):
            return
        for channel, position in positions.items():
            if isinstance(position, str) and (feed := self.feeds.get(channel)) is not None:
                feed.accept_position(channel, position)

    def _lose(self, data: Message) -> None:
        """The server ended subscriptions by itself, for a reason that it gives: a new token no longer allows them."""
        if "reason" not in data:  # the answer to an `unsubscribe` of our own; the channel may be subscribed to again
            return
        channels = data.get("channels")
        for channel in channels if isinstance(channels, list) else ():
            if isinstance(channel, str) and (feed := self.feeds.get(channel)) is not None:
                feed.fail(RequestError(ErrorCode.DENIED, f"the server ended the subscription to {channel}"))

    def _refuse(self, message: Message) -> None:
        error = decode_error(object_of(message))
        if isinstance(message.get("id"), str):
            self.outbox.answer(message["id"], None, error)
        elif error.code is ErrorCode.RATE:
            self.outbox.refuse_oldest(error)
        else:
            _log.warning("the server reports %s: %s", error.code.value, error.message)

    # -- its end

    def _obey(self, limits: dict[str, Any]) -> None:
        rate, burst, size = (limits.get(name) for name in ("messages_per_second", "message_burst", "message_bytes"))
        share = self.settings.request_share
        self.outbox.maximum_bytes = size if isinstance(size, int) and size > 0 else None
        self.outbox.connected(
            rate * share if isinstance(rate, (int, float)) and rate > 0 else None,
            int(burst * share) if isinstance(burst, int) else None,
        )

    @contextmanager
    def _ends_connection(self) -> Iterator[None]:
        """Whatever the network or the server does wrong in the block ends the connection, and nothing else."""
        try:
            yield
        except trio_websocket.ConnectionClosed as error:
            self._end(closed_with(error))
        except trio.TooSlowError:
            limit = self.settings.connect_seconds
            self._end(ConnectionClosed(CloseCode.ABNORMAL, f"no `welcome` and `auth_success` within {limit:g} s"))
        except (ConnectionClosed, RemoteProtocolError, RequestError, OSError) as error:
            self._end(error)

    def _end(self, error: Exception) -> None:
        if self._ending is None:
            self._ending = error
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()


def _expiry(reply: Message) -> float | None:
    value = reply.get("expires_at")
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
