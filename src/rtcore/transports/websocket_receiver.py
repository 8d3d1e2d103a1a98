"""
The receiving half of a WebSocket connection: what comes in, and who handles it.

Bytes are pushed here by whoever reads them: the driver of all sockets, or, over a stream, the connection's own task.
Pings and closes are dealt with at once. Messages go to a `Conversation`, at once as well, or are kept for a handler
that awaits `receive`. Both take their turns: a segment of 64 KiB may hold sixty messages that inflate to a megabyte
each, or ask for a hundred replies of that size, so after some work the rest waits until everybody else has run.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Awaitable
from typing import Final

import trio

from rtcore.errors import ConnectionClosed
from rtcore.hub.encoding import FrameEncoding
from rtcore.hub.hub import Hub
from rtcore.protocol.connection_state import ConnectionState
from rtcore.protocol.protocol_events import CloseReceived, MessageReceived, PingReceived, ProtocolEvent, ProtocolFailed
from rtcore.transports.conversation import Conversation
from rtcore.transports.transport import Transport
from rtcore.transports.websocket_sender import WebSocketSender
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode

__all__ = ["WebSocketReceiver"]

logger = logging.getLogger("rtcore.connection")

_PORTION_BYTES: Final = 64 * 1024
"""Messages handled in one turn, in bytes inflated: as much as one read brings uncompressed."""
_MESSAGE_BYTES: Final = 64
"""What a message counts for beside its own bytes, since handling it costs something too."""
_TURN_SECONDS: Final = 0.005
"""How long one client's messages are handled before everybody else has a turn: replies may cost more than messages."""


