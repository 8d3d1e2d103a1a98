"""
The Python client: one object over as many connections as it takes.

`connect` opens a nursery whose one task keeps a connection: it dials, authenticates, subscribes again from the last
positions, and when the connection ends it waits and begins anew. What the program does with the client (publish,
request, iterate over subscriptions) waits for the connection where it must, and fails only when there will be none.
"""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import trio

from rtcore.client.backoff import Backoff
from rtcore.client.connection import ClientConnection
from rtcore.client.endings import judge_ending
from rtcore.client.feed import Feed
from rtcore.client.mailbox import Mailbox
from rtcore.client.messages import Message, batch_to_wire, decode_outcome, since_to_wire
from rtcore.client.outbox import Outbox
from rtcore.client.repair import Repairs
from rtcore.client.settings import ClientSettings
from rtcore.client.state import ClientState, ClientStatistics
from rtcore.client.subscription import Subscription
from rtcore.client.tokens import Token, get_token
from rtcore.client.transport import Address, OpenStream, open_websocket
from rtcore.errors import (
    ConnectionClosed,
    ErrorCode,
    HandshakeRefused,
    LocalProtocolError,
    RequestError,
)
from rtcore.hub.results import Batch, PublishOutcome
from rtcore.values.channels import check_channel_name
from rtcore.values.events import Json, Lane
from rtcore.values.opcodes import CloseCode
from rtcore.values.positions import Position, Since

__all__ = ["Client"]


