"""
A test server whose clients come over real sockets: the socket driver serves them, where `TestServer` has streams.

A client holds a `CloggedStream` here too, with the same faults. Its sockets are a pair of UNIX ones: what one end sends
the other has at once, so no clock jumps while bytes are on their way. But the system keeps some between the two ends,
however small its buffer is made, and gives bytes back in pieces as it took them. So a server notices that a client
takes nothing once it has sent `KEPT_BYTES`, and that it takes again once the client has taken as many.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Final

import trio
from attrs import define, field

from rtcore.server.server import Server
from rtcore.testing import CloggedStream, TestServer
from rtcore.testing.memory_stream import _Way
from rtcore.transports.socket_stream import SocketStream

__all__ = ["KEPT_BYTES", "DriverServer", "OpenServer", "ServerKind", "SocketClient"]

ServerKind = Callable[[Server], TestServer]
"""What the fixture `server_kind` is."""
OpenServer = Callable[..., AbstractAsyncContextManager[TestServer]]
"""What the fixture `open_server` is: arguments are those of `open_test_server`."""
KEPT_BYTES: Final = 6000
"""More than the system keeps of what was sent to a clogged client (measured, Linux 6.18: 4480)."""
_SMALLEST: Final = 0
"""Asked for as a buffer's size: the system makes it as small as it can."""
_RECEIVE_BYTES: Final = 64 * 1024


@define
class _ServedEnd:
    """The server's end of a pair, for what can be done to it alone; nothing, once the server has closed it."""

    descriptor: int
    _inode: int = field(init=False)
    _buffer_bytes: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._inode = os.fstat(self.descriptor).st_ino
        with self._borrowed() as end:
            self._buffer_bytes = end.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)

    def narrow(self) -> None:
        """Keep as little as the system can between the two ends."""
        self._resize(_SMALLEST)

    def widen(self) -> None:
        """Keep as much as at first."""
        self._resize(self._buffer_bytes // 2)  # the system doubles what it is asked for

    def _resize(self, size: int) -> None:
        with suppress(OSError), self._borrowed() as end:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)

    def leave_unread(self) -> None:
        """Send the client a byte: a UNIX socket that is closed with bytes unread resets its peer, as a cut one does."""
        with suppress(OSError), self._borrowed() as end:  # full, or nothing may be sent any more
            end.send(b"x")

    @contextmanager
    def _borrowed(self) -> Iterator[socket.socket]:
        if os.fstat(self.descriptor).st_ino != self._inode:
            raise OSError("the number is another socket's by now")
        end = socket.socket(fileno=self.descriptor)
        try:
            yield end
        finally:
            end.detach()


@define(eq=False)
class SocketClient(CloggedStream):
    """The client's end of a pair of sockets: sends at once, and takes what comes in a task while it is not clogged."""

    _connected: socket.socket
    _served: _ServedEnd
    _readers: trio.Nursery
    _stream: SocketStream = field(init=False)
    _reading: bool = field(default=False, init=False)
    _reset: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._stream = SocketStream(self._connected)
        self._read_on()

    def _read_on(self) -> None:
        if not self._reading and self._may_take:
            self._reading = True
            self._readers.start_soon(self._read)

    async def _read(self) -> None:
        try:
            while self._may_take:
                await trio.lowlevel.wait_readable(self._connected)
                self._take()
        except trio.ClosedResourceError:
            pass  # by the test
        finally:
            self._reading = False

    @property
    def _may_take(self) -> bool:
        way = self._incoming
        return way.open_for > 0 and not (way.ended or way.broken)

    def _take(self) -> None:
        """Take what is there and may be taken."""
        way = self._incoming
        while self._may_take:
            try:
                data = self._connected.recv(int(min(way.open_for, _RECEIVE_BYTES)))
            except BlockingIOError:
                return
            except OSError:
                self._reset, data = True, b""
            way.put(memoryview(data))
            if not data:
                way.ended = True
                way.changed()

    def release(self) -> None:
        """Close the socket; idempotent."""
        if self._connected.fileno() >= 0:
            trio.lowlevel.notify_closing(self._connected)
            self._connected.close()

    # Faults

    def clog(self, after_bytes: int = 0) -> None:
        self._take()  # what was sent before is not of the bytes that it takes from now on
        super().clog(after_bytes)
        self._served.narrow()

    def unclog(self, bytes: float = math.inf) -> None:
        super().unclog(bytes)
        if bytes == math.inf:
            self._served.widen()
        self._read_on()

    def delay(self, seconds: float) -> None:
        raise NotImplementedError("a socket's bytes arrive at once")

    def cut(self) -> None:
        super().cut()
        self._served.leave_unread()
        self.release()

    # The stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._check(self._outgoing)
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        self._check(self._outgoing)
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data = await super().receive_some(max_bytes)
        self._read_on()  # there may be room now
        if not data and self._reset:
            raise trio.BrokenResourceError("the socket was reset")
        return data

    async def send_eof(self) -> None:
        self._check(self._outgoing)
        await self._stream.send_eof()

    async def aclose(self) -> None:
        self.release()
        await super().aclose()


@define(eq=False)
class DriverServer(TestServer):
    """A test server that is handed its clients' sockets as its listeners hand them over."""

    _readers: trio.Nursery
    """Where the clients take what comes; it outlives the server, whose last words they are to get."""

    def open_stream(self, *, address: str = "127.0.0.1", port: int = 50000, secure: bool = False) -> CloggedStream:
        """As `TestServer.open_stream`; what came over TLS is no socket of the driver's there, nor here."""
        if secure:
            return super().open_stream(address=address, port=port, secure=secure)
        served, connected = socket.socketpair()
        client = SocketClient(_Way(), _Way(), connected, _ServedEnd(served.fileno()), self._readers)
        self._clients.append(client)
        self.server._accepted(served.detach(), (address, port))
        return client

    def release(self) -> None:
        """Close what the test left open."""
        for client in self._clients:
            if isinstance(client, SocketClient):
                client.release()
