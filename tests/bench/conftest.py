"""
A server that does wrong on purpose, for what measures servers.

It runs in threads, one a connection, since the load generator is a process of its own and time is real here. What it
does with each published message is the test's to say: a function from the message's number, from 1, and its text to the
bytes that every subscriber is sent.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Flaw = Callable[[int, bytes], bytes]


def frame(payload: bytes, opcode: int = 1, *, fin: bool = True, rsv1: bool = False) -> bytes:
    """As a server sends it."""
    first = opcode | (0x80 if fin else 0) | (0x40 if rsv1 else 0)
    size = len(payload)
    return bytes([first]) + (bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")) + payload


class FlawedServer:
    """
    Paths: /subscribe, /publish (applies the flaw), /hear (the same, and sends it to the publisher too), /echo (applies
    it to its answers), /refuse.

    Args:
        flaw: What becomes of a message.
        extension: The answer to an offer of compression.
        pieces: Cut what is sent into pieces of so many bytes, each a write of its own; 0: whole.
    """

    def __init__(self, flaw: Flaw, extension: str = "", pieces: int = 0) -> None:
        self._flaw = flaw
        self._extension = extension
        self._pieces = pieces
        self._lock = threading.Condition()
        self._subscribers: list[socket.socket] = []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.port: int = self._listener.getsockname()[1]
        self.pongs = 0

    def start(self) -> None:
        self._threads[0].start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connected in self._open:
                connected.close()

    def wait_pongs(self, count: int) -> bool:
        """Whether so many pongs came; whoever sent them may have gone meanwhile."""
        with self._lock:
            return self._lock.wait_for(lambda: self.pongs >= count, 10)

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.append(connected)
            threading.Thread(target=self._serve, args=(connected,), daemon=True).start()

    def _serve(self, connected: socket.socket) -> None:
        with connected, connected.makefile("rb") as stream:
            try:
                path = self._shake_hands(connected, stream)
                self._converse(connected, stream, path)
            except (OSError, EOFError):
                return

    def _shake_hands(self, connected: socket.socket, stream: Any) -> str:
        path = stream.readline().split()[1].decode()
        headers = dict(line.rstrip().split(b": ", 1) for line in iter(stream.readline, b"\r\n"))
        if path == "/refuse":
            connected.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            raise EOFError
        digest = hashlib.sha1(headers[b"Sec-WebSocket-Key"] + GUID, usedforsecurity=False).digest()
        lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
        lines.append(b"Sec-WebSocket-Accept: " + base64.b64encode(digest))
        if self._extension and b"Sec-WebSocket-Extensions" in headers:
            lines.append(b"Sec-WebSocket-Extensions: " + self._extension.encode())
        connected.sendall(b"\r\n".join([*lines, b"", b""]))
        return path

    def _converse(self, connected: socket.socket, stream: Any, path: str) -> None:
        if path == "/subscribe":
            with self._lock:
                self._subscribers.append(connected)
            connected.sendall(frame(b"subscribed"))
        number = 0
        while True:
            opcode, message = read_frame(stream)
            if opcode == 10:
                with self._lock:
                    self.pongs += 1
                    self._lock.notify_all()
            elif opcode == 1:
                number += 1
                receivers = [] if path == "/echo" else self._subscribers
                itself = [connected] if path in ("/echo", "/hear") else []
                self._send([*receivers, *itself], self._flaw(number, message))

    def _send(self, receivers: Sequence[socket.socket], data: bytes) -> None:
        step = self._pieces or len(data) or 1
        for receiver in receivers:
            with suppress(OSError):  # one that has gone, as some flaws have them do
                for start in range(0, len(data), step):
                    receiver.sendall(data[start : start + step])


def read_frame(stream: Any) -> tuple[int, bytes]:
    """Opcode and payload of a client's frame."""
    head = stream.read(2)
    if len(head) < 2:
        raise EOFError
    size = head[1] & 0x7F
    if size == 126:
        size = int.from_bytes(stream.read(2), "big")
    mask, payload = stream.read(4), stream.read(size)
    return head[0] & 0x0F, bytes(octet ^ mask[place & 3] for place, octet in enumerate(payload))


@pytest.fixture(autouse=True, scope="session")
def bench_on_path() -> Iterator[None]:
    """The scripts import what is beside them."""
    if not BENCH.exists():
        pytest.skip("benchmarks are only in a checkout")
    sys.path.insert(0, str(BENCH))
    yield
    sys.path.remove(str(BENCH))


@pytest.fixture(scope="session")
def programs(bench_on_path: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The load generator and the floor, built anew."""
    from load.generator import LoadFailed, build, find_compiler

    try:
        find_compiler()
    except LoadFailed as error:
        pytest.skip(str(error))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return build()


@pytest.fixture
def flawed_server() -> Iterator[Callable[..., FlawedServer]]:
    """Starts servers that end with the test."""
    with ExitStack() as stack:

        @contextmanager
        def running(flaw: Flaw, **settings: Any) -> Iterator[FlawedServer]:
            server = FlawedServer(flaw, **settings)
            server.start()
            yield server
            server.stop()

        yield lambda flaw, **settings: stack.enter_context(running(flaw, **settings))


@pytest.fixture
def make_frame() -> Callable[..., bytes]:
    return frame