class Client:
    """A client of one server; made by `connect`."""

    def __init__(
        self,
        address: Address,
        *,
        token: Token | None,
        settings: ClientSettings,
        ssl_context: ssl.SSLContext | None,
        open_stream: OpenStream | None,
        on_change: Callable[[ClientState, str], None] | None,
    ) -> None:
        self.settings = settings
        self._address = address
        self._token = token
        self._ssl_context = ssl_context
        self._open_stream = open_stream
        self._on_change = on_change
        self._state = ClientState.CONNECTING
        self._state_changed = trio.lowlevel.ParkingLot()
        self._end: Exception | None = None
        self._leaving = False
        self._attempt: trio.CancelScope | None = None
        self._connection: ClientConnection | None = None
        self._opened_at: float | None = None
        self._feeds: dict[str, Feed] = {}
        self._outbox = Outbox(on_request=self._let_readers_on)
        self._slots = trio.Semaphore(settings.queue_messages)
        self._backoff = Backoff(settings, random.uniform)
        self._connections = 0
        self._received = 0
        self._sent = 0
        self._last_ending = ""

    @property
    def state(self) -> ClientState:
        """What the client is doing."""
        return self._state

    async def wait_connected(self) -> None:
        """
        Wait until requests can be sent; a checkpoint. Cancelling it changes nothing.

        Raises:
            AuthenticationError: If the server refused the token.
            HandshakeRefused: If it refused the connection for good.
            ConnectionClosed: If it closed the connection for good, or the client's block was left.
        """
        await trio.lowlevel.checkpoint()
        while self._state is not ClientState.CONNECTED:
            if self._end is not None:
                raise self._end.with_traceback(None)
            await self._state_changed.park()

    async def publish(
        self,
        channel: str,
        type: str,
        data: Json = None,
        *,
        lane: Lane | None = None,
        key: str | None = None,
        timeout_seconds: float | None = None,
    ) -> PublishOutcome:
        """
        Publish an event and return what became of it; a checkpoint.

        Waits while `queue_messages` requests await their reply, and while there is no connection. At least once: if the
        connection ends between the event and its reply, it is published again on the next one. Cancelled, the event is
        not published if it has not left yet; if it has, nobody knows.

        Raises:
            RequestError: If the server refuses, or keeps answering with transient errors; if JSON cannot carry `data`.
            ConnectionClosed, AuthenticationError, HandshakeRefused: If there will be no connection any more.
        """
        body: dict[str, Json] = {"channel": channel, "type": type, "data": data}
        if lane is not None:
            body["lane"] = lane.name.lower()
        if key is not None:
            body["key"] = key
        return decode_outcome(await self.request("publish", body, timeout_seconds=timeout_seconds))

    async def request(self, type: str, data: Mapping[str, Json], *, timeout_seconds: float | None = None) -> Message:
        """
        Send any request of the protocol and return its reply's `data`; a checkpoint.

        Transient errors are tried again after the time that the server names, `request_attempts` times in all. At least
        once, and cancelled, as `publish`.

        Args:
            type: Such as `history`.
            data: As in the protocol.
            timeout_seconds: For everything, the waits for a connection included; None: as long as it takes.

        Raises:
            RequestError: The server's answer, or `server.timeout`; `request.malformed` if JSON cannot carry `data`.
            ConnectionClosed, AuthenticationError, HandshakeRefused: If there will be no connection any more.
        """
        with trio.move_on_after(float("inf") if timeout_seconds is None else timeout_seconds):
            async with self._slots:
                return await self._request(type, dict(data))
        raise RequestError(ErrorCode.TIMEOUT, f"no reply to `{type}` within {timeout_seconds:g} s")

    @asynccontextmanager
    async def subscribe(
        self,
        *channels: str,
        where: Mapping[str, Json] | None = None,
        since: Since | Position | str | Mapping[str, Json] | None = None,
        batch: Batch | bool = False,
        repair: bool = False,
    ) -> AsyncIterator[Subscription]:
        """
        Subscribe to channels; leaving the block unsubscribes.

        Entering waits for the server's confirmation. A channel can be in one subscription of a client at a time.

        Args:
            channels: Their names, at least one.
            where: Filter, evaluated by the server.
            since: Where to begin; None: with what comes next. A position, or the wire form of `docs/protocol.md`.
            batch: Let the server put events together: True for its own window.
            repair: Ask for dropped events again, and yield them late, with `repaired` true; only what history no longer
                holds is told as dropped.

        Raises:
            ValueError: If there is no channel, or a name cannot be one.
            LocalProtocolError: If this client is subscribed to one of them already.
            RequestError: If the server refuses.
            ConnectionClosed, AuthenticationError, HandshakeRefused: If there will be no connection any more.
        """
        feed = Feed(
            channels=tuple(dict.fromkeys(map(check_channel_name, channels))),
            where=None if where is None else dict(where),
            since=None if since is None else since_to_wire(since),
            batch=batch_to_wire(batch),
            mailbox=Mailbox(self.settings.buffer_events, self.settings.buffer_maximum_events, self._reply_is_awaited),
            repairs=Repairs(self.settings.repairs) if repair else None,
            wall_clock=time.time,
        )
        self._enter(feed)
        try:
            await feed.begun.wait()
            if feed.error is not None:
                raise feed.error
            yield Subscription(feed, self.request)
        finally:
            self._exit(feed)

    def statistics(self) -> ClientStatistics:
        """A snapshot of what the client did."""
        connection = self._connection
        return ClientStatistics(
            state=self._state,
            connections=self._connections,
            messages_received=self._received + (connection.received if connection else 0),
            messages_sent=self._sent + (connection.sent if connection else 0),
            pending=len(self._outbox.requests),
            connection_id=connection.identifier if connection else "",
            last_ending=self._last_ending,
        )

    # -- requests and subscriptions

    async def _request(self, kind: str, data: dict[str, Json]) -> Message:
        for attempt in range(1, self.settings.request_attempts + 1):
            request = self._outbox.request(kind, data, resend=True)
            try:
                return await request.wait()
            except RequestError as error:
                if not error.transient or attempt == self.settings.request_attempts:
                    raise
                delay = error.retry_after or self.settings.backoff_seconds * 2**attempt
            finally:
                self._outbox.forget(request)
            # Many that were refused together must not come back together.
            await trio.sleep(delay + random.uniform(0, delay / 2))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _reply_is_awaited(self) -> bool:
        return bool(self._outbox.requests)

    def _let_readers_on(self) -> None:
        for feed in self._feeds.values():
            feed.mailbox.look_again()

    def _enter(self, feed: Feed) -> None:
        if not feed.channels:
            raise ValueError("a subscription needs at least one channel")
        for channel in feed.channels:
            if channel in self._feeds:
                raise LocalProtocolError(f"this client is already subscribed to {channel!r}")
        if self._end is not None:
            raise self._end.with_traceback(None)
        self._feeds.update(dict.fromkeys(feed.channels, feed))
        if self._connection is not None:
            self._connection.follow(feed)

    def _exit(self, feed: Feed) -> None:
        for channel in feed.channels:
            self._feeds.pop(channel, None)
        subscribed = feed.active
        if feed.request is not None and not feed.active:
            subscribed = self._outbox.forget(feed.request)
        if feed.scope is not None:
            feed.scope.cancel()
        if subscribed and self._state is ClientState.CONNECTED:
            self._outbox.control("unsubscribe", {"channels": list(feed.channels)})
        feed.fail(trio.ClosedResourceError("the subscription's block was left"))

    # -- the connection

    async def keep_connected(self) -> None:
        """Connect again and again until that makes no sense any more; `connect` runs it, once."""
        try:
            while not self._leaving:
                error = await self._connect_once()
                self._note_loss(error)
                if self._leaving:
                    return
                ending = judge_ending(error, new_token_possible=callable(self._token))
                self._last_ending = ending.reason
                if ending.final is not None:
                    self._close(ending.final)
                    return
                delay = self._backoff.next_delay(trio.current_time(), asked=ending.retry_after)
                self._change(ClientState.WAITING, f"{ending.reason}; trying again in {delay:.1f} s")
                with trio.CancelScope() as self._attempt:
                    await trio.sleep(delay)
        finally:
            self._close(ConnectionClosed(CloseCode.NORMAL, "the client was closed"))

    def leave(self) -> None:
        """End the connection and all that waits for one; `connect` calls it when its block is left."""
        self._leaving = True
        if self._connection is not None:
            self._connection.leave()
        elif self._attempt is not None:
            self._attempt.cancel()

    async def _connect_once(self) -> Exception:
        self._change(ClientState.CONNECTING, "")
        deadline = trio.current_time() + self.settings.connect_seconds
        error: Exception = ConnectionClosed(CloseCode.NORMAL, "the client was closed")
        with trio.CancelScope() as self._attempt:
            try:
                async with open_websocket(
                    self._address,
                    self.settings,
                    deadline=deadline,
                    ssl_context=self._ssl_context,
                    open_stream=self._open_stream,
                ) as (websocket, stream):
                    self._connection = ClientConnection(
                        websocket=websocket,
                        stream=stream,
                        settings=self.settings,
                        outbox=self._outbox,
                        feeds=self._feeds,
                        token=self._get_token if self._token is not None else None,
                        fresh_tokens=callable(self._token),
                        wall_clock=time.time,
                        on_open=self._opened,
                    )
                    error = await self._connection.run(deadline)
                    self._disconnect()
            except (OSError, HandshakeRefused, ConnectionClosed) as failure:
                error = failure
        return error

    async def _get_token(self) -> str:
        assert self._token is not None, "asked only where there is one"
        return await get_token(self._token)

    def _opened(self) -> None:
        self._connections += 1
        self._opened_at = trio.current_time()
        self._change(ClientState.CONNECTED, "")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._received += self._connection.received
            self._sent += self._connection.sent
            self._connection = None

    def _note_loss(self, error: Exception) -> None:
        self._disconnect()
        if self._opened_at is not None:
            self._backoff.connected_for(trio.current_time() - self._opened_at)
            self._opened_at = None
        closed = error if isinstance(error, ConnectionClosed) else ConnectionClosed(CloseCode.ABNORMAL, str(error))
        self._outbox.disconnected(closed)
        for feed in self._feeds.values():
            feed.suspend()

    def _close(self, error: Exception) -> None:
        if self._end is None:
            self._end = error
            self._outbox.fail_all(error)
            for feed in dict.fromkeys(self._feeds.values()):
                feed.fail(error)
            self._change(ClientState.CLOSED, str(error))

    def _change(self, state: ClientState, why: str) -> None:
        self._state = state
        self._state_changed.unpark_all()
        if self._on_change is not None:
            self._on_change(state, why)
