# cython: language_level=3, auto_pickle=False, annotation_typing=False
"""
The frames of one connection, both ways: bytes in to messages and control frames, messages out to the bytes of a write.

This is the part of a connection's state that every message goes through, so it has a compiled twin. What comes once in
a connection's life (how it closes), or once for many messages (compression, joining fragments), is left to a subclass,
which gives four methods: `_assemble`, `_encode_compressed`, `_receive_close` and `_fail`.

What leaves, leaves in this order: pongs and our ping, messages of its own, and last the close frame; nothing after it.
"""

from __future__ import annotations

from typing import Any

from rtcore.errors import LocalProtocolError, RemoteProtocolError

from .frame_writer import encode_frame
from .framing import FrameParser
from .peer_events import MessageReceived, PingReceived, PongReceived
from .utf8 import is_utf8

__all__ = ["FrameExchange"]

_TEXT = 0x1
_BINARY = 0x2
_CLOSE = 0x8
_PING = 0x9
_PONG = 0xA

_CONTROL_BYTES = 125
"""Longest payload of a control frame."""

_PONGS = 16
"""
Pings that are answered when none could be answered for a while: the newest. RFC 6455, section 5.5.3, asks for one.
"""

_NO_PARTS: list[tuple[int, bool, bool, bytes]] = []
"""Shared by all who have none, and never changed."""


