"""
Streams of good messages: fragmented, compressed, masked, with control frames between, and what they say.

Made from any bytes, so that a fuzzer and a seeded test make them in the same way.
"""

from __future__ import annotations

import zlib
from typing import Any

from attrs import Factory, define

from rtcore.values.opcodes import Opcode
from tests.fuzz.reading import Reader

__all__ = ["MessageStream", "Part", "join_part", "make_stream"]

Part = tuple[int, bool, bool, bytes]
"""Opcode of the message, whether the part is its last, whether it is compressed, payload as it is in the frames."""

_CONTROL = (Opcode.PING.value, Opcode.PONG.value)
_FRAGMENTS = 4
_PAYLOAD_BYTES = 20
"""Below this: the stream will be cut at every byte."""


@define
class MessageStream:
    """What a client says, as bytes and as what they mean."""

    octets: bytes = b""
    parts: list[Part] = Factory(list)
    """What a frame parser makes of it, joined."""
    events: list[tuple[Any, ...]] = Factory(list)
    """What a connection makes of it."""


def make_stream(
    encode_frame: Any, data: bytes, messages: int, window_bits: int | None, takeover: bool
) -> MessageStream:
    """
    Make a stream.

    Args:
        encode_frame: Of either implementation.
        data: Decides everything; after its end it is zeros.
        messages: How many there are, control frames not counted.
        window_bits: Logarithm of the window of compressed messages, 9 to 15; None to compress none.
        takeover: Whether a message may refer to the ones before it.
    """
    stream, reader = MessageStream(), Reader(data)
    compressor = None
    for _ in range(messages):
        shape = reader.octet()
        text = bool(shape & 1)
        message = _read_payload(reader, text)
        if window_bits is not None and shape & 2:
            if compressor is None or not takeover:
                compressor = zlib.compressobj(9, zlib.DEFLATED, -window_bits)
            payload = (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
            _add_message(stream, encode_frame, reader, text, payload, True)
        else:
            _add_message(stream, encode_frame, reader, text, message, False)
        stream.events.append(("MessageReceived", text, message))
        if shape & 4:
            _add_control(stream, encode_frame, reader)
    return stream


def join_part(parts: list[Part], part: Part) -> None:
    """Append a part: those of a message that stand side by side are one; an empty one that is not last is none."""
    opcode, last, compressed, payload = part
    if parts and parts[-1][:2] == (opcode, False):
        payload = parts.pop()[3] + payload
    if payload or last:
        parts.append((opcode, last, compressed, payload))


def _read_payload(reader: Reader, text: bool) -> bytes:
    payload = reader.take(reader.octet() % _PAYLOAD_BYTES)
    return payload.decode("latin-1").encode() if text else payload


def _add_message(
    stream: MessageStream, encode_frame: Any, reader: Reader, text: bool, payload: bytes, compressed: bool
) -> None:
    """Append a message in up to four fragments, with control frames between some of them."""
    message = Opcode.TEXT.value if text else Opcode.BINARY.value
    fragments = 1 + reader.octet() % _FRAGMENTS
    for number in range(fragments):
        last = number == fragments - 1
        size = len(payload) if last else reader.octet() % (len(payload) + 1)
        opcode = message if number == 0 else Opcode.CONTINUATION.value
        rsv1 = compressed and number == 0
        stream.octets += encode_frame(opcode, payload[:size], rsv1, last, _read_mask(reader))
        join_part(stream.parts, (message, last, compressed, payload[:size]))
        payload = payload[size:]
        if not last and reader.octet() & 1:
            _add_control(stream, encode_frame, reader)


def _add_control(stream: MessageStream, encode_frame: Any, reader: Reader) -> None:
    opcode = _CONTROL[reader.octet() & 1]
    payload = reader.take(reader.octet() % 8)
    stream.octets += encode_frame(opcode, payload, False, True, _read_mask(reader))
    stream.parts.append((opcode, True, False, payload))
    stream.events.append(("PingReceived" if opcode == Opcode.PING else "PongReceived", payload))


def _read_mask(reader: Reader) -> bytes:
    return reader.take(4).ljust(4, b"\x00")
