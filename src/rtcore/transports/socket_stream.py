"""
A plain socket as a stream: where there is no driver, and under TLS.

It does what Trio's own stream does, with three frames, a generator and two wrappers fewer in each connection that waits
for its peer: 1.2 KiB. And it gives TLS no more at once than it asks for: see `_RECEIVE_BYTES`.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from operator import index
from typing import Final

import trio

__all__ = ["SocketStream"]

_RECEIVE_BYTES: Final = 16 * 1024 + 256
"""
What is received where no number is named, as by Trio's TLS: one TLS record. TLS copies what came to a buffer of
OpenSSL's that never shrinks, so with the 64 KiB of Trio's own stream each client that ever sent a large message would
keep 85 KiB. A fourth of this would cost 2.6 times the processor time of a large message.
"""
_NOTSENT_LOWAT: Final[int | None] = getattr(socket, "TCP_NOTSENT_LOWAT", None)
_UNSENT_BYTES: Final = 16 * 1024
"""
What waits in the system when it says that there is room. Trio's own choice; without it a client that stopped reading
holds 4 MB there (measured, Linux 6.18) and not one, where no event can overtake another, nor give way to a newer one.
"""
_CLOSED: Final = {errno.EBADF, errno.ENOTSOCK}


class SocketStream(trio.abc.HalfCloseableStream):
    """
    Args:
        connected: A connected socket; the stream owns it from now on.
    """

    __slots__ = ("_ended", "_sending", "_socket")

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        with suppress(OSError):  # not TCP
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if _NOTSENT_LOWAT is not None:
                connected.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, _UNSENT_BYTES)
        self._socket = connected
        self._sending = False
        self._ended = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send, waiting for room where the system has none; a checkpoint."""
        with self._alone():
            await trio.lowlevel.checkpoint()
            self._check()
            if self._ended:
                raise trio.ClosedResourceError("the end of the stream was sent already")
            with memoryview(data) as rest:
                sent = 0
                while sent < len(rest):
                    try:
                        sent += self._socket.send(rest[sent:])
                    except BlockingIOError:
                        await trio.lowlevel.wait_writable(self._socket)
                    except OSError as error:
                        raise _translated(error) from error

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until a byte can be sent; a checkpoint."""
        with self._alone():
            self._check()
            await trio.lowlevel.wait_writable(self._socket)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes, by default up to 16 KiB, empty at the end of the stream; a checkpoint."""
        maximum = _RECEIVE_BYTES if max_bytes is None else index(max_bytes)
        if maximum < 1:
            raise ValueError(f"max_bytes must be at least 1, not {max_bytes}")
        await trio.lowlevel.checkpoint_if_cancelled()
        data = self._receive_nowait(maximum)
        if data is not None:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return data
        while data is None:  # not in an `except`: a connection that waits would hold the exception, 500 bytes
            await trio.lowlevel.wait_readable(self._socket)
            data = self._receive_nowait(maximum)
        return data

    async def send_eof(self) -> None:
        """End this side's sending; idempotent."""
        with self._alone():
            await trio.lowlevel.checkpoint()
            self._check()
            if not self._ended:
                self._ended = True
                try:
                    self._socket.shutdown(socket.SHUT_WR)
                except OSError as error:
                    raise _translated(error) from error

    async def aclose(self) -> None:
        """Close the descriptor; the system still delivers what it took."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        await trio.lowlevel.checkpoint()

    def _receive_nowait(self, maximum: int) -> bytes | None:
        try:
            return self._socket.recv(maximum)
        except BlockingIOError:
            return None
        except OSError as error:
            raise _translated(error) from error

    def _check(self) -> None:
        if self._socket.fileno() < 0:
            raise trio.ClosedResourceError("the socket was closed on this side")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            yield
        finally:
            self._sending = False


def _translated(error: OSError) -> Exception:
    if error.errno in _CLOSED:
        return trio.ClosedResourceError("the socket was closed on this side")
    return trio.BrokenResourceError(f"the socket is gone: {error.strerror}")
