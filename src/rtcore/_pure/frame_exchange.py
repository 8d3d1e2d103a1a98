# cython: language_level=3, auto_pickle=False, annotation_typing=False
"""
The frames of one connection, both ways: bytes in to messages and control frames, beside the outbox of what goes out.

This is the part of a connection's state that every message goes through, so it has a compiled twin. What comes once in
a connection's life (how it closes), or once for many messages (compression, joining fragments), is left to a subclass,
which gives four methods: `_assemble`, `_encode_compressed`, `_receive_close` and `_fail`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from rtcore.errors import RemoteProtocolError

from .frame_outbox import FrameOutbox
from .framing import FrameParser
from .peer_events import MessageReceived, PingReceived, PongReceived
from .traffic import Traffic
from .utf8 import is_utf8

__all__ = ["FrameExchange"]

_TEXT = 0x1
_CLOSE = 0x8
_PING = 0x9
_PONG = 0xA

_PORTION_BYTES = 64 * 1024
"""Messages handled in one turn, in bytes inflated: as much as one read brings uncompressed."""
_MESSAGE_BYTES = 64
"""What a message counts for beside its own bytes, since handling it costs something too."""

_NO_PARTS: list[tuple[int, bool, bool, bytes]] = []
"""Shared by all who have none, and never changed."""


if TYPE_CHECKING:

    class Handler(Protocol):
        """Whom the messages are for."""

        def handle(self, message: MessageReceived) -> Any:
            """Deal with a message; returns what has to be awaited before the next one, or None."""

    class Attendant(Protocol):
        """Who sees to all else, while messages are handed on."""

        def heard(self, event: Any) -> None:
            """Something came that is no message."""

        def turn_over(self, left: int, began: float) -> bool:
            """Whether what is left has to wait, a message having been handled: `left` bytes remain of the portion."""


class FrameExchange(FrameOutbox):
    """
    Args:
        maximum_message_bytes: Largest message from the peer, inflated, in bytes, 1 to 2**62.
        compression: Whether permessage-deflate was agreed.
        traffic: Where bytes and messages are counted, with those of other connections.

    Raises:
        ValueError: If `maximum_message_bytes` is outside its range.
    """

    __slots__ = (
        "_assembling",
        "_parser",
        "_parts",
        "_reading",
        "_taken",
        "bytes_received",
        "handed_on",
        "messages_received",
        "pings_received",
        "pongs_received",
    )

    bytes_received: int
    """Bytes that were fed."""
    handed_on: bool
    """Whether the last `hand_on` handed on a message."""
    messages_received: int
    """Messages that were handed on, or counted by whoever asked for them."""
    pings_received: int
    """Pings of the peer, answered or not."""
    pongs_received: int
    """Pongs of the peer, asked for or not."""

    def __init__(
        self, maximum_message_bytes: int, compression: bool = False, traffic: Traffic | None = None
    ) -> None:
        FrameOutbox.__init__(self, compression, traffic)
        self._parser = FrameParser(maximum_message_bytes, compression)
        # Whether a message is open of which `_assemble` has some parts.
        self._assembling = False
        self._parts = _NO_PARTS
        self._taken = 0
        self._reading = True
        self.bytes_received = 0
        self.handed_on = False
        self.messages_received = 0
        self.pings_received = 0
        self.pongs_received = 0

    def feed(self, data: bytes) -> None:
        """
        Take the next bytes from the peer, n >= 0, cut anywhere; `next_event` says what they complete.

        Raises:
            TypeError: If `data` is not `bytes`. No bytes raise anything.
        """
        self.bytes_received += len(data)
        self.traffic.bytes_in += len(data)
        if self._reading:
            parts = self._parser.feed(data)
            if self._taken < len(self._parts):
                parts = self._parts[self._taken :] + parts
            self._parts = parts
            self._taken = 0

    @property
    def pending(self) -> bool:
        """Whether `next_event` has parts to look at; they may complete nothing."""
        return self._has_more()

    def _has_more(self) -> bool:
        return self._taken < len(self._parts) or (self._reading and self._parser.failure is not None)

    def count_messages(self, count: int) -> None:
        """So many messages came of `next_event`, and were handed on."""
        self.messages_received += count
        self.traffic.messages_in += count

    def hand_on(self, handler: Handler, attendant: Attendant, began: float) -> Any:
        """
        Hand what was fed to a handler, one message after the other, until one has to be awaited or the turn is over.

        Args:
            handler: Given each message.
            attendant: Told of all that is no message; asked whether the turn is over while something is left.
            began: When the turn began, for the attendant.

        Returns:
            What the handler returned for the last message: None, or what has to be awaited before the next.

        Raises:
            BaseException: What one of the two raised.
        """
        left = _PORTION_BYTES
        awaited = None
        self.handed_on = False
        while not self.close_sent and not self.abandoned:
            event = self._next()
            if event is None:
                break
            left -= _MESSAGE_BYTES
            if type(event) is MessageReceived:
                message = event
                left -= len(message.data)
                self.handed_on = True
                self.messages_received += 1
                self.traffic.messages_in += 1
                awaited = handler.handle(message)
            else:
                attendant.heard(event)
            if awaited is not None or not self._has_more():
                break  # nearly always the only message of its segment
            if attendant.turn_over(left, began):
                break
        return awaited

    def next_event(self) -> Any:  # Any: the subclass knows all kinds of events
        """The next event of what was fed; None when it completes nothing more. Inflates one message at most."""
        return self._next()

    def _next(self) -> Any:
        if not self._reading:
            return None
        try:
            while self._taken < len(self._parts):
                opcode, last, compressed, payload = self._take_part()
                if opcode >= _CLOSE:
                    return self._receive_control(opcode, payload)
                if last and not compressed and not self._assembling:
                    if opcode == _TEXT and not is_utf8(payload):
                        raise RemoteProtocolError("text message is not UTF-8", close_code=1007)
                    return MessageReceived(opcode == _TEXT, payload)
                message = self._assemble(opcode, last, compressed, payload)
                self._assembling = message is None
                if message is not None:
                    return MessageReceived(opcode == _TEXT, message)
            if self._parser.failure is not None:
                raise self._parser.failure
        except RemoteProtocolError as error:
            return self._fail(error)
        return None

    def next_control(self) -> Any:  # Any: as `next_event`
        """As `next_event`, but messages are passed over unread: for a connection that is closing."""
        if not self._reading:
            return None
        try:
            while self._taken < len(self._parts):
                opcode, _, _, payload = self._take_part()
                if opcode >= _CLOSE:
                    return self._receive_control(opcode, payload)
            if self._parser.failure is not None:
                raise self._parser.failure
        except RemoteProtocolError as error:
            return self._fail(error)
        return None

    def _take_part(self) -> tuple[int, bool, bool, bytes]:
        """The next part; with the last one the list goes, so that an idle connection holds nothing."""
        part = self._parts[self._taken]
        self._taken += 1
        if self._taken == len(self._parts):
            self._parts = _NO_PARTS
            self._taken = 0
        return part

    def _receive_control(self, opcode: int, payload: bytes) -> Any:
        if opcode == _PING:
            self.pings_received += 1
            self._add_pong(payload)
            return PingReceived(payload)
        if opcode == _PONG:
            self.pongs_received += 1
            return PongReceived(payload)
        return self._receive_close(payload)

    def stop_reading(self) -> None:
        """What came after the last word is never told, so it is not held either."""
        self._reading = False
        self._parts = _NO_PARTS
        self._taken = 0

    def _assemble(self, opcode: int, last: bool, compressed: bool, payload: bytes) -> bytes | None:
        """Take a part of a message, the same arguments as `FrameParser.feed` returns; the message if it ended."""
        raise NotImplementedError

    def _receive_close(self, payload: bytes) -> Any:
        """The event of the peer's close frame."""
        raise NotImplementedError

    def _fail(self, error: RemoteProtocolError) -> Any:
        """The event of the peer's breach of the protocol."""
        raise NotImplementedError
