"""
Tasks: work that people watch, with its progress.

Events on channel `tasks`: `task.status` (once with `running` at the beginning, then whenever the program says so),
`task.progress`, and at the end `task.completed` or `task.failed`. Each carries `task_id`, `name`, `status`, and where
there is one `parent_id` and `workflow_id`. `task.progress` has the task as its conflation key: only its newest
matters.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from rtcore.errors import LocalProtocolError
from rtcore.features.feature import Publisher
from rtcore.features.processes import ProcessResult
from rtcore.features.scope import Scope, new_identifier
from rtcore.features.task_state import Plan, ProgressState, check_weight
from rtcore.features.tools import Tool, Tools
from rtcore.values.events import Json
from rtcore.values.limits import Limits

__all__ = ["Task", "TaskOwner", "Tasks"]

_TERMINAL = frozenset({"completed", "failed"})


class TaskOwner(Protocol):
    """What a task belongs to: another task or a workflow."""

    def part_began(self, task: Task) -> None:
        """`task` has just begun."""

    def part_changed(self, task: Task) -> None:
        """`task`, or a task inside of it, has published something."""

    def part_ended(self, task: Task, *, completed: bool) -> None:
        """`task` has just ended."""


class Task(Scope):
    """One task: `async with tasks.task("index") as task: task.progress(40, "3 of 10")`."""

    def __init__(
        self,
        tasks: Tasks,
        name: str,
        *,
        task_id: str | None = None,
        parent: Task | None = None,
        owner: TaskOwner | None = None,
        workflow_id: str | None = None,
        weight: float = 1.0,
        plan: int | Mapping[str, float] | None = None,
    ) -> None:
        self.task_id = task_id or new_identifier()
        self.workflow_id = workflow_id
        self.weight = check_weight(weight)
        self.state = ProgressState(None if plan is None else Plan.of(plan))
        """How far it is; to be read only."""
        self.current_status = "running"
        identity: dict[str, Json] = {
            "task_id": self.task_id,
            "name": name,
            "parent_id": None if parent is None else parent.task_id,
            "workflow_id": workflow_id,
        }
        super().__init__(tasks.publisher, tasks.limits, family="task", name=name, identity=identity)
        self._tasks = tasks
        self._owner = parent or owner

    def progress(self, progress: float, message: str | None = None) -> None:
        """
        Say how far the task is. Lower values than before leave the progress where it is; see `task_state.py`.

        Args:
            progress: 0 to 100.
            message: For people, such as `3 of 10`; None: the last one still holds.

        Raises:
            LocalProtocolError: If `progress` is no such number, or the scope has not begun or has ended.
        """
        self._life.check_running()
        if self.state.update(progress, None if message is None else self._text(message)):
            self._publish_progress()

    def status(self, status: str, message: str | None = None) -> None:
        """
        Say what the task is doing, such as `waiting`.

        Raises:
            LocalProtocolError: If `status` is empty or one of the two that only the end of the scope can bring, or if
                the scope has not begun or has ended.
        """
        self._life.check_running()
        if not status or status in _TERMINAL:
            raise LocalProtocolError(f"status {status!r} cannot be set: a task ends by leaving its scope")
        self.current_status = self._text(status)
        if message is not None:
            self.state.message = self._text(message)
        self._publish("status", self._present())
        self._tell_owner()

    def task(
        self,
        name: str,
        *,
        task_id: str | None = None,
        weight: float | None = None,
        plan: int | Mapping[str, float] | None = None,
    ) -> Task:
        """A task inside of this one. This one's progress follows from such tasks where it was given a plan."""
        self._life.check_running()
        if weight is None:
            weight = 1.0 if self.state.plan is None else self.state.plan.weight_of(name)
        return Task(
            self._tasks, name, task_id=task_id, parent=self, workflow_id=self.workflow_id, weight=weight, plan=plan
        )

    def tool(self, name: str, *, execution_id: str | None = None) -> Tool:
        """An execution of a tool that belongs to this task."""
        self._life.check_running()
        tools = self._tasks.tools
        return tools.tool(name, execution_id=execution_id, task_id=self.task_id, workflow_id=self.workflow_id)

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
    ) -> ProcessResult:
        """Run a command as a tool of this task: `Tools.run_process` with the task's identifiers."""
        self._life.check_running()
        return await self._tasks.tools.run_process(
            command,
            name=name,
            show_command=show_command,
            check=check,
            cwd=cwd,
            env=env,
            stdin=stdin,
            execution_id=execution_id,
            task_id=self.task_id,
            workflow_id=self.workflow_id,
        )

    def part_began(self, task: Task) -> None:
        """A task inside of this one has begun."""
        self._follow(task, self.state.begin_part(task.state, task.weight))

    def part_changed(self, task: Task) -> None:
        """A task inside of this one, at any depth, has published something."""
        self._follow(task, self.state.follow())

    def part_ended(self, task: Task, *, completed: bool) -> None:
        """A task inside of this one has ended."""
        self._follow(task, self.state.end_part(task.state, completed=completed))

    def _follow(self, task: Task, changed: bool) -> None:
        if self.ended:  # the part outlived its whole: it still has events of its own, but the whole has none any more
            return
        if changed:
            self._publish("progress", self._present(), key=f"progress:{self.task_id}")
        if self._owner is not None:
            self._owner.part_changed(task)

    def _begin(self) -> None:
        self._publish("status", self._present())
        if self._owner is not None:
            self._owner.part_began(self)

    def _settle(self, *, completed: bool) -> None:
        self.current_status = "completed" if completed else "failed"
        if self._owner is not None:
            self._owner.part_ended(self, completed=completed)

    def _publish_progress(self) -> None:
        self._publish("progress", self._present(), key=f"progress:{self.task_id}")
        self._tell_owner()

    def _tell_owner(self) -> None:
        if self._owner is not None:
            self._owner.part_changed(self)

    def _present(self) -> dict[str, Json]:
        return {"status": self.current_status, "progress": self.state.value, "message": self.state.message}


class Tasks:
    """The feature: tasks, published on channel `tasks`."""

    def __init__(self, publisher: Publisher, *, limits: Limits | None = None, tools: Tools | None = None) -> None:
        self.publisher = publisher
        self.limits = limits or Limits()
        self.tools = tools or Tools(publisher, limits=self.limits)

    def task(
        self,
        name: str,
        *,
        task_id: str | None = None,
        plan: int | Mapping[str, float] | None = None,
    ) -> Task:
        """
        A task of its own.

        Args:
            name: For people.
            task_id: Identifier; None: a random one.
            plan: How many tasks it will contain, or their weights by name: then its progress follows from theirs.
        """
        return Task(self, name, task_id=task_id, plan=plan)
