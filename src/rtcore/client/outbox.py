"""What waits to be sent, and for a reply: over as many connections as it takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio
from attrs import define, field

from rtcore._fast import TokenBucket
from rtcore.client.messages import Message, encode_message
from rtcore.errors import ConnectionClosed, ErrorCode, RequestError
from rtcore.values.events import Json

__all__ = ["Outbox", "Request"]


@define(eq=False)
class Request:
    """A message that awaits its reply."""

    identifier: str
    text: str
    resend: bool
    """Whether it is sent again on the next connection if this one ends before its reply; otherwise it fails."""
    on_reply: Callable[[Message], None] | None = None
    """Called by the reader, before it reads on, with the `data` of a reply that is no error."""
    sent: bool = field(default=False, init=False)
    """Whether it has left on the present connection."""
    done: trio.Event = field(factory=trio.Event, init=False)
    reply: Message = field(factory=dict, init=False)
    error: Exception | None = field(default=None, init=False)

    async def wait(self) -> Message:
        """
        The reply's `data`; a checkpoint.

        Raises:
            RequestError: The server's answer, if it is an error.
            ConnectionClosed: If no reply can come any more.
        """
        await self.done.wait()
        if self.error is not None:
            raise self.error
        return self.reply

    def finish(self, reply: Message | None, error: Exception | None) -> None:
        """Answer it."""
        self.error = error
        if reply is not None:
            self.reply = reply
            if self.on_reply is not None:
                self.on_reply(reply)
        self.done.set()


@define(eq=False)
class Outbox:
    """
    Requests in the order of their making, and control messages (`auth`, `heartbeat`, `unsubscribe`) that go first.

    Requests leave only while the connection is ready, and no faster than the server's rate limit lets them.
    """

    on_request: Callable[[], None]
    """Called after a request was added."""
    maximum_bytes: int | None = None
    """Longest message that the server takes; None while it has not said so."""
    requests: dict[str, Request] = field(factory=dict, init=False)
    """All that await a reply, oldest first."""
    _control: deque[str] = field(factory=deque, init=False)
    _unsent: deque[Request] = field(factory=deque, init=False)
    _ready: bool = field(default=False, init=False)
    _pace: TokenBucket | None = field(default=None, init=False)
    _changed: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)
    _identifiers: int = field(default=0, init=False)
    _end: Exception | None = field(default=None, init=False)

    def request(
        self,
        kind: str,
        data: dict[str, Json],
        *,
        resend: bool,
        on_reply: Callable[[Message], None] | None = None,
        urgent: bool = False,
    ) -> Request:
        """
        Add a request; `urgent` ones go with the control messages, and are not resent.

        Raises:
            RequestError: If the message is longer than the server takes, or `data` holds what JSON cannot carry.
            Exception: What `fail_all` was called with, if it was.
        """
        if self._end is not None:
            raise self._end.with_traceback(None)
        self._identifiers += 1
        identifier = str(self._identifiers)
        text = encode_message(kind, data, identifier)
        self._check_size(text)
        request = Request(identifier, text, resend and not urgent, on_reply)
        self.requests[identifier] = request
        if urgent:
            request.sent = True
            self._control.append(request.text)
        else:
            self._unsent.append(request)
        self._changed.unpark_all()
        self.on_request()
        return request

    def control(self, kind: str, data: dict[str, Json]) -> None:
        """Add a message without a reply; it is lost with the connection."""
        self._control.append(encode_message(kind, data))
        self._changed.unpark_all()

    def forget(self, request: Request) -> bool:
        """
        Nobody waits for it any more: it is not sent if it was not yet, and its reply is left out.

        Returns:
            Whether it has left already.
        """
        self.requests.pop(request.identifier, None)
        if request not in self._unsent:
            return True
        self._unsent.remove(request)
        return False

    def answer(self, identifier: str, reply: Message | None, error: Exception | None) -> None:
        """Hand a reply to whoever waits for it; one that nobody waits for is left out."""
        request = self.requests.pop(identifier, None)
        if request is not None:
            request.finish(reply, error)

    def refuse_oldest(self, error: RequestError) -> None:
        """
        Answer a refusal that names no request: the server did not read the message, because it came too fast.

        It deals with messages in their order, so the oldest that was sent is meant. If it was a message without a reply
        instead, that request is sent again although it was carried out: at least once, as always.
        """
        oldest = next((request for request in self.requests.values() if request.sent), None)
        if oldest is not None:
            self.answer(oldest.identifier, None, error)

    def connected(self, rate: float | None, burst: int | None) -> None:
        """
        Requests may leave.

        Args:
            rate: Requests a second; None for no limit.
            burst: Requests at once.
        """
        self._ready = True
        self._pace = None if rate is None else TokenBucket(rate, max(burst or 1, 1), trio.current_time())
        self._changed.unpark_all()

    def disconnected(self, error: ConnectionClosed) -> None:
        """The connection is gone: what can be resent waits for the next one, the rest fails."""
        self._ready = False
        self._control.clear()
        self._unsent.clear()
        for request in list(self.requests.values()):
            if request.resend:
                request.sent = False
                self._unsent.append(request)
            else:
                self.answer(request.identifier, None, error)

    def fail_all(self, error: Exception) -> None:
        """No connection will come any more; the first call decides what further requests raise."""
        self._end = self._end or error
        self._unsent.clear()
        for identifier in list(self.requests):
            self.answer(identifier, None, error)

    async def next_text(self) -> str:
        """
        The next message to send; waits for one, and for its turn under the rate limit. Cancelling takes nothing.

        One task at a time: the writer of the connection.
        """
        while True:
            if self._control:
                return self._control.popleft()
            if self._ready and self._unsent:
                delay = self._pace.wait(trio.current_time()) if self._pace is not None else 0.0
                if delay <= 0:
                    return self._take()
                # A rounding error of the bucket must not become a wait that a clock cannot tell from none.
                with trio.move_on_after(max(delay, 0.001)):
                    await self._changed.park()
            else:
                await self._changed.park()

    def _check_size(self, text: str) -> None:
        # Sent all the same, it would end the connection with 1009, and again after each reconnect.
        size = len(text.encode())
        if self.maximum_bytes is not None and size > self.maximum_bytes:
            raise RequestError(
                ErrorCode.TOO_LARGE, f"message of {size} bytes exceeds the server's limit of {self.maximum_bytes}"
            )

    def _take(self) -> str:
        if self._pace is not None:
            self._pace.take(trio.current_time())
        request = self._unsent.popleft()
        request.sent = True
        return request.text
