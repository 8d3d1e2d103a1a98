"""Any `trio.abc.Stream` (TLS, memory streams, other platforms): taken pieces leave while room is watched for."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final

import trio

from rtcore.transports.transport import Receiver

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

    __slots__ = (
        "_buffer_bytes",
        "_buffered",
        "_closed",
        "_nursery",
        "_pieces",
        "_receiver",
        "_sending_scope",
        "_stream",
        "_watching",
        "bytes_sent",
    )

    slot = None

    def __init__(self, stream: trio.abc.Stream, buffer_bytes: int = 0) -> None:
        self.bytes_sent = 0
        """Bytes taken so far."""
        self._stream = stream
        self._buffer_bytes = buffer_bytes
        self._pieces: list[bytes | memoryview] = []
        self._buffered = 0
        self._closed = False
        self._receiver: Receiver | None = None
        self._nursery: trio.Nursery | None = None
        self._watching = False
        self._sending_scope: trio.CancelScope | None = None

    @property
    def sending(self) -> bool:
        """Whether a piece waits to be sent."""
        return bool(self._pieces)

    @property
    def full(self) -> bool:
        """Whether the pieces fill the buffer."""
        return bool(self._pieces) and self._buffered >= self._buffer_bytes

    def serve(self, receiver: Receiver) -> AbstractAsyncContextManager[None]:
        """Send what was taken, in a task that lives while some waits, and tell the receiver."""
        return _Serving(self, receiver)

    def send_nowait(self, data: bytes | memoryview) -> int:
        """Take one piece, which then leaves while room is watched for; nothing while the buffer is full."""
        if self._closed:
            raise trio.ClosedResourceError("the stream was closed on this side")
        if self.full:
            return 0
        self._pieces.append(data)
        self._buffered += len(data)
        self.bytes_sent += len(data)
        return len(data)

    def watch_room(self, wanted: bool) -> None:
        """Start the task that sends, unless it is there; it ends when nobody watches any more."""
        self._watching = wanted
        if wanted and self._sending_scope is None and self._nursery is not None:
            # Shielded, so that a close frame still leaves when the connection is cancelled; ends with the last byte, or
            # with the block of `serve`, which has a deadline.
            self._sending_scope = trio.CancelScope(shield=True)
            self._nursery.start_soon(self._send, self._sending_scope)

    async def _send(self, scope: trio.CancelScope) -> None:
        assert self._receiver is not None, "serve sets both"
        try:
            with scope:
                while self._watching:
                    await self._send_some()
                    self._receiver.sendable()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._receiver.lost(OSError(str(error)))
        finally:
            self._sending_scope = None

    async def _send_some(self) -> None:
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

    def watch_input(self, wanted: bool) -> None:
        """Nothing to be done: it is read only while somebody awaits `wait_input`."""

    async def wait_input(self) -> None:
        """Read the next bytes, up to 64 KiB, and hand them over."""
        assert self._receiver is not None, "what reads is served"
        try:
            data = await self._stream.receive_some(_RECEIVE_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._receiver.lost(OSError(str(error)))
            return
        if data:
            self._receiver.data_received(bytes(data))
        else:
            self._receiver.eof_received()

    def wake(self) -> None:
        """Nothing to be done: `wait_input` returns after each piece."""

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


class _Serving:
    """The block of `serve`: a class, since a generator's frames would be a KiB of each idle connection."""

    __slots__ = ("_manager", "_receiver", "_transport")

    def __init__(self, transport: StreamTransport, receiver: Receiver) -> None:
        self._transport = transport
        self._receiver = receiver
        self._manager = trio.open_nursery()

    async def __aenter__(self) -> None:
        transport = self._transport
        transport._nursery = await self._manager.__aenter__()
        transport._receiver = self._receiver
        transport.watch_room(transport._watching)  # it may have been asked for before

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        transport = self._transport
        if transport._sending_scope is not None:
            transport._sending_scope.cancel()
        if transport._nursery is not None:
            transport._nursery.cancel_scope.cancel()
        return await self._manager.__aexit__(kind, error, traceback)
