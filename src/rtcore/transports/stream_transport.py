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
        nursery: Where what was taken is sent, by a task that lives while some waits and ends before the block of
            `serve` does; the nursery that the connection's own task is in, since a nursery for each connection would
            be 1.2 KiB of it.
        buffer_bytes: Bytes taken beyond the first piece while it is on its way: what a socket's own buffer does
            for the bursts of a publisher, which a reader that keeps up must not pay for with dropped events.
    """

    direct = False

    __slots__ = (
        "_buffer_bytes",
        "_buffered",
        "_closed",
        "_nursery",
        "_pieces",
        "_receiver",
        "_sending",
        "_stream",
        "_watching",
        "bytes_sent",
    )

    slot = None

    def __init__(self, stream: trio.abc.Stream, nursery: trio.Nursery, buffer_bytes: int = 0) -> None:
        self.bytes_sent = 0
        """Bytes taken so far."""
        self._stream = stream
        self._nursery = nursery
        self._buffer_bytes = buffer_bytes
        self._pieces: list[bytes | memoryview] | None = None  # an idle connection has none
        self._buffered = 0
        self._closed = False
        self._receiver: Receiver | None = None
        self._watching = False
        self._sending: _Sending | None = None

    @property
    def sending(self) -> bool:
        """Whether a piece waits to be sent."""
        return self._pieces is not None

    @property
    def full(self) -> bool:
        """Whether the pieces fill the buffer."""
        return self._pieces is not None and self._buffered >= self._buffer_bytes

    def serve(self, receiver: Receiver) -> AbstractAsyncContextManager[None]:
        """Send what was taken, in a task that lives while some waits, and tell the receiver."""
        self._receiver = receiver
        return _Serving(self)

    def send_nowait(self, data: bytes | memoryview) -> int:
        """Take one piece, which then leaves while room is watched for; nothing while the buffer is full."""
        if self._closed:
            raise trio.ClosedResourceError("the stream was closed on this side")
        if self.full:
            return 0
        if self._pieces is None:
            self._pieces = []
        self._pieces.append(data)
        self._buffered += len(data)
        self.bytes_sent += len(data)
        return len(data)

    def watch_room(self, wanted: bool) -> None:
        """Start the task that sends, unless it is there; it ends when nobody watches any more."""
        self._watching = wanted
        if wanted and self._sending is None and self._receiver is not None:
            self._sending = _Sending()
            self._nursery.start_soon(self._send, self._receiver, self._sending, name="rtcore sending")

    async def _send(self, receiver: Receiver, sending: _Sending) -> None:
        try:
            with sending.scope:
                while self._watching:
                    await self._send_some()
                    receiver.sendable()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            receiver.lost(OSError(str(error)))
        except Exception as error:  # a fault of ours; nobody else's connection suffers from it
            receiver.failed(error)
            receiver.lost(OSError("it could not be written to"))
        finally:
            self._sending = None
            sending.ended.set()

    async def _send_some(self) -> None:
        """Send some of the first piece; cancelled in the middle, the stream is of no more use."""
        if self._pieces is None:
            await trio.lowlevel.checkpoint()
            return
        piece = self._pieces[0]
        some = piece[:_SEND_BYTES]
        await self._stream.send_all(some)
        self._buffered -= len(some)
        if len(some) < len(piece):
            self._pieces[0] = memoryview(piece)[len(some) :]
        elif len(self._pieces) > 1:
            del self._pieces[0]
        else:
            self._pieces = None

    async def _stop_sending(self) -> None:
        """Cancel the task that sends, and wait for its end as a nursery would."""
        if self._sending is not None:
            ended = self._sending.ended
            self._sending.scope.cancel()
            with trio.CancelScope(shield=True):  # it is cancelled: what it waits for ends at once
                await ended.wait()

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


class _Sending:
    """The task that sends, while there is one."""

    __slots__ = ("ended", "scope")

    def __init__(self) -> None:
        # Shielded, so that a close frame still leaves when the connection is cancelled; ends with the last byte, or
        # with the block of `serve`, which has a deadline.
        self.scope = trio.CancelScope(shield=True)
        self.ended = trio.Event()


class _Serving:
    """The block of `serve`: a class, since a generator's frames would be a KiB of each idle connection."""

    __slots__ = ("_transport",)

    def __init__(self, transport: StreamTransport) -> None:
        self._transport = transport

    async def __aenter__(self) -> None:
        transport = self._transport
        transport.watch_room(transport._watching)  # it may have been asked for before

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        transport = self._transport
        await transport._stop_sending()
        transport._receiver = None  # and the two are no circle, which only the collector would find
