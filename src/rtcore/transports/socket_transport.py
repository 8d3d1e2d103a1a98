"""Plain TCP: the system takes the bytes directly, and is asked for readiness only after it refused."""

from __future__ import annotations

import socket
from typing import Final

import trio

__all__ = ["SocketTransport"]

_RECEIVE_BYTES: Final = 64 * 1024


class SocketTransport:
    """
    Args:
        connected: A connected stream socket; the transport owns it from now on.
    """

    __slots__ = ("_socket",)

    sending = False
    full = False

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected

    def send_nowait(self, data: bytes | memoryview) -> int:
        """Give the kernel what it takes now."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._translated(error) from error

    async def wait_sendable(self) -> None:
        """Wait until the kernel has room."""
        try:
            await trio.lowlevel.wait_writable(self._socket)
        except OSError as error:
            raise self._translated(error) from error

    async def receive_some(self) -> bytes:
        """The next bytes from the kernel, up to 64 KiB."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._socket)
                try:
                    return self._socket.recv(_RECEIVE_BYTES)
                except BlockingIOError:  # another reader cannot be, but a spurious wake-up can
                    continue
        except OSError as error:
            raise self._translated(error) from error

    async def send_eof(self) -> bool:
        """Shut down the sending side."""
        await trio.lowlevel.checkpoint()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._translated(error) from error
        return True

    async def aclose(self) -> None:
        """Close the descriptor; the kernel still delivers what it took."""
        self.abort()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Close the descriptor."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    def _translated(self, error: OSError) -> Exception:
        if self._socket.fileno() < 0:
            return trio.ClosedResourceError("the socket was closed on this side")
        return trio.BrokenResourceError(f"the socket is gone: {error.strerror}")
