"""
The server's side of one WebSocket connection after its handshake: bytes in, events out.

    bytes -> FrameParser -> parts -> MessageAssembler -> messages
                              |
                              +-> control frames: answered here

The caller reads from its socket and hands the bytes to `feed`; then `next_event` tells one by one what they complete,
and a message is inflated no sooner than it is asked for: sixty of a megabyte fit into one segment, and the caller may
let others have their turn between them. (`receive_data` does both at once.) Whenever
`control_pending` is true it writes what `take_control` returns, between two frames of its own and never inside one.
Messages of its own go through `encode_message`, or come ready-made from a view that has the connection's
`wire_encoding`. A peer that asks, and then closes or errs, all in one segment, is still owed its answers: the close
frame can be left (`take_control(close=False)`) until the messages before it are dealt with.

Closing, in the words of RFC 6455, section 7:
- the peer begins: its close frame is answered with the same code, and the connection is `closed` once the answer is
  taken;
- we begin (`start_close`): messages still come in until the peer's close frame, which makes the connection `closed`;
- the peer breaks the protocol: `ProtocolFailed`, a close frame that says why, nothing more is read, and the connection
  is `closed` once that frame is taken;
- the stream ends (`receive_eof`): `closed`, with 1006 where no close frame had gone either way.
A `closed` connection is one whose socket the caller closes. It should end its own direction first and wait a moment for
the peer's end: a socket that is closed with bytes unread takes back what it sent last, the close frame included.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from rtcore._fast import FrameParser, encode_frame
from rtcore.errors import LocalProtocolError, RemoteProtocolError
from rtcore.protocol.closing import encode_close_payload, parse_close_payload
from rtcore.protocol.compression import CompressionParameters, message_encoder
from rtcore.protocol.message_assembler import MessageAssembler, checked_message
from rtcore.protocol.protocol_events import (
    CloseReceived,
    MessageReceived,
    PingReceived,
    PongReceived,
    ProtocolEvent,
    ProtocolFailed,
)
from rtcore.protocol.statistics import ProtocolStatistics
from rtcore.values.opcodes import CloseCode, Opcode

__all__ = ["ConnectionState"]

_TEXT: Final = Opcode.TEXT.value
_CLOSE: Final = Opcode.CLOSE.value
_PING: Final = Opcode.PING.value
_PONG: Final = Opcode.PONG.value

_NO_PARTS: Final[Sequence[tuple[int, bool, bool, bytes]]] = ()

_PONGS: Final = 16
"""
Pings that are answered when none could be answered for a while: the newest. RFC 6455, section 5.5.3, asks for one.
"""


class ConnectionState:
    """
    One connection.

    Args:
        maximum_message_bytes: Largest message from the peer, inflated, in bytes, 1 to 2**62.
        compression: What the handshake agreed on; None for no compression.

    Raises:
        ValueError: If `maximum_message_bytes` is outside its range.
    """

    __slots__ = (
        "_assembler",
        "_close_frame",
        "_encoder",
        "_eof",
        "_failed",
        "_maximum_message_bytes",
        "_parser",
        "_parts",
        "_ping",
        "_pings_received",
        "_pongs",
        "_pongs_received",
        "_reading",
        "_taken",
        "close_code",
        "close_reason",
        "close_received",
        "close_sent",
        "close_taken",
    )

    close_code: int | None
    """Why the connection ends: the code of whoever began; 1006 where nobody said; None while it is open."""
    close_reason: str
    """The text that came with `close_code`."""
    close_received: bool
    """Whether the peer's close frame came: nothing is read after it."""
    close_sent: bool
    """Whether our close frame is queued or gone: nobody should begin anything new."""
    close_taken: bool
    """Whether our close frame was handed out by `take_control`: nothing may be written after it."""

    def __init__(self, *, maximum_message_bytes: int, compression: CompressionParameters | None = None) -> None:
        self._parser = FrameParser(maximum_message_bytes, compression is not None)
        # Made with the first message in several parts, or compressed: most connections are idle, and say little.
        self._assembler: MessageAssembler | None = None
        self._maximum_message_bytes = maximum_message_bytes
        self._encoder = message_encoder(compression)
        self._parts: Sequence[tuple[int, bool, bool, bytes]] = _NO_PARTS
        self._taken = 0
        self._ping: bytes | None = None
        self._pongs: deque[bytes] | None = None
        self._pings_received = 0
        self._pongs_received = 0
        self._close_frame: bytes | None = None
        self._eof = False
        self._failed = False
        self._reading = True
        self.close_code = None
        self.close_reason = ""
        self.close_received = False
        self.close_sent = False
        self.close_taken = False

    def receive_data(self, data: bytes) -> list[ProtocolEvent]:
        """
        Take the next bytes from the peer.

        Args:
            data: n >= 0 bytes, cut anywhere.

        Returns:
            What they complete, in order. `CloseReceived` or `ProtocolFailed` comes last, and afterwards nothing does.

        Raises:
            TypeError: If `data` is not `bytes`. No bytes raise anything.
        """
        self.feed(data)
        events: list[ProtocolEvent] = []
        while (event := self.next_event()) is not None:
            events.append(event)
        return events

    def feed(self, data: bytes) -> None:
        """
        Take the next bytes from the peer, n >= 0, cut anywhere; `next_event` says what they complete.

        Raises:
            TypeError: If `data` is not `bytes`. No bytes raise anything.
        """
        if self._reading:
            parts = self._parser.feed(data)
            self._parts = [*self._parts[self._taken :], *parts] if self._taken < len(self._parts) else parts
            self._taken = 0

    @property
    def pending(self) -> bool:
        """Whether `next_event` has parts to look at; they may complete nothing."""
        return self._taken < len(self._parts) or (self._reading and self._parser.failure is not None)

    def next_event(self) -> ProtocolEvent | None:
        """The next event of what was fed; None when it completes nothing more. Inflates one message at most."""
        if not self._reading:
            return None
        try:
            while self._taken < len(self._parts):
                opcode, last, compressed, payload = self._parts[self._taken]
                self._taken += 1
                if opcode < _CLOSE:
                    if self._assembler is None and last and not compressed:
                        return MessageReceived(opcode == _TEXT, checked_message(opcode, payload))
                    message = self._assemble(opcode, last, compressed, payload)
                    if message is not None:
                        return MessageReceived(opcode == _TEXT, message)
                else:
                    return self._receive_control(opcode, payload)
            self._end_of_parts()
        except RemoteProtocolError as error:
            return self._fail(error)
        return None

    def next_control(self) -> ProtocolEvent | None:
        """As `next_event`, but messages are passed over unread: for a connection that is closing."""
        if not self._reading:
            return None
        try:
            while self._taken < len(self._parts):
                opcode, _, _, payload = self._parts[self._taken]
                self._taken += 1
                if opcode >= _CLOSE:
                    return self._receive_control(opcode, payload)
            self._end_of_parts()
        except RemoteProtocolError as error:
            return self._fail(error)
        return None

    def _end_of_parts(self) -> None:
        self._parts = _NO_PARTS
        self._taken = 0
        if self._parser.failure is not None:
            raise self._parser.failure

    def _assemble(self, opcode: int, last: bool, compressed: bool, payload: bytes) -> bytes | None:
        if self._assembler is None:
            compression = self._encoder.compression
            self._assembler = MessageAssembler(
                inflater_bits=None if compression is None else compression.client_window_bits,
                context_takeover=compression is not None and not compression.client_no_context_takeover,
                maximum_message_bytes=self._maximum_message_bytes,
            )
        return self._assembler.add(opcode, last, compressed, payload)

    def receive_eof(self) -> None:
        """The peer will send nothing more: the connection is `closed`. Idempotent."""
        self._eof = True
        self._stop_reading()
        if self.close_code is None:
            self.close_code = CloseCode.ABNORMAL.value

    def start_close(self, code: int, reason: str = "") -> None:
        """
        Queue a close frame; nothing happens where one is queued or gone, or the stream has ended.

        Args:
            code: A code that may be sent.
            reason: For people to read; cut to 123 bytes of UTF-8.

        Raises:
            LocalProtocolError: If the code may not be sent.
        """
        payload = encode_close_payload(code, reason)
        if not self.close_sent and not self._eof:
            self._queue_close(payload)
            self.close_code = int(code)
            self.close_reason = reason

    def queue_ping(self, payload: bytes = b"") -> None:
        """
        Queue a ping, in place of one that was not taken yet; nothing happens once a close frame is queued.

        Args:
            payload: 0 to 125 bytes, which the pong will repeat.

        Raises:
            LocalProtocolError: If the payload is too long.
        """
        if len(payload) > 125:
            raise LocalProtocolError(f"ping of {len(payload)} bytes exceeds 125")
        if not self.close_sent:
            self._ping = payload

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
        if not self.control_pending:
            return b""
        frames = [encode_frame(_PONG, payload) for payload in self._pongs or ()]
        if self._ping is not None:
            frames.append(encode_frame(_PING, self._ping))
        self._pongs = self._ping = None
        if close and self._close_frame is not None:
            frames.append(self._close_frame)
            self._close_frame = None
            self.close_taken = True
        return b"".join(frames)

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
        return self._encoder.encode(data, text)

    @property
    def wire_encoding(self) -> int | None:
        """What ready-made frames must be encoded for, hashable: None for no compression, otherwise the window bits."""
        return self._encoder.wire_encoding

    @property
    def closed(self) -> bool:
        """Whether nothing is left to read or to write, so that the socket is to be closed."""
        return self._eof or (self.close_taken and (self.close_received or self._failed))

    def statistics(self) -> ProtocolStatistics:
        """A snapshot: what was agreed, the control frames of the peer, and how far the closing is."""
        return ProtocolStatistics(
            window_bits=self.wire_encoding,
            pings_received=self._pings_received,
            pongs_received=self._pongs_received,
            control_pending=self.control_pending,
            close_sent=self.close_sent,
            close_received=self.close_received,
            closed=self.closed,
            close_code=self.close_code,
            close_reason=self.close_reason,
        )

    def _receive_control(self, opcode: int, payload: bytes) -> ProtocolEvent:
        if opcode == _PING:
            self._pings_received += 1
            if not self.close_sent:
                if self._pongs is None:
                    self._pongs = deque(maxlen=_PONGS)
                self._pongs.append(payload)
            return PingReceived(payload)
        if opcode == _PONG:
            self._pongs_received += 1
            return PongReceived(payload)
        return self._receive_close(payload)

    def _receive_close(self, payload: bytes) -> CloseReceived:
        code, reason = parse_close_payload(payload)
        self.close_received = True
        self._stop_reading()
        if not self.close_sent:
            self._queue_close(payload[:2])
            self.close_code = code
            self.close_reason = reason
        return CloseReceived(code, reason)

    def _fail(self, error: RemoteProtocolError) -> ProtocolFailed:
        self._failed = True
        self._stop_reading()
        reason = str(error)
        if not self.close_sent:
            self._queue_close(encode_close_payload(error.close_code, reason))
            self.close_code = int(error.close_code)
            self.close_reason = reason
        return ProtocolFailed(int(error.close_code), reason)

    def _stop_reading(self) -> None:
        """What came after the last word is never told, so it is not held either."""
        self._reading = False
        self._parts = _NO_PARTS
        self._taken = 0

    def _queue_close(self, payload: bytes) -> None:
        self.close_sent = True
        self._close_frame = encode_frame(_CLOSE, payload)
