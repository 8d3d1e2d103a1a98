"""
A command that shares this terminal.

Not `features.processes`, which runs a server's processes: in a group of their own, without standard input, their output
as text, at the pace of whoever takes it. Here the command stands in the foreground, as after `time` or `env`: it reads
our standard input, gets the terminal's own signals, and what it writes comes out byte for byte.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import trio
from attrs import define, field

from rtcore.cli.running import heeded
from rtcore.errors import ProcessNotStarted

__all__ = ["Interruptions", "run_attached"]

_READ_BYTES: Final = 64 * 1024  # as much as a pipe holds. Source: pipe(7).
_DRAIN_SECONDS: Final = 1.0  # for a pipe that a descendant keeps open after the command's end
_FORWARDED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@define(eq=False)
class Interruptions:
    """Signals to us: they are the command's while it runs, and ours afterwards."""

    process: trio.Process | None = field(default=None, init=False)
    _scope: trio.CancelScope | None = field(default=None, init=False)

    async def run(self, *, task_status: trio.TaskStatus[Interruptions]) -> None:
        """Take signals until cancelled."""
        numbers = heeded(*_FORWARDED)
        if not numbers:
            task_status.started(self)
            return
        with trio.open_signal_receiver(*numbers) as signals:
            task_status.started(self)
            async for number in signals:
                self._interrupt(number)

    @contextmanager
    def cancel(self, scope: trio.CancelScope) -> Iterator[None]:
        """While the block lasts a signal cancels the scope."""
        self._scope = scope
        try:
            yield
        finally:
            self._scope = None

    def _interrupt(self, number: int) -> None:
        if self.process is not None:
            if not (number in (signal.SIGINT, signal.SIGQUIT) and _in_foreground()):
                with suppress(ProcessLookupError):
                    self.process.send_signal(number)
        elif self._scope is not None:
            self._scope.cancel()


async def run_attached(
    command: list[str],
    interruptions: Interruptions,
    on_started: Callable[[int], None],
    on_output: Callable[[bytes, bool], None],
) -> int:
    """
    Run a command to its end and return its exit code, or the negated number of the signal that ended it.

    Args:
        command: The program and its arguments.
        interruptions: Is told of the process, so that signals reach it.
        on_started: Called with its number.
        on_output: Called with each piece of output, and whether it is of the standard error, once it was passed on.

    Raises:
        ProcessNotStarted: It cannot be run; the cause is the system's error.
    """
    process = await _open(command)
    interruptions.process = process
    try:
        on_started(process.pid)
        assert process.stdout is not None  # both were asked for as pipes
        assert process.stderr is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_pass_on, process.stdout, 1, on_output)
            nursery.start_soon(_pass_on, process.stderr, 2, on_output)
            code: int = await process.wait()
            nursery.cancel_scope.deadline = trio.current_time() + _DRAIN_SECONDS
    finally:
        interruptions.process = None
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                await trio.aclose_forcefully(stream)
    return code


async def _open(command: list[str]) -> trio.Process:
    try:
        return await trio.lowlevel.open_process(command, stdin=None, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError as error:
        raise ProcessNotStarted(f"command not found: {command[0]}") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its words contain a null byte"
        raise ProcessNotStarted(f"cannot run {command[0]}: {reason}") from error


async def _pass_on(stream: trio.abc.ReceiveStream, descriptor: int, on_output: Callable[[bytes, bool], None]) -> None:
    async with stream:
        while data := await stream.receive_some(_READ_BYTES):
            try:
                await _write(descriptor, bytes(data))
            except BrokenPipeError:
                # Whoever read our output went away. The closed pipe tells the command, as it would have been told.
                return
            on_output(bytes(data), descriptor == 2)


async def _write(descriptor: int, data: bytes) -> None:
    """In a thread: our outputs may be a terminal or pipe that somebody holds up, and the rest must go on."""
    while data:
        written = await trio.to_thread.run_sync(os.write, descriptor, data, abandon_on_cancel=True)
        data = data[written:]


def _in_foreground() -> bool:
    """Whether the terminal sends its signals to our process group, and so to the command too."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