class FrameExchange:
    """
    Args:
        maximum_message_bytes: Largest message from the peer, inflated, in bytes, 1 to 2**62.
        compression: Whether permessage-deflate was agreed.

    Raises:
        ValueError: If `maximum_message_bytes` is outside its range.
    """

    __slots__ = (
        "_assembling",
        "_close_frame",
        "_compression",
        "_outbox",
        "_parser",
        "_parts",
        "_ping",
        "_pongs",
        "_reading",
        "_taken",
        "close_sent",
        "close_taken",
        "outbox_bytes",
        "pings_received",
        "pongs_received",
    )

    close_sent: bool
    """Whether our close frame is queued or gone: nobody should begin anything new."""
    close_taken: bool
    """Whether our close frame was handed out to be written: nothing may be written after it."""
    outbox_bytes: int
    """Bytes of messages of its own that were queued and not taken yet."""
    pings_received: int
    """Pings of the peer, answered or not."""
    pongs_received: int
    """Pongs of the peer, asked for or not."""

    def __init__(self, maximum_message_bytes: int, compression: bool = False) -> None:
        self._parser = FrameParser(maximum_message_bytes, compression)
        self._compression = bool(compression)
        # Whether a message is open of which `_assemble` has some parts.
        self._assembling = False
        self._parts = _NO_PARTS
        self._taken = 0
        self._reading = True
        self._ping: bytes | None = None
        self._pongs: list[bytes] | None = None
        self._outbox: list[bytes] | None = None  # an idle connection has none
        self._close_frame: bytes | None = None
        self.outbox_bytes = 0
        self.pings_received = 0
        self.pongs_received = 0
        self.close_sent = False
        self.close_taken = False

    # What comes in

    def feed(self, data: bytes) -> None:
        """
        Take the next bytes from the peer, n >= 0, cut anywhere; `next_event` says what they complete.

        Raises:
            TypeError: If `data` is not `bytes`. No bytes raise anything.
        """
        if self._reading:
            parts = self._parser.feed(data)
            if self._taken < len(self._parts):
                parts = self._parts[self._taken :] + parts
            self._parts = parts
            self._taken = 0

    @property
    def pending(self) -> bool:
        """Whether `next_event` has parts to look at; they may complete nothing."""
        return self._taken < len(self._parts) or (self._reading and self._parser.failure is not None)

    def next_event(self) -> Any:  # Any: the subclass knows all kinds of events
        """The next event of what was fed; None when it completes nothing more. Inflates one message at most."""
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
            if not self.close_sent:
                if self._pongs is None:
                    self._pongs = []
                elif len(self._pongs) == _PONGS:
                    del self._pongs[0]
                self._pongs.append(payload)
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

    # What the subclass does

    def _assemble(self, opcode: int, last: bool, compressed: bool, payload: bytes) -> bytes | None:
        """Take a part of a message, the same arguments as `FrameParser.feed` returns; the message if it ended."""
        raise NotImplementedError

    def _encode_compressed(self, data: bytes, text: bool) -> bytes:
        """The frame of a message of our own; only asked where compression was agreed."""
        raise NotImplementedError

    def _receive_close(self, payload: bytes) -> Any:
        """The event of the peer's close frame."""
        raise NotImplementedError

    def _fail(self, error: RemoteProtocolError) -> Any:
        """The event of the peer's breach of the protocol."""
        raise NotImplementedError

    # What goes out

    def queue_message(self, data: bytes, text: bool = True) -> bool:
        """
        Queue a message of our own, compressed where that was agreed and saves something.

        Args:
            data: n >= 0 bytes; UTF-8 if `text`, which is not checked.
            text: Whether it is text or binary.

        Returns:
            False if our close frame was taken: nothing may follow it, and nothing is queued.
        """
        if self.close_taken:
            return False
        self.queue_frame(self._encode(data, text))
        return True

    def queue_frame(self, frame: bytes) -> None:
        """Queue what is to be written as it is, among the messages."""
        if self._outbox is None:
            self._outbox = [frame]
        else:
            self._outbox.append(frame)
        self.outbox_bytes += len(frame)

    def encode_message(self, data: bytes, text: bool = True) -> bytes:
        """
        The frame of a message of our own, compressed where that was agreed and saves something.

        Args:
            data: n >= 0 bytes; UTF-8 if `text`, which is not checked.
            text: Whether it is text or binary.

        Raises:
            LocalProtocolError: If our close frame was taken: nothing may follow it.
        """
        if self.close_taken:
            raise LocalProtocolError("no message may follow a close frame")
        return self._encode(data, text)

    def _encode(self, data: bytes, text: bool) -> bytes:
        if self._compression:
            return self._encode_compressed(data, text)
        return encode_frame(_TEXT if text else _BINARY, data)

    def queue_ping(self, payload: bytes = b"") -> None:
        """
        Queue a ping, in place of one that was not taken yet; nothing happens once a close frame is queued.

        Args:
            payload: 0 to 125 bytes, which the pong will repeat.

        Raises:
            LocalProtocolError: If the payload is too long.
        """
        if len(payload) > _CONTROL_BYTES:
            raise LocalProtocolError(f"ping of {len(payload)} bytes exceeds {_CONTROL_BYTES}")
        if not self.close_sent:
            self._ping = payload

    def queue_close(self, payload: bytes) -> None:
        """Queue our close frame, which has this payload."""
        self.close_sent = True
        self._close_frame = encode_frame(_CLOSE, payload)

    @property
    def control_pending(self) -> bool:
        """Whether `take_control` has something to write."""
        return self._close_frame is not None or self._pongs is not None or self._ping is not None

    def take_control(self, *, close: bool = True) -> bytes:
        """
        Control frames to write now, whole: pongs in the order of their pings, our ping, and last the close frame.

        Args:
            close: False to leave the close frame for later, while messages that came before it are being answered.

        Returns:
            n >= 0 bytes, which the caller writes, in one piece and before any other frame.
        """
        frames: list[bytes] = []
        self._take_answers(frames)
        if close:
            self._take_close(frames)
        return b"".join(frames)

    def take_outgoing(self, *, close: bool = True) -> bytes:
        """
        All that waits to be written, in order: pongs, our ping, the messages, and last the close frame.

        Args:
            close: False to leave the close frame for later, as with `take_control`.

        Returns:
            n >= 0 bytes, which the caller writes in one piece.
        """
        own = self._outbox
        self._outbox = None
        self.outbox_bytes = 0
        if self._pongs is None and self._ping is None and self._close_frame is None:
            if own is None:
                return b""
            return own[0] if len(own) == 1 else b"".join(own)
        frames: list[bytes] = []
        self._take_answers(frames)
        if own is not None:
            frames += own
        if close:
            self._take_close(frames)
        return b"".join(frames)

    def discard_messages(self) -> None:
        """Forget the messages that wait to be written."""
        self._outbox = None
        self.outbox_bytes = 0

    def _take_answers(self, frames: list[bytes]) -> None:
        if self._pongs is not None:
            for payload in self._pongs:
                frames.append(encode_frame(_PONG, payload))
            self._pongs = None
        if self._ping is not None:
            frames.append(encode_frame(_PING, self._ping))
            self._ping = None

    def _take_close(self, frames: list[bytes]) -> None:
        if self._close_frame is not None:
            frames.append(self._close_frame)
            self._close_frame = None
            self.close_taken = True
