"""
The generator's half of the wire: raw sockets, one request head, ready-made frames.

A client library would cost more than most servers here, and then the table would show the client.
"""

from __future__ import annotations

import select
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Opening", "Readiness", "make_readiness", "masked_frame", "open_sockets"]

_HEAD = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_MASK = b"\x37\xfa\x21\x3d"  # one for all frames: unpredictable masks protect proxies, and there is none
_STALLED_SECONDS = 20.0

Wait = Callable[[float], list[tuple[int, int]]]


@dataclass(frozen=True)
class Readiness:
    """Tells which sockets have something to read."""

    add: Callable[[int], object]
    remove: Callable[[int], object]
    wait: Wait
    """Seconds to wait at most; returns pairs whose first element is a descriptor."""


def make_readiness() -> Readiness:
    """epoll where there is one: `selectors` makes an object of every event, half the price of a delivery."""
    if hasattr(select, "epoll"):
        epoll = select.epoll()
        return Readiness(lambda fd: epoll.register(fd, select.EPOLLIN), epoll.unregister, epoll.poll)
    selector = selectors.DefaultSelector()
    return Readiness(
        lambda fd: selector.register(fd, selectors.EVENT_READ),
        selector.unregister,
        lambda seconds: [(key.fd, mask) for key, mask in selector.select(seconds)],
    )


def masked_frame(payload: bytes) -> bytes:
    """A text frame as a client sends it; up to 65,535 bytes."""
    size = len(payload)
    header = bytes([0x81, 0x80 | size]) if size < 126 else bytes([0x81, 0xFE]) + size.to_bytes(2, "big")
    mask = (_MASK * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
    return header + _MASK + masked.to_bytes(size, "big")


@dataclass(frozen=True)
class Opening:
    """How a connection comes to be what a measurement needs."""

    port: int
    path: str
    ready: bytes = b""
    """The connection is there once this came after the response head; empty: with the head."""
    first: bytes | None = None
    """A frame to send once the head came."""


@dataclass
class _Attempt:
    connected: socket.socket
    received: bytearray = field(default_factory=bytearray)
    upgraded: bool = False


def open_sockets(opening: Opening, count: int, at_once: int = 128) -> list[socket.socket]:
    """
    Open connections, some at a time; returns their sockets, not blocking, with all that came so far read.

    Raises:
        RuntimeError: If the server refuses one, or says nothing for 20 seconds.
    """
    request = _HEAD.format(path=opening.path, port=opening.port).encode()
    readiness = make_readiness()
    attempts: dict[int, _Attempt] = {}
    opened: list[socket.socket] = []
    last = time.monotonic()
    while len(opened) < count:
        while len(attempts) < min(at_once, count - len(opened)):
            # Blocking: on this machine connecting is done when the kernel has answered itself.
            connected = socket.create_connection(("127.0.0.1", opening.port), timeout=_STALLED_SECONDS)
            connected.setblocking(False)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.send(request)
            readiness.add(connected.fileno())
            attempts[connected.fileno()] = _Attempt(connected)
        events = readiness.wait(1.0)
        if events:
            last = time.monotonic()
        elif time.monotonic() - last > _STALLED_SECONDS:
            raise RuntimeError(f"{len(attempts)} connections got no further at {opening.path}")
        for descriptor, _ in events:
            attempt = attempts[descriptor]
            if _advance(attempt, opening):
                readiness.remove(descriptor)
                del attempts[descriptor]
                opened.append(attempt.connected)
    return opened


def _advance(attempt: _Attempt, opening: Opening) -> bool:
    """Read what came; returns whether the connection is ready."""
    data = attempt.connected.recv(65536)
    if not data:
        raise RuntimeError("the server closed a connection that was to be opened")
    received = attempt.received
    received += data
    if not attempt.upgraded:
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not received.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(f"refused: {bytes(received[:end]).decode('latin-1').splitlines()[0]}")
        del received[: end + 4]
        attempt.upgraded = True
        if opening.first is not None:
            attempt.connected.send(opening.first)
    return opening.ready in received
