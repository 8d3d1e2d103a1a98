"""A server in a process of its own: started, pinned, looked at, ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from compare.peers import Peer

__all__ = ["Processors", "ServerProcess", "running_server"]

_STOP_SECONDS = 3.0


@dataclass(frozen=True)
class Processors:
    """Which CPU the server has and which the generator; None: the system decides."""

    server: int | None = None
    generator: int | None = None

    @classmethod
    def found(cls) -> Processors:
        """The first two that this process may use, where the system lets processes be pinned."""
        if not hasattr(os, "sched_setaffinity"):
            return cls()
        allowed = sorted(os.sched_getaffinity(0))
        return cls(allowed[0], allowed[1]) if len(allowed) > 1 else cls()


def _pin(processor: int | None) -> None:
    if processor is not None:
        os.sched_setaffinity(0, {processor})


@dataclass(frozen=True)
class ServerProcess:
    """A running server."""

    port: int
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def resident_bytes(self) -> int:
        """Resident memory; what the kernel holds for its sockets is not in it."""
        return int(self.process.memory_info().rss)


@contextmanager
def running_server(peer: Peer, processors: Processors) -> Iterator[ServerProcess]:
    """
    A fresh server while the block runs.

    Raises:
        RuntimeError: If it does not start, or ends before the block does.
    """
    script = Path(__file__).with_name(peer.script)
    _pin(processors.server)  # a child is where its parent was
    try:
        child = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, **peer.environment},
            text=True,
        )
    finally:
        _pin(processors.generator)
    try:
        assert child.stdout is not None, "it was asked for"
        line = child.stdout.readline()
        if not line.strip().isdigit():
            raise RuntimeError(f"{peer.name} did not start")
        yield ServerProcess(int(line), psutil.Process(child.pid))
        if child.poll() is not None:
            raise RuntimeError(f"{peer.name} ended by itself with {child.returncode}")
    finally:
        _stop(child)


def _stop(child: subprocess.Popen[str]) -> None:
    child.kill()  # how it ends is not measured, and politeness to thousands of connections takes its time
    child.wait(_STOP_SECONDS)
    if child.stdout is not None:
        child.stdout.close()
