"""
Real processes, with their output live.

`stream_process` knows nothing of hubs: what it reads it hands to an async function, so that the same code serves a
task of this process and `rtcore exec`, which sends to a server elsewhere. Whoever calls it owns the process: leaving
the call, in whatever way, leaves no process of its group running that it was told to end, no zombie and no
descriptor.

How a process ends:
- By itself. Output is read to its end. A descendant that keeps a pipe open (`server &`) holds the call up for at most
  `Limits.process_drain_seconds`; it is then left alone, as after `nohup`, and the result says `output_cut`.
- By cancellation, or because its output could not be handed on. SIGTERM goes to its whole process group, and what it
  still says goes out. Once it is gone and the pipes are closed, or after `Limits.process_exit_seconds`, SIGKILL ends
  the rest.

The process is not reaped before the last signal: while it is a zombie its number cannot belong to anybody else, so no
signal can reach a stranger. Where the system has no pidfd (Linux before 5.3, macOS) that window is open but tiny.
POSIX only: process groups and pipes that can be waited for are what all this rests on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

import trio
from attrs import define, field, frozen

from rtcore.errors import LocalProtocolError, ProcessFailed, ProcessNotStarted
from rtcore.features.process_output import OutputPiece
from rtcore.features.process_pump import Emit, OutputPump
from rtcore.values.limits import Limits

__all__ = ["OutputPiece", "ProcessResult", "stream_process"]

_logger = logging.getLogger(__name__)
_DEFAULT_LIMITS = Limits()


@frozen(kw_only=True)
class ProcessResult:
    """How a process ended."""

    pid: int
    returncode: int
    """The exit code; the negated number of the signal where one ended it."""
    duration: float
    """From its start to its end, in seconds."""
    pieces: int
    """Pieces of output: their sequence numbers are 0 to `pieces - 1`."""
    output_cut: bool
    """A descendant still held a pipe open when reading ended, and may have had more to say."""

    @property
    def exit_code(self) -> int | None:
        """What the process returned; None where a signal ended it."""
        return self.returncode if self.returncode >= 0 else None

    @property
    def signal(self) -> str | None:
        """Name of the signal that ended the process, such as `SIGKILL`; None where it returned."""
        if self.returncode >= 0:
            return None
        try:
            return signal.Signals(-self.returncode).name
        except ValueError:  # real-time signals have numbers only
            return f"SIG{-self.returncode}"

    @property
    def shell_status(self) -> int:
        """The status as shells give it, 0 to 255: 128 and the number of the signal where one ended the process."""
        return self.returncode if self.returncode >= 0 else 128 - self.returncode

    @property
    def error(self) -> str | None:
        """What went wrong, in words; None for exit code 0."""
        if self.returncode < 0:
            return f"ended by {self.signal}"
        return f"exit code {self.returncode}" if self.returncode else None

    def check(self) -> None:
        """Raise `ProcessFailed` unless the exit code is 0."""
        if self.error is not None:
            raise ProcessFailed(self.error, returncode=self.returncode)


async def stream_process(
    command: Sequence[str | os.PathLike[str]],
    emit: Emit,
    *,
    on_started: Callable[[int], object] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    limits: Limits = _DEFAULT_LIMITS,
) -> ProcessResult:
    """
    Run a command to its end, handing on its output as it comes.

    A checkpoint. Cancelling ends the process and every process of its group, and returns within
    `process_exit_seconds + 2 * process_drain_seconds`; meanwhile `emit` still gets what the process says.

    Args:
        command: The program and its arguments; no shell is involved.
        emit: Awaited with each piece of output, one at a time; the process is read no faster than this returns.
        on_started: Called with the process's number once it runs, before any output.
        cwd: Directory to run in; None: this one.
        env: The whole environment; None: this process's.
        stdin: What the process may read; None: nothing at all (`/dev/null`).
        limits: Bounds of pieces, buffer and times.

    Raises:
        ProcessNotStarted: The command cannot be run: not found, not executable, no such directory.
        LocalProtocolError: `command` is empty, or one string instead of a sequence of them.
        Exception: Whatever `emit` or `on_started` raised, after the process was ended.
    """
    started_at = trio.current_time()
    process = await _open(command, cwd, env, stdin)
    supervisor = _Supervisor(process, emit, on_started, stdin, limits, started_at)
    try:
        await supervisor.run()
    finally:
        supervisor.close()
    return supervisor.result()


async def _open(
    command: Sequence[str | os.PathLike[str]],
    cwd: str | os.PathLike[str] | None,
    env: Mapping[str, str] | None,
    stdin: bytes | None,
) -> trio.Process:
    if isinstance(command, str | bytes) or not command:
        raise LocalProtocolError("command must be a sequence of strings, the program first")
    try:
        return await trio.lowlevel.open_process(
            list(command),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=env,
            start_new_session=True,  # a group of its own, so that one signal reaches its descendants too
        )
    except (OSError, ValueError) as error:
        raise ProcessNotStarted(_why_not_started(error, os.path.basename(command[0]), cwd)) from error


def _why_not_started(error: OSError | ValueError, program: str, cwd: str | os.PathLike[str] | None) -> str:
    if not isinstance(error, OSError):
        if "null byte" in str(error):
            return "a program, argument or variable contains a null byte"
        return "a program, argument or variable cannot be given to the system"  # its own words may hold what was in it
    # subprocess names the directory in the error exactly when entering it failed
    if cwd is not None and error.filename == cwd:
        return f"cannot run in the working directory: {error.strerror}"
    if isinstance(error, FileNotFoundError):
        return f"command not found: {program}"
    if isinstance(error, PermissionError):
        return f"permission denied: {program}"
    return f"cannot run {program}: {error.strerror}"


@define(eq=False)
class _Supervisor:
    """One process from its start until nothing is left of it."""

    process: trio.Process
    emit: Emit
    on_started: Callable[[int], object] | None
    stdin: bytes | None
    limits: Limits
    started_at: float
    pump: OutputPump = field(init=False)
    failure: Exception | None = field(init=False, default=None)
    _ended_at: float | None = field(init=False, default=None)
    _pidfd: int | None = field(init=False, default=None)
    _watching: trio.CancelScope = field(init=False, factory=trio.CancelScope)
    _pumping: trio.CancelScope = field(init=False, factory=lambda: trio.CancelScope(shield=True))

    def __attrs_post_init__(self) -> None:
        stdout, stderr = self.process.stdout, self.process.stderr
        assert isinstance(stdout, trio.lowlevel.FdStream)  # both were asked for as pipes, and this is POSIX
        assert isinstance(stderr, trio.lowlevel.FdStream)
        self.pump = OutputPump(stdout.fileno(), stderr.fileno(), self.emit, self.limits)
        with contextlib.suppress(AttributeError, OSError):  # not on this platform, or not in this sandbox
            self._pidfd = os.pidfd_open(self.process.pid)

    async def run(self) -> None:
        finished = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve_pipes)
            try:
                with self._watching:
                    self._announce()
                    await self._wait_end()
                    finished = self.pump.failure is None
            finally:
                if not finished:
                    await self._end()
                self._pumping.cancel()
        failure = self.failure or self.pump.failure
        if failure is not None:
            raise failure

    def result(self) -> ProcessResult:
        returncode = self.process.returncode
        assert returncode is not None  # `run` returns only after the end of the process, and `close` has reaped it
        return ProcessResult(
            pid=self.process.pid,
            returncode=returncode,
            duration=(self._ended_at or self.started_at) - self.started_at,
            pieces=self.pump.buffer.taken,
            output_cut=self.pump.left_open,
        )

    def close(self) -> None:
        """Reap the process and close every descriptor."""
        if self.process.poll() is None:
            _logger.warning("process %d did not end on SIGKILL within its deadline", self.process.pid)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if isinstance(stream, trio.lowlevel.FdStream):
                stream.close()
        if self._pidfd is not None:
            trio.lowlevel.notify_closing(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def _announce(self) -> None:
        if self.on_started is None:
            return
        try:
            self.on_started(self.process.pid)
        except Exception as error:  # kept, so that the process is ended first and no nursery wraps it in a group
            self.failure = error
            self._watching.cancel()

    async def _wait_end(self) -> None:
        await self._wait_exit()
        with trio.move_on_after(self.limits.process_drain_seconds):
            await self.pump.closed.wait()
        self.pump.leave()
        await self.pump.done.wait()

    async def _end(self) -> None:
        """End the group; bounded in time, and deaf to cancellation, which is what usually brings us here."""
        self._signal_group(signal.SIGTERM)
        self._signal_group(signal.SIGCONT)  # a stopped process gets the first signal only once it goes on
        with trio.move_on_after(self.limits.process_exit_seconds, shield=True):
            await self._wait_exit()
            await self.pump.done.wait()
        self._signal_group(signal.SIGKILL)
        with trio.move_on_after(self.limits.process_drain_seconds, shield=True):
            await self._wait_exit()
            await self.pump.closed.wait()
        self.pump.leave()
        with trio.move_on_after(self.limits.process_drain_seconds, shield=True):
            await self.pump.done.wait()

    async def _wait_exit(self) -> None:
        if self._ended_at is None:
            if self._pidfd is None:
                await self.process.wait()
            else:
                await trio.lowlevel.wait_readable(self._pidfd)
            self._ended_at = trio.current_time()

    def _signal_group(self, number: signal.Signals) -> None:
        # Gone already, or not ours to signal (a program that changed its user): nothing could be done about either.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    async def _serve_pipes(self) -> None:
        """Read and write the pipes until the pump is done. Shielded, so that last words get out; `run` ends it."""
        with self._pumping:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._feed)
                await self.pump.run()
                nursery.cancel_scope.cancel()
        if self.pump.failure is not None:
            self._watching.cancel()

    async def _feed(self) -> None:
        if self.process.stdin is None or self.stdin is None:
            return
        async with self.process.stdin:
            with contextlib.suppress(trio.BrokenResourceError):  # a process need not read what it is given
                await self.process.stdin.send_all(self.stdin)
