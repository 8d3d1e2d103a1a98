"""A server in a process of its own: started, pinned, ended."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from load.generator import LoadFailed, Programs

from compare.peers import Peer

__all__ = ["Machine", "ServerProcess", "running_server"]

_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Machine:
    """Which CPU the server has and which the generator; None: the system decides. And how nice both are."""

    server: int | None = None
    generator: int | None = None
    nice: int = 0

    @classmethod
    def found(cls, nice: int = 0) -> Machine:
        """The first two CPUs that this process may use."""
        allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        return cls(allowed[0], allowed[1], nice) if len(allowed) > 1 else cls(nice=nice)

    def prefix(self, processor: int | None) -> list[str]:
        """What to put before a command."""
        nice = ["nice", "-n", str(self.nice)] if self.nice else []
        return nice if processor is None else [*nice, "taskset", "-c", str(processor)]


@dataclass(frozen=True)
class ServerProcess:
    """A running server."""

    port: int
    pid: int


def _command(peer: Peer, programs: Programs) -> list[str]:
    if not peer.script:
        return [str(programs.floor)]
    return [sys.executable, str(Path(__file__).with_name(peer.script))]


@contextmanager
def running_server(peer: Peer, programs: Programs, machine: Machine) -> Iterator[ServerProcess]:
    """
    A fresh server while the block runs.

    Raises:
        LoadFailed: If it does not start, or ends before the block does.
    """
    with tempfile.TemporaryFile("w+") as complaints:
        yield from _run(peer, [*machine.prefix(machine.server), *_command(peer, programs)], complaints)


def _run(peer: Peer, command: list[str], complaints: IO[str]) -> Iterator[ServerProcess]:
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=complaints,  # clients that vanish make some servers talkative
        env={**os.environ, **peer.environment},
        text=True,
    )
    try:
        assert child.stdout is not None, "it was asked for"
        line = child.stdout.readline()
        if not line.strip().isdigit():
            complaints.seek(0)
            raise LoadFailed(f"{peer.name} did not start: {complaints.read().strip().rpartition(chr(10))[2]}")
        yield ServerProcess(int(line), child.pid)  # nice and taskset become what they start
        if child.poll() is not None:
            raise LoadFailed(f"{peer.name} ended by itself with {child.returncode}")
    finally:
        child.kill()  # how it ends is not measured, and politeness to thousands of connections takes its time
        child.wait(_STOP_SECONDS)
        if child.stdout is not None:
            child.stdout.close()
