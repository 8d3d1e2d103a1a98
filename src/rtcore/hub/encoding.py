"""How an event becomes the bytes of one wire: views with equal encodings share their frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache

from attrs import evolve, field, frozen

from rtcore.protocol.compression import CompressionParameters, MessageEncoder
from rtcore.protocol.envelope import encode_event, renamed
from rtcore.values.events import Event
from rtcore.values.positions import Position

__all__ = ["Encoding", "FrameEncoding", "frame_encoding"]


class Encoding(ABC):
    """A hashable rule from an event to what is written; equal rules give equal bytes."""

    __slots__ = ()

    def text(self, event: Event, position: Position | None = None, conflated: int = 0) -> bytes:
        """The JSON text of an event's message, by default as `encode_event` makes it."""
        return encode_event(event, position, conflated)

    @abstractmethod
    def wire(self, text: bytes) -> bytes:
        """The complete wire form of one message; consecutive forms may be joined."""


def _server_side(compression: CompressionParameters | None) -> CompressionParameters | None:
    """What matters for frames that the server sends: clients that differ only in their own direction share them."""
    default = CompressionParameters()
    return compression and evolve(
        compression,
        client_window_bits=default.client_window_bits,
        client_no_context_takeover=default.client_no_context_takeover,
    )


@frozen(cache_hash=True)  # it is the key of every frame
class FrameEncoding(Encoding):
    """
    One unmasked WebSocket text frame a message, compressed where the peer negotiated it and it helps.

    Shared frames are made without context takeover, so that any connection of the same window may be sent them, in any
    order and between its own messages. Source: RFC 7692, section 7.1.1.
    """

    compression: CompressionParameters | None = field(default=None, converter=_server_side)
    """What the handshake agreed on for the server's messages; None: nothing is compressed."""
    names: tuple[tuple[str, str], ...] = ()
    """What types of events are called here, where that is not their own name; by type."""
    _encoder: MessageEncoder = field(init=False, eq=False, repr=False)

    @_encoder.default
    def _make_encoder(self) -> MessageEncoder:
        return MessageEncoder(self.compression)

    def text(self, event: Event, position: Position | None = None, conflated: int = 0) -> bytes:
        """The message, under the name that is used here."""
        for type, name in self.names:
            if type == event.type:
                event = renamed(event, name)
                break
        return encode_event(event, position, conflated)

    def wire(self, text: bytes) -> bytes:
        """One complete frame."""
        return self._encoder.encode(text)


@lru_cache(maxsize=64)
def frame_encoding(
    compression: CompressionParameters | None, names: tuple[tuple[str, str], ...] = ()
) -> FrameEncoding:
    """The encoding for what a handshake agreed on; connections that agreed on the same share one."""
    return FrameEncoding(compression, names)
