"""How an event becomes the bytes of one wire: views with equal encodings share their frames."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from attrs import evolve, field, frozen

from rtcore.protocol.compression import CompressionParameters, MessageEncoder

__all__ = ["Encoding", "FrameEncoding", "frame_encoding"]


class Encoding(Protocol):
    """A hashable rule from the JSON text of a message to what is written; equal rules give equal bytes."""

    def wire(self, text: bytes) -> bytes:
        """The complete wire form of one message; consecutive forms may be joined."""
        ...


def _server_side(compression: CompressionParameters | None) -> CompressionParameters | None:
    """What matters for frames that the server sends: clients that differ only in their own direction share them."""
    default = CompressionParameters()
    return compression and evolve(
        compression,
        client_window_bits=default.client_window_bits,
        client_no_context_takeover=default.client_no_context_takeover,
    )


@frozen(cache_hash=True)  # it is the key of every frame
class FrameEncoding:
    """
    One unmasked WebSocket text frame a message, compressed where the peer negotiated it and it helps.

    Shared frames are made without context takeover, so that any connection of the same window may be sent them, in any
    order and between its own messages. Source: RFC 7692, section 7.1.1.
    """

    compression: CompressionParameters | None = field(default=None, converter=_server_side)
    """What the handshake agreed on for the server's messages; None: nothing is compressed."""
    _encoder: MessageEncoder = field(init=False, eq=False, repr=False)

    @_encoder.default
    def _make_encoder(self) -> MessageEncoder:
        return MessageEncoder(self.compression)

    def wire(self, text: bytes) -> bytes:
        """One complete frame."""
        return self._encoder.encode(text)


@lru_cache(maxsize=64)
def frame_encoding(compression: CompressionParameters | None) -> FrameEncoding:
    """The encoding for what a handshake agreed on; connections that agreed on the same share one."""
    return FrameEncoding(compression)
