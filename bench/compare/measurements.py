"""
What is measured: fan-out, echo, and opening connections.

All loops are closed: the generator asks for more when it has what it asked for, so no server is flooded and none gets
away with dropping. CPU time of the server per unit of work is the figure that survives a busy machine.
"""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from compare.client_sockets import Opening, Readiness, make_readiness, masked_frame, open_sockets
from compare.peers import MARKER, Peer
from compare.server_process import ServerProcess

__all__ = ["MEASUREMENTS", "FanOut", "Load"]

Figures = dict[str, float]

_BUFFER_BYTES = 256 * 1024
_SETTLE_SECONDS = 10.0
_REST = len(MARKER) - 1


@dataclass(frozen=True)
class Load:
    """How much."""

    subscribers: int = 1000
    connections: int = 2000
    """Opened and left alone, for memory and handshakes."""
    echoes: int = 100
    """Connections that echo."""
    seconds: float = 3.0
    warm_up: float = 0.5
    size: int = 256
    """Bytes of a published message, or of one to be echoed half of that."""


class _Meter:
    """What a stretch of time cost server and generator."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._begin = self._read()

    def _read(self) -> tuple[float, float, float]:
        return time.perf_counter(), self._server.cpu_seconds(), time.process_time()

    def figures(self, name: str, done: int) -> Figures:
        """Units per second, server CPU seconds per million of them, and how busy the two were, as shares of a CPU."""
        wall, server, generator = (end - begin for end, begin in zip(self._read(), self._begin, strict=True))
        return {
            f"{name}_per_second": done / wall,
            "cpu_seconds_per_million": server / done * 1e6 if done else 0.0,
            "server_busy": server / wall,
            "generator_busy": generator / wall,
        }


class FanOut:
    """Subscribers that count markers, and one publisher that keeps a window of messages on their way."""

    def __init__(self, subscribers: list[socket.socket], publisher: socket.socket, frame: bytes) -> None:
        self._count = len(subscribers)
        self._readiness = make_readiness()
        self._receivers: dict[int, Callable[[bytearray], int]] = {}
        for subscriber in subscribers:
            self._readiness.add(subscriber.fileno())
            self._receivers[subscriber.fileno()] = subscriber.recv_into
        publisher.setblocking(True)
        self._publisher = publisher
        self._frame = frame
        self._buffer = bytearray(_BUFFER_BYTES)
        self._split: dict[int, bytes] = {}  # what may be the beginning of a marker whose end has yet to come
        self.delivered = 0
        self.published = 0

    def drive(self, seconds: float, window: int, burst: int) -> None:
        """Keep up to `window` messages in flight, published `burst` at a time."""
        frames, count = self._frame * burst, self._count
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            if self.delivered >= (self.published + burst - window) * count:
                self._publisher.sendall(frames)
                self.published += burst
            self.collect()

    def settle(self) -> int:
        """Wait for what is still on its way; returns how many deliveries never came."""
        deadline = time.perf_counter() + _SETTLE_SECONDS
        while self.missing and time.perf_counter() < deadline:
            self.collect()
        return self.missing

    @property
    def missing(self) -> int:
        """Deliveries on their way."""
        return self.published * self._count - self.delivered

    def collect(self) -> None:
        """Count what came, waiting up to a second for something."""
        buffer, receivers, split = self._buffer, self._receivers, self._split
        delivered = 0
        for descriptor, _ in self._readiness.wait(1.0):
            size = receivers[descriptor](buffer)
            if not size:
                raise RuntimeError("the server closed a subscriber's connection")
            delivered += buffer.count(MARKER, 0, size)
            if split and descriptor in split:
                delivered += (split.pop(descriptor) + buffer[: min(size, _REST)]).count(MARKER)
            beginning = buffer.find(MARKER[:1], max(size - _REST, 0), size)
            if beginning >= 0:
                split[descriptor] = bytes(buffer[beginning:size])
        self.delivered += delivered


def _fan_out(peer: Peer, server: ServerProcess, load: Load, window: int, burst: int) -> Figures:
    with ExitStack() as closing:
        first = None if peer.subscribe is None else masked_frame(peer.subscribe)
        subscribers = open_sockets(Opening(server.port, peer.path, peer.subscribed, first), load.subscribers)
        publisher = open_sockets(Opening(server.port, peer.publish_path, peer.publish_greeting), 1)[0]
        for connected in (*subscribers, publisher):
            closing.callback(connected.close)
        fan_out = FanOut(subscribers, publisher, masked_frame(peer.publication(load.size)))
        fan_out.drive(load.warm_up, window, burst)
        meter, before = _Meter(server), fan_out.delivered
        fan_out.drive(load.seconds, window, burst)
        figures = meter.figures("deliveries", fan_out.delivered - before)
        return {**figures, "lost": fan_out.settle()}


def measure_fan1(peer: Peer, server: ServerProcess, load: Load) -> Figures:
    """One message in flight: a write per delivery, and nothing to put together."""
    return _fan_out(peer, server, load, window=1, burst=1)


def measure_fan64(peer: Peer, server: ServerProcess, load: Load) -> Figures:
    """Up to 64 messages in flight, published 32 at a time: what putting messages together gains."""
    return _fan_out(peer, server, load, window=64, burst=32)


def measure_echo(peer: Peer, server: ServerProcess, load: Load) -> Figures:
    """One message at a time to and fro on each of a few connections."""
    with ExitStack() as closing:
        sockets = open_sockets(Opening(server.port, "/echo"), load.echoes)
        for connected in sockets:
            closing.callback(connected.close)
        payload = MARKER + b"x" * (load.size // 2 - len(MARKER))
        frame, answer = masked_frame(payload), len(masked_frame(payload)) - 4  # an answer is the same without its mask
        readiness = make_readiness()
        by_descriptor = {connected.fileno(): connected for connected in sockets}
        for descriptor, connected in by_descriptor.items():
            readiness.add(descriptor)
            connected.send(frame)
        outstanding = dict.fromkeys(by_descriptor, answer)
        _drive_echo(readiness, by_descriptor, outstanding, frame, answer, load.warm_up)
        meter = _Meter(server)
        done = _drive_echo(readiness, by_descriptor, outstanding, frame, answer, load.seconds)
        return meter.figures("round_trips", done)


def _drive_echo(
    readiness: Readiness,
    sockets: dict[int, socket.socket],
    outstanding: dict[int, int],
    frame: bytes,
    answer: int,
    seconds: float,
) -> int:
    done = 0
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        for descriptor, _ in readiness.wait(1.0):
            connected = sockets[descriptor]
            data = connected.recv(65536)
            if not data:
                raise RuntimeError("the server closed a connection that echoes")
            outstanding[descriptor] -= len(data)
            if outstanding[descriptor] <= 0:
                outstanding[descriptor] += answer
                done += 1
                connected.send(frame)
    return done


def measure_connect(peer: Peer, server: ServerProcess, load: Load) -> Figures:
    """Connections opened, 128 at a time, greeted, and left alone: time and memory of each."""
    opening = Opening(server.port, peer.path, peer.greeting)
    with ExitStack() as closing:
        # What a server makes once, it makes for the first few; that is not the price of a connection.
        for connected in open_sockets(opening, min(50, load.connections)):
            closing.callback(connected.close)
        resident, meter = server.resident_bytes(), _Meter(server)
        sockets = open_sockets(opening, load.connections)
        for connected in sockets:
            closing.callback(connected.close)
        figures = meter.figures("handshakes", load.connections)
        return {**figures, "kib_per_connection": (server.resident_bytes() - resident) / load.connections / 1024}


def _without_collector(measure: Callable[[Peer, ServerProcess, Load], Figures]) -> Callable[..., Figures]:
    def measured(peer: Peer, server: ServerProcess, load: Load) -> Figures:
        gc.collect()
        gc.disable()  # a collection in the generator would be waiting time of the server
        try:
            return measure(peer, server, load)
        finally:
            gc.enable()

    return measured


MEASUREMENTS: dict[str, Callable[[Peer, ServerProcess, Load], Figures]] = {
    "fan1": _without_collector(measure_fan1),
    "fan64": _without_collector(measure_fan64),
    "echo": _without_collector(measure_echo),
    "connect": _without_collector(measure_connect),
}
"""By the name that `--tests` takes."""
