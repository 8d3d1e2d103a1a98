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

from rtcore._fast import FrameExchange, Traffic
from rtcore.errors import RemoteProtocolError
from rtcore.protocol.closing import encode_close_payload, parse_close_payload
from rtcore.protocol.compression import CompressionParameters, message_encoder
from rtcore.protocol.message_assembler import MessageAssembler
from rtcore.protocol.protocol_events import CloseReceived, ProtocolEvent, ProtocolFailed
from rtcore.protocol.statistics import ProtocolStatistics
from rtcore.values.opcodes import CloseCode

__all__ = ["ConnectionState"]


class ConnectionState(FrameExchange):
    """
    One connection.

    Args:
        maximum_message_bytes: Largest message from the peer, inflated, in bytes, 1 to 2**62.
        compression: What the handshake agreed on; None for no compression.
        traffic: Where bytes and messages are counted, with those of other connections.

    Raises:
        ValueError: If `maximum_message_bytes` is outside its range.
    """

    __slots__ = (
        "_assembler",
        "_encoder",
        "_eof",
        "_failed",
        "_maximum_message_bytes",
        "close_code",
        "close_reason",
        "close_received",
    )

    close_code: int | None
    """Why the connection ends: the code of whoever began; 1006 where nobody said; None while it is open."""
    close_reason: str
    """The text that came with `close_code`."""
    close_received: bool
    """Whether the peer's close frame came: nothing is read after it."""

    def __init__(
        self,
        *,
        maximum_message_bytes: int,
        compression: CompressionParameters | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        super().__init__(maximum_message_bytes, compression is not None, traffic)
        # Made with the first message in several parts, or compressed: most connections are idle, and say little.
        self._assembler: MessageAssembler | None = None
        self._maximum_message_bytes = maximum_message_bytes
        self._encoder = message_encoder(compression)
        self._eof = False
        self._failed = False
        self.close_code = None
        self.close_reason = ""
        self.close_received = False

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
        self.stop_reading()
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
            self.queue_close(payload)
            self.close_code = int(code)
            self.close_reason = reason

    def _encode_compressed(self, data: bytes, text: bool) -> bytes:
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
            pings_received=self.pings_received,
            pongs_received=self.pongs_received,
            control_pending=self.control_pending,
            close_sent=self.close_sent,
            close_received=self.close_received,
            closed=self.closed,
            close_code=self.close_code,
            close_reason=self.close_reason,
        )

    def _receive_close(self, payload: bytes) -> CloseReceived:
        code, reason = parse_close_payload(payload)
        self.close_received = True
        self.stop_reading()
        if not self.close_sent:
            self.queue_close(payload[:2])
            self.close_code = code
            self.close_reason = reason
        return CloseReceived(code, reason)

    def _fail(self, error: RemoteProtocolError) -> ProtocolFailed:
        self._failed = True
        self.stop_reading()
        reason = str(error)
        if not self.close_sent:
            self.queue_close(encode_close_payload(error.close_code, reason))
            self.close_code = int(error.close_code)
            self.close_reason = reason
        return ProtocolFailed(int(error.close_code), reason)
