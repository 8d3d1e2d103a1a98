"""rtcore's commands as real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define

import rtcore

SECONDS = 30  # a process that takes longer hangs; nothing here waits for it to pass


@pytest.fixture(name="environment")
def given_environment() -> dict[str, str]:
    """What a command runs in."""
    return environment()


def environment() -> dict[str, str]:
    """Ours without rtcore's own variables, which would be settings; the package is found wherever it is."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RTCORE_")}
    return {**clean, "PYTHONPATH": str(Path(rtcore.__file__).parent.parent), "PYTHONUNBUFFERED": "1"}


@define(eq=False)
class Command:
    """A command that runs."""

    process: subprocess.Popen[str]

    def line(self) -> str:
        """The next line of its standard output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def complaint(self) -> str:
        """The next line of its standard error."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().rstrip("\n")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


@define(eq=False)
class ServerProcess:
    """`rtcore serve`, which can be killed and started again on the same port."""

    start_command: Callable[..., Command]
    options: tuple[str, ...]
    command: Command
    url: str

    def kill(self) -> None:
        self.command.end(signal.SIGKILL)

    def start_again(self) -> None:
        port = self.url.rpartition(":")[2].partition("/")[0]
        self.command = self.start_command("serve", "--port", port, *self.options)
        assert self.command.line().endswith(self.url)


@pytest.fixture
def start() -> Iterator[Callable[..., Command]]:
    """Starts `rtcore ARGUMENTS`; what still runs at the end is killed."""
    running: list[Command] = []

    def start(*arguments: str, **variables: str) -> Command:
        process = subprocess.Popen(
            [sys.executable, "-m", "rtcore", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment() | variables,
        )
        running.append(Command(process))
        return running[-1]

    yield start
    for command in running:
        if command.process.poll() is None:
            command.process.kill()
        command.process.communicate(timeout=SECONDS)


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs `rtcore ARGUMENTS` to its end."""

    def run(*arguments: str, stdin: bytes = b"", **variables: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "rtcore", *arguments],
            input=stdin,
            capture_output=True,
            timeout=SECONDS,
            env=environment() | variables,
            check=False,
        )

    return run


@pytest.fixture
def server(start: Callable[..., Command], request: Any) -> ServerProcess:
    """A server on a port of its own; indirect parameters are further options."""
    options: tuple[str, ...] = getattr(request, "param", ())
    command = start("serve", "--port", "0", *options)
    first = command.line()
    match = re.search(r"ws://\S+", first)
    assert match is not None, first
    return ServerProcess(start, options, command, match[0])
