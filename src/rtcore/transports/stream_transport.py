"""Any `trio.abc.Stream` (TLS, memory streams, other platforms): one piece at a time is on its way."""

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
    """

    __slots__ = ("_closed", "_piece", "_stream")

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._piece: bytes | memoryview = b""
        self._closed = False

    @property
    def sending(self) -> bool:
        """Whether a piece waits for `wait_sendable` to send it."""
        return bool(self._piece)

    def send_nowait(self, data: bytes | memoryview) -> int:
        """Take one piece, which `wait_sendable` then sends; nothing while one is on its way."""
        if self._closed:
            raise trio.ClosedResourceError("the stream was closed on this side")
        if self._piece:
            return 0
        self._piece = data
        return len(data)

    async def wait_sendable(self) -> None:
        """Send some of the piece; cancelled in the middle, the stream is of no more use."""
        if self._piece:
            some = self._piece[:_SEND_BYTES]
            await self._stream.send_all(some)
            self._piece = memoryview(self._piece)[len(some) :]
        else:
            await trio.lowlevel.checkpoint()

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
