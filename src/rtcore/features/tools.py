"""
Tools: what a program calls to get something done, real processes above all, with their output live.

Events on channel `tools`: `tool.started`, `tool.output` (low lane, the first to go when a subscriber is slow;
`sequence` shows what is missing), `tool.completed`, `tool.failed`. Each carries `execution_id`, `tool`, and the task
and workflow that it belongs to.

Secrets: a command's arguments often hold some, and everyone who may read the channel would see them. So only the
program's name is published unless the caller says `show_command=True`; the environment and the standard input never
are. Nor do failures name arguments. What the program itself prints is published as it is.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence

from rtcore.errors import ProcessFailed
from rtcore.features.feature import PatientPublisher, Publisher
from rtcore.features.process_output import OutputBuffer, OutputPiece
from rtcore.features.processes import ProcessResult, stream_process
from rtcore.features.scope import Scope, new_identifier
from rtcore.values.events import Json
from rtcore.values.limits import Limits

__all__ = ["Tool", "Tools"]


class Tool(Scope):
    """One execution of a tool: `async with tools.tool("search") as tool: tool.output("3 hits")`."""

    def __init__(
        self,
        publisher: Publisher,
        limits: Limits,
        name: str,
        *,
        execution_id: str | None = None,
        task_id: str | None = None,
        workflow_id: str | None = None,
    ) -> None:
        self.execution_id = execution_id or new_identifier()
        identity: dict[str, Json] = {
            "execution_id": self.execution_id,
            "tool": name,
            "task_id": task_id,
            "workflow_id": workflow_id,
        }
        super().__init__(publisher, limits, family="tool", name=name, identity=identity)
        self._pieces = 0

    def output(self, text: str, *, is_stderr: bool = False) -> None:
        """
        Publish some output, in pieces of at most `Limits.output_line_bytes`.

        Raises:
            LocalProtocolError: If the scope has not begun or has ended.
        """
        self._life.check_running()
        buffer = OutputBuffer(self._limits.output_line_bytes)
        buffer.feed(text.encode(errors="replace"), is_stderr=is_stderr)
        while (piece := buffer.take()) is not None:
            self._publish_piece(piece)

    def _begin(self) -> None:
        self._publish("started", {"status": "running"})

    def _publish_piece(self, piece: OutputPiece) -> None:
        self._publish("output", self._next_output(piece))

    def _next_output(self, piece: OutputPiece) -> dict[str, Json]:
        self._pieces += 1
        return {"output": piece.text, "is_stderr": piece.is_stderr, "sequence": self._pieces - 1}

    def _final_data(self, status: str) -> dict[str, Json]:
        return super()._final_data(status) | {"pieces": self._pieces}


class _ProcessTool(Tool):
    """A tool that is a process: it has started once the process has, and ends with its exit code or signal."""

    command: str | None = None
    """What `tool.started` shows; None: nothing."""
    process: ProcessResult | None = None
    """How the process ended; None until then."""

    def announce(self, pid: int) -> None:
        shown: dict[str, Json] = {} if self.command is None else {"command": self._text(self.command)}
        self._publish("started", {"status": "running", "pid": pid, **shown})

    async def emit(self, piece: OutputPiece) -> None:
        """Publish a piece; where the channel's rule is to wait for its subscribers, the process waits for them too."""
        if isinstance(self._publisher, PatientPublisher):
            data = self._identity | self._next_output(piece)
            await self._publisher.publish_wait("tools", "tool.output", data)
        else:
            self._publish_piece(piece)

    def _begin(self) -> None:
        """Nothing yet: what cannot be run has never started, and only fails."""

    def _final_data(self, status: str) -> dict[str, Json]:
        data = super()._final_data(status)
        if self.process is not None:
            data["duration"] = round(self.process.duration, 6)
            if self.process.signal is None:
                data["exit_code"] = self.process.exit_code
            else:
                data["signal"] = self.process.signal
            if self.process.output_cut:
                data["output_cut"] = True
        return data


class Tools:
    """The feature: executions of tools, published on channel `tools`."""

    def __init__(self, publisher: Publisher, *, limits: Limits | None = None) -> None:
        self._publisher = publisher
        self._limits = limits or Limits()

    def tool(
        self,
        name: str,
        *,
        execution_id: str | None = None,
        task_id: str | None = None,
        workflow_id: str | None = None,
    ) -> Tool:
        """A scope that publishes `tool.started` and, at its end, `tool.completed` or `tool.failed`."""
        return Tool(
            self._publisher, self._limits, name, execution_id=execution_id, task_id=task_id, workflow_id=workflow_id
        )

    async def run_process(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        name: str | None = None,
        show_command: bool = False,
        check: bool = True,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        execution_id: str | None = None,
        task_id: str | None = None,
        workflow_id: str | None = None,
    ) -> ProcessResult:
        """
        Run a command, publishing its output live: `tool.started`, `tool.output` ..., then `tool.completed` with
        `exit_code` 0, or `tool.failed` with another `exit_code`, the `signal` that ended it, or the `error`.

        A checkpoint. Cancelling ends the process with all of its group; see `processes.py` for how and how fast.

        Args:
            command: The program and its arguments; no shell is involved.
            name: What to call it; by default the program's name.
            show_command: Whether `tool.started` carries the whole command line; see the module on secrets.
            check: Whether an exit code other than 0, or a signal, raises `ProcessFailed`.
            cwd: Directory to run in; None: this one.
            env: The whole environment; None: this process's.
            stdin: What the process may read; None: nothing at all.
            execution_id: Identifier of this execution; None: a random one.
            task_id: The task that it belongs to.
            workflow_id: The workflow that it belongs to.

        Raises:
            ProcessFailed: See `check`.
            ProcessNotStarted: The command cannot be run.
            LocalProtocolError: `command` is empty or one string.
        """
        tool = _ProcessTool(
            self._publisher,
            self._limits,
            name or _program_name(command),
            execution_id=execution_id,
            task_id=task_id,
            workflow_id=workflow_id,
        )
        if show_command:
            tool.command = shlex.join(os.fspath(part) for part in command)
        try:
            async with tool:
                result = await stream_process(
                    command, tool.emit, on_started=tool.announce, cwd=cwd, env=env, stdin=stdin, limits=self._limits
                )
                tool.process = result
                result.check()
        except ProcessFailed:
            if check:
                raise
        return result


def _program_name(command: Sequence[str | os.PathLike[str]]) -> str:
    """The first word's last part; a command that is wrong altogether is refused later, with a message of its own."""
    if isinstance(command, str | bytes) or not command:
        return "process"
    return os.path.basename(os.fspath(command[0])) or "process"
