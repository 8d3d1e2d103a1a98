# cython: language_level=3, auto_pickle=False, annotation_typing=False
"""
What one connection sends that is its own: control frames and messages, made into frames and kept until they are taken.

They leave in this order: pongs and our ping, the messages, and last the close frame; nothing after it.
"""

from __future__ import annotations

from rtcore.errors import LocalProtocolError

from .frame_writer import encode_frame
from .socket_table import SocketSlot
from .traffic import Traffic

__all__ = ["FrameOutbox"]

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


class FrameOutbox:
    """
    Args:
        compression: Whether permessage-deflate was agreed: then a subclass gives `_encode_compressed`.
        traffic: Where bytes and messages are counted, with those of other connections.
    """

    __slots__ = (
        "_close_frame",
        "_compression",
        "_outbox",
        "_ping",
        "_pongs",
        "abandoned",
        "close_sent",
        "close_taken",
        "messages_sent",
        "outbox_bytes",
        "traffic",
    )

    abandoned: bool
    """Whether the connection is gone: nothing is handed on, nor written, any more."""
    close_sent: bool
    """Whether our close frame is queued or gone: nobody should begin anything new."""
    close_taken: bool
    """Whether our close frame was handed out to be written: nothing may be written after it."""
    messages_sent: int
    """Messages of its own that were queued."""
    outbox_bytes: int
    """Bytes of messages of its own that were queued and not taken yet."""
    traffic: Traffic
    """Where bytes and messages are counted, with those of other connections."""

    def __init__(self, compression: bool = False, traffic: Traffic | None = None) -> None:
        self._compression = bool(compression)
        self._outbox: list[bytes] | None = None  # an idle connection has none
        self._ping: bytes | None = None
        self._pongs: list[bytes] | None = None
        self._close_frame: bytes | None = None
        self.abandoned = False
        self.close_sent = False
        self.close_taken = False
        self.messages_sent = 0
        self.outbox_bytes = 0
        self.traffic = Traffic() if traffic is None else traffic

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
        self._append(self._encode(data, text))
        self.messages_sent += 1
        self.traffic.messages_out += 1
        return True

    def queue_frame(self, frame: bytes) -> None:
        """Queue what is to be written as it is, among the messages."""
        self._append(frame)

    def _append(self, frame: bytes) -> None:
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

    def _encode_compressed(self, data: bytes, text: bool) -> bytes:
        """The frame of a message of our own; only asked where compression was agreed."""
        raise NotImplementedError

    def queue_pong(self, payload: bytes) -> None:
        """Queue the answer to a ping, 0 to 125 bytes; of many that were not taken yet the newest stay."""
        self._add_pong(payload)

    def _add_pong(self, payload: bytes) -> None:
        if not self.close_sent:
            if self._pongs is None:
                self._pongs = []
            elif len(self._pongs) == _PONGS:
                del self._pongs[0]
            self._pongs.append(payload)

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

    def send_outgoing(self, slot: SocketSlot, close: bool) -> bytes | memoryview:
        """
        Write what `take_outgoing` gives to a socket.

        Returns:
            What the socket had no room for; empty if that was all.

        Raises:
            OSError: If the connection is broken or the slot closed.
        """
        data = self._take_all(close)
        if not data:
            return b""
        sent = slot.send(data)
        self.traffic.bytes_out += sent
        return memoryview(data)[sent:] if sent < len(data) else b""

    def take_outgoing(self, close: bool = True) -> bytes:
        """
        All that waits to be written, in order: pongs, our ping, the messages, and last the close frame.

        Args:
            close: False to leave the close frame for later, as with `take_control`.

        Returns:
            n >= 0 bytes, which the caller writes in one piece.
        """
        return self._take_all(close)

    def _take_all(self, close: bool) -> bytes:
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

    def abandon(self) -> None:
        """The connection is gone: forget the messages that wait to be written, and hand on no more."""
        self.abandoned = True
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