class WebSocketReceiver(WebSocketSender):
    """
    Args:
        hub: Where it may subscribe.
        transport: Carries the bytes.
        state: The protocol's state, after the handshake.
        encoding: Wire form of shared frames that this peer understands.
        connection_id: Unique name for logs and statistics.
        limits: Bounds of this connection.
        opening: Bytes that leave before the first frame: the answer to the handshake.
        early: Bytes that came after the handshake's request.
    """

    __slots__ = (
        "_awaited",
        "_connection_id",
        "_end_of_stream",
        "_finishing",
        "_last_word",
        "_left_reading",
        "_messages",
        "_reading",
        "_scope",
        "conversation",
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
        opening: bytes = b"",
        early: bytes = b"",
    ) -> None:
        super().__init__(hub, transport, state, encoding, limits=limits, opening=opening)
        self.conversation: Conversation | None = None
        """What handles its messages; None: a handler that awaits `receive`."""
        self._connection_id = connection_id
        self._awaited: Awaitable[None] | None = None
        self._scope: trio.CancelScope | None = None  # cancelled when it is lost while its task waits for something else
        self._messages: list[MessageReceived] | None = None  # an idle connection has none
        self._last_word: CloseReceived | ProtocolFailed | None = None
        self._end_of_stream = False
        self._reading = False
        self._finishing = False
        self._left_reading = self.timers.last_received
        state.feed(early)
        if transport.slot is not None:
            transport.slot.owner = self  # what comes before its task has begun is its already

    @property
    def connection_id(self) -> str:
        """Unique name for logs and statistics."""
        return self._connection_id

    @abstractmethod
    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; idempotent."""

    @abstractmethod
    def _begin_closing(self) -> None:
        """The connection is ending: nothing more is owed to it but its last words."""

    # For a handler's task

    async def receive(self) -> list[MessageReceived]:
        """
        The next messages, one or more; pings are answered on the way. A checkpoint.

        What came in one read is given out in portions of some 64 KiB of inflated messages, with a checkpoint between.

        Cancelled, it has taken nothing. One task may receive at a time.

        Raises:
            ConnectionClosed: If the connection is over; messages that came before that are given out first.
        """
        self._begin_reading()
        try:
            if self._state.pending or self._last_word is not None:
                await trio.lowlevel.checkpoint()
                self._take_messages()
            while not self._messages:
                self._check_last_word()
                self._transport.watch_input(True)
                await self._transport.wait_input()
            messages, self._messages = self._messages, None
            return messages
        finally:
            self._end_reading()

    def next_wait(self) -> Awaitable[object]:
        """
        Handle what is there, as far as it can be handled now; what the connection's task awaits before it asks again.

        Raises:
            ConnectionClosed: If the connection is over, and what came before that is handled.
        """
        self._end_reading()
        self.flush()
        if self._state.pending and self._awaited is None and not self.crowded:
            self._handle_messages(trio.current_time())
            self.flush()
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            return self._wait_for(awaited)
        if self.crowded:
            return self.wait_room()
        if self._state.pending and self.ended is None:
            return trio.lowlevel.checkpoint()  # noqa: ASYNC105  # its caller awaits it
        self._check_last_word()
        self._was_away()
        self._reading = True
        self._transport.watch_input(True)
        return self._transport.wait_input()

    async def _wait_for(self, awaited: Awaitable[None]) -> None:
        """A command that has to wait; given up when the connection is lost."""
        if self._scope is not None:
            await awaited
            return
        try:
            with trio.CancelScope() as self._scope:
                await awaited
        finally:
            self._scope = None

    def _lose(self, reason: str) -> None:
        """It is gone, and with it the place that its task waits at: nobody is there to be answered."""
        super()._lose(reason)
        if self._scope is not None:
            self._scope.cancel()

    def _begin_reading(self) -> None:
        """From now on what comes is handled, or kept, at once. Until now a pong could not be seen, nor a message."""
        self._was_away()
        self.flush()
        self._reading = True

    def _end_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._left_reading = trio.current_time()

    def _was_away(self) -> None:
        now = trio.current_time()
        self.timers.away(now - self._left_reading)
        self._left_reading = now

    # For whoever reads

    def data_received(self, data: bytes) -> None:
        """The next bytes came."""
        state = self._state
        now = self.timers.last_received = trio.current_time()
        state.feed(data)
        if not self._reading or self.conversation is None or state.close_sent:
            self._keep()
            return
        self._handle_messages(now)
        self.flush()
        if self._awaited is not None or self.blocked or self.ended is not None or state.pending or state.close_sent:
            self._leave_to_task()

    def _keep(self) -> None:
        """What was fed is for the handler's task, or for nobody any more."""
        state = self._state
        if self._finishing or state.close_sent:
            self._discard_messages()
        elif not self._reading:
            self._transport.watch_input(False)  # one read ahead of the handler is enough: the rest waits at the peer
        else:
            self._take_messages()
            if self._messages or state.pending or self._ending:
                self._end_portion()
            elif state.control_pending:
                self.flush()

    def _leave_to_task(self) -> None:
        if self._awaited is not None or self._state.pending or self._ending or self.crowded:
            self._end_reading()
            self._end_portion()

    def _end_portion(self) -> None:
        """The connection's task goes on; if it has something left to do, nothing more is read meanwhile."""
        self._transport.wake()
        if self._state.pending:
            self._transport.watch_input(False)

    @property
    def _ending(self) -> bool:
        return self._last_word is not None or self.ended is not None or self._end_of_stream

    def _take_messages(self) -> None:
        """Keep what was fed for the handler, a portion of it; nothing any more once our close frame is on its way."""
        if self._state.close_sent:
            self._discard_messages()
            return
        left = _PORTION_BYTES
        count = 0
        while left > 0 and (event := self._state.next_event()) is not None:
            if isinstance(event, MessageReceived):
                left -= len(event.data) + _MESSAGE_BYTES
                count += 1
                if self._messages is None:
                    self._messages = []
                self._messages.append(event)
            else:
                left -= _MESSAGE_BYTES
                self.heard(event)
        if count:
            self._state.count_messages(count)
            self.timers.last_message = trio.current_time()

    def _handle_messages(self, began: float) -> None:
        """Handle what was fed, one message after the other, until one has to be awaited or the turn is over."""
        state, broadcaster = self._state, self._hub.broadcaster
        assert self.conversation is not None, "only asked for where there is one"
        broadcaster.attended = self
        try:
            self._awaited = state.hand_on(self.conversation, self, began)
        finally:
            broadcaster.attended = None
        if state.handed_on:
            self.timers.last_message = began

    def turn_over(self, left: int, began: float) -> bool:
        """Asked after each message that was not the last: replies must not pile up, nor others wait for long."""
        if self.crowded:
            self.flush()
            if self.crowded:
                return True
        return left <= 0 or trio.current_time() - began > _TURN_SECONDS

    def heard(self, event: ProtocolEvent) -> None:
        """Something came that is no message."""
        if isinstance(event, PingReceived):
            self._state.traffic.pings_in += 1
            if self.conversation is not None:
                self.conversation.pinged()
        elif isinstance(event, CloseReceived | ProtocolFailed):
            self._last_word = event
            self._hub.detach(self)  # it can be sent no events any more, so none may count as sent

    def _discard_messages(self) -> None:
        """Once it is closing only the peer's own end is of interest; messages are not even inflated."""
        while (event := self._state.next_control()) is not None:
            if isinstance(event, CloseReceived | ProtocolFailed):
                self._last_word = event
        self._transport.wake()

    def eof_received(self) -> None:
        """The peer will send nothing more; what it sent before is handled first, and answered."""
        self._end_of_stream = True
        if self._finishing:
            self._state.receive_eof()
        self._transport.wake()

    def lost(self, error: OSError) -> None:
        """The transport is broken."""
        self._lose(f"the socket is gone: {error.strerror or error}")

    def failed(self, error: Exception) -> None:
        """What came could not be dealt with, through a fault of ours: close, and tell the log alone."""
        self._end_reading()
        self._fail(error)
        self._transport.wake()

    def undeliverable(self) -> None:
        """Close, with nothing of what it is owed."""
        self._hub.detach(self)
        self._state.traffic.errors += 1
        try:
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
            self._transport.wake()
        except Exception:
            self._lose("internal error")
            raise

    def _fail(self, error: BaseException) -> None:
        self._state.traffic.errors += 1
        logger.error("connection %s: its handler failed", self._connection_id, exc_info=error)
        self.close(CloseCode.INTERNAL_ERROR, "internal error")

    def _check_last_word(self) -> None:
        """The peer's last word takes effect once the messages before it were handled, and answered."""
        self._heed_last_word()
        if self._end_of_stream:
            self._state.receive_eof()
            self.ended = self.ended or ConnectionClosed(CloseCode.ABNORMAL, "end of stream without a close frame")
            self._begin_closing()  # it may still read: what waits for it leaves
            self._made_progress()
        self._check_ended()

    def _heed_last_word(self) -> None:
        if self._last_word is None:
            return
        event, self._last_word = self._last_word, None
        if isinstance(event, ProtocolFailed):
            self._state.traffic.errors += 1
            logger.info("connection %s: closing with %d: %s", self._connection_id, event.code, event.reason)
        self.ended = self.ended or ConnectionClosed(event.code, event.reason)
        self._begin_closing()
