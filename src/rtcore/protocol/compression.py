"""
permessage-deflate: what is agreed, and messages to frames under what was agreed.

The server never takes context over from one message to the next, so that one compressed frame serves every connection
with the same window; and it asks the client for the same, so that an idle connection holds no window.

Source: RFC 7692, sections 5 and 7.1.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final

from attrs import field, frozen, validators

from rtcore._fast import MessageDeflater, encode_frame
from rtcore.values.opcodes import Opcode

__all__ = [
    "CompressionLevel",
    "CompressionParameters",
    "CompressionSettings",
    "Extension",
    "MessageEncoder",
    "accept_offer",
    "compression_totals",
    "message_encoder",
    "negotiate_compression",
]

_TEXT: Final = Opcode.TEXT.value
_BINARY: Final = Opcode.BINARY.value
_NAME: Final = "permessage-deflate"
_BITS: Final = {str(bits): bits for bits in range(8, 16)}
"""Window bits as they must be written: decimal, without leading zeros. Source: RFC 7692, section 7.1.2."""


class CompressionLevel(StrEnum):
    """How hard to try."""

    NONE = "none"
    """Never agree to compression."""
    FAST = "fast"
    DEFAULT = "default"
    BEST = "best"

    @property
    def zlib_level(self) -> int:
        """The number that zlib knows it by."""
        return {"none": 0, "fast": 1, "default": 6, "best": 9}[self.value]


@frozen(kw_only=True)
class CompressionSettings:
    """What the server is willing to agree to."""

    level: CompressionLevel = field(default=CompressionLevel.DEFAULT, converter=CompressionLevel)
    server_window_bits: int = field(default=15, validator=[validators.ge(9), validators.le(15)])
    """Largest window of the server's messages, as a logarithm; a client may ask for less."""
    client_window_bits: int = field(default=15, validator=[validators.ge(9), validators.le(15)])
    """Largest window of the client's messages, as a logarithm, where the client lets itself be told."""
    minimum_bytes: int = field(default=64, validator=validators.ge(0))
    """Messages below this size, in bytes, go as they are: deflate makes most of them longer."""


@frozen(kw_only=True)
class CompressionParameters:
    """What the handshake agreed on. The server's side never takes context over."""

    server_window_bits: int = 15
    """Logarithm of the window of the server's messages, 9 to 15."""
    client_window_bits: int = 15
    """Logarithm of the window that the client's messages may need, 9 to 15."""
    client_no_context_takeover: bool = True
    level: CompressionLevel = CompressionLevel.DEFAULT
    minimum_bytes: int = 64
    """Messages below this size, in bytes, go as they are."""


@frozen
class Extension:
    """One offer of a `Sec-WebSocket-Extensions` header, as it was written."""

    name: str
    parameters: tuple[tuple[str, str | None], ...] = ()
    """Names and values in order, unquoted; None where no value was given."""


def negotiate_compression(
    offers: Sequence[Extension], settings: CompressionSettings
) -> tuple[CompressionParameters, str] | None:
    """
    Take the first offer that can be taken.

    Args:
        offers: In the client's order of preference; extensions of other names are passed over.
        settings: What the server is willing to do.

    Returns:
        What was agreed, and the value of the response's `Sec-WebSocket-Extensions`; None for no compression.
    """
    if settings.level is CompressionLevel.NONE:
        return None
    for offer in offers:
        accepted = accept_offer(offer, settings)
        if accepted is not None:
            return accepted
    return None


def accept_offer(offer: Extension, settings: CompressionSettings) -> tuple[CompressionParameters, str] | None:
    """
    Agree to one offer, or decline it: None if it is another extension, or has a parameter that is unknown, given twice,
    of a wrong value, or beyond zlib (which has no raw deflate with a window of 8 bits).
    """
    parameters = dict(offer.parameters)
    if offer.name != _NAME or len(parameters) != len(offer.parameters):
        return None
    answer = [_NAME, "server_no_context_takeover", "client_no_context_takeover"]
    server_bits, client_bits = settings.server_window_bits, 15
    for name, value in parameters.items():
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                return None
        elif name == "server_max_window_bits":
            asked = _BITS.get(value or "")
            if asked is None or asked == 8:
                return None
            server_bits = min(asked, server_bits)
        elif name == "client_max_window_bits":
            offered = 15 if value is None else _BITS.get(value)
            if offered is None:
                return None
            agreed = min(offered, settings.client_window_bits)
            # Some clients that say 8 send 9: that is what their zlib makes of it.
            client_bits = max(agreed, 9)
            answer.append(f"client_max_window_bits={agreed}")
        else:
            return None
    if "server_max_window_bits" in parameters or server_bits < 15:
        answer.append(f"server_max_window_bits={server_bits}")
    agreement = CompressionParameters(
        server_window_bits=server_bits,
        client_window_bits=client_bits,
        level=settings.level,
        minimum_bytes=settings.minimum_bytes,
    )
    return agreement, "; ".join(answer)


class MessageEncoder:
    """
    Messages to the server's frames, for one connection or for all that share what was agreed.

    The deflaters behind it are shared by all encoders of a thread: without context takeover none remembers anything.

    Args:
        compression: What was agreed; None for no compression.
    """

    __slots__ = ("compression", "wire_encoding")

    compression: CompressionParameters | None
    """What was agreed."""

    wire_encoding: int | None
    """What its frames are encoded for, hashable: None for no compression, otherwise the window bits."""

    def __init__(self, compression: CompressionParameters | None = None) -> None:
        self.compression = compression
        self.wire_encoding = None if compression is None else compression.server_window_bits

    def encode(self, data: bytes, text: bool = True) -> bytes:
        """
        The frame of one message, compressed where that makes it shorter.

        Args:
            data: n >= 0 bytes; UTF-8 if `text`, which is not checked.
            text: Whether it is text or binary.
        """
        opcode = _TEXT if text else _BINARY
        compression = self.compression
        if compression is None or len(data) < compression.minimum_bytes:
            return encode_frame(opcode, data)
        compressed = _deflater(compression.server_window_bits, compression.level.zlib_level).compress(data)
        if len(compressed) < len(data):
            return encode_frame(opcode, compressed, True)
        return encode_frame(opcode, data)


@lru_cache(maxsize=64)
def message_encoder(compression: CompressionParameters | None) -> MessageEncoder:
    """The encoder for what was agreed; connections that agreed on the same share one, which remembers nothing."""
    return MessageEncoder(compression)


class _Deflaters(threading.local):
    """One deflater (up to 256 KiB) per window, level and thread; a deflater must not be used by two threads at once."""

    def __init__(self) -> None:
        self.by_shape: dict[tuple[int, int], MessageDeflater] = {}


_deflaters = _Deflaters()


def _deflater(window_bits: int, level: int) -> MessageDeflater:
    shape = (window_bits, level)
    deflater = _deflaters.by_shape.get(shape)
    if deflater is None:
        deflater = _deflaters.by_shape[shape] = MessageDeflater(window_bits, level)
    return deflater


def compression_totals() -> tuple[int, int]:
    """
    Bytes of messages before and after compression, in this thread since its start.

    A message that many connections share is counted once: what it saved on the wire is that many times as much.
    """
    deflaters = _deflaters.by_shape.values()
    return sum(each.bytes_in for each in deflaters), sum(each.bytes_out for each in deflaters)
