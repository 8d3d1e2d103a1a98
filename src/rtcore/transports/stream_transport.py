"""Any `trio.abc.Stream` (TLS, memory streams, other platforms): taken pieces leave while somebody waits for them."""

from __future__ import annotations

from typing import Final

import trio

__all__ = ["StreamTransport"]

_RECEIVE_BYTES: Final = 64 * 1024
_SEND_BYTES: Final = 16 * 1024  # one TLS record; who takes less than this in the time for slow consumers is one


class StreamTransport:
    """
    Args:
        stream: The stream; the transport owns it from now on.
        buffer_bytes: Bytes taken beyond the first piece while it is on its way: what a socket's own buffer does
            for the bursts of a publisher, which a reader that keeps up must not pay for with dropped events.
    """

    __slots__ = ("_buffer_bytes", "_buffered", "_closed", "_pieces", "_stream")

    def __init__(self, stream: trio.abc.Stream, buffer_bytes: int = 0) -> None:
        self._stream = stream
        self._buffer_bytes = buffer_bytes
        self._pieces: list[bytes | memoryview] = []
        self._buffered = 0
        self._closed = False

    @property
    def sending(self) -> bool:
        """Whether a piece waits for `wait_sendable` to send it."""
        return bool(self._pieces)

    @property
    def full(self) -> bool:
        """Whether the pieces fill the buffer."""
        return bool(self._pieces) and self._buffered >= self._buffer_bytes

    def send_nowait(self, data: bytes | memoryview) -> int:
        """Take one piece, which `wait_sendable` then sends; nothing while the buffer is full."""
        if self._closed:
            raise trio.ClosedResourceError("the stream was closed on this side")
        if self.full:
            return 0
        self._pieces.append(data)
        self._buffered += len(data)
        return len(data)

    async def wait_sendable(self) -> None:
        """Send some of the first piece; cancelled in the middle, the stream is of no more use."""
        if not self._pieces:
            await trio.lowlevel.checkpoint()
            return
        piece = self._pieces[0]
        some = piece[:_SEND_BYTES]
        await self._stream.send_all(some)
        self._buffered -= len(some)
        if len(some) < len(piece):
            self._pieces[0] = memoryview(piece)[len(some) :]
        else:
            del self._pieces[0]

    async def receive_some(self) -> bytes:
        """The next bytes, up to 64 KiB."""
        return bytes(await self._stream.receive_some(_RECEIVE_BYTES))

    async def send_eof(self) -> bool:
        """Send the end of the stream where it has halves, as TLS in Trio has not."""
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            await self._stream.send_eof()
            return True
        await trio.lowlevel.checkpoint()
        return False

    async def aclose(self) -> None:
        """Close the stream without TLS's own good-bye: a peer that stopped reading must not hold this side up."""
        self._closed = True
        await trio.aclose_forcefully(self._stream)

    def abort(self) -> None:
        """Refuse everything from now on; whoever reads or sends is cancelled by the connection's own scope."""
        self._closed = True
