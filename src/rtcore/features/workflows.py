"""
Workflows: several tasks on the way to one result.

Events on channel `workflows`: `workflow.progress` with the task that it is about and the progress of the whole, at
the beginning (no task yet) and whenever one of its tasks says something; at the end `workflow.completed` or
`workflow.failed`. How the whole follows from the tasks is in `task_state.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from rtcore.features.feature import Publisher
from rtcore.features.scope import Scope, new_identifier
from rtcore.features.task_state import Plan, ProgressState
from rtcore.features.tasks import Task, Tasks
from rtcore.features.tools import Tools
from rtcore.values.events import Json
from rtcore.values.limits import Limits

__all__ = ["Workflow", "Workflows"]


class Workflow(Scope):
    """One run: `async with workflows.workflow("nightly") as workflow: async with workflow.task("index"): ...`."""

    def __init__(
        self,
        tasks: Tasks,
        name: str,
        *,
        workflow_id: str | None = None,
        plan: int | Mapping[str, float] | None = None,
    ) -> None:
        self.workflow_id = workflow_id or new_identifier()
        self._plan = Plan.of(plan)
        self.state = ProgressState(self._plan)
        """How far it is; to be read only."""
        identity: dict[str, Json] = {"workflow_id": self.workflow_id, "name": name}
        super().__init__(tasks.publisher, tasks.limits, family="workflow", name=name, identity=identity)
        self._tasks = tasks
        self._completed = 0
        self._failed = 0

    def task(
        self,
        name: str,
        *,
        task_id: str | None = None,
        weight: float | None = None,
        plan: int | Mapping[str, float] | None = None,
    ) -> Task:
        """
        A task of this workflow.

        Args:
            name: For people, and to find its weight in the workflow's plan.
            task_id: Identifier; None: a random one.
            weight: Its share of the whole, relative to the others; None: as planned, otherwise 1.
            plan: What this task itself consists of; see `Tasks.task`.
        """
        self._life.check_running()
        weight = self._plan.weight_of(name) if weight is None else weight
        return Task(
            self._tasks, name, task_id=task_id, owner=self, workflow_id=self.workflow_id, weight=weight, plan=plan
        )

    def part_began(self, task: Task) -> None:
        """A task of this workflow has begun."""
        self.state.begin_part(task.state, task.weight)
        self._publish_progress(task)

    def part_changed(self, task: Task) -> None:
        """A task of this workflow, at any depth, has published something."""
        self.state.follow()
        self._publish_progress(task)

    def part_ended(self, task: Task, *, completed: bool) -> None:
        """A task of this workflow has ended."""
        self.state.end_part(task.state, completed=completed)
        if completed:
            self._completed += 1
        else:
            self._failed += 1
        self._publish_progress(task)

    def _begin(self) -> None:
        self._publish_progress(None)

    def _publish_progress(self, task: Task | None) -> None:
        if self.ended:  # the task outlived its workflow, whose last word has been said
            return
        data = self._counts() | {"status": "running", "progress": self.state.value, "current_task": _summary(task)}
        self._publish("progress", data, key=f"progress:{self.workflow_id}")

    def _final_data(self, status: str) -> dict[str, Json]:
        return super()._final_data(status) | self._counts()

    def _counts(self) -> dict[str, Json]:
        """How many of its own tasks have begun, completed and failed; tasks inside of tasks do not count."""
        return {"tasks": {"begun": self.state.begun, "completed": self._completed, "failed": self._failed}}


def _summary(task: Task | None) -> Json:
    if task is None:
        return None
    return {
        "task_id": task.task_id,
        "name": task.name,
        "status": task.current_status,
        "progress": task.state.value,
        "message": task.state.message,
    }


class Workflows:
    """The feature: workflows, published on channel `workflows`, their tasks and tools beside them."""

    def __init__(self, publisher: Publisher, *, limits: Limits | None = None, tasks: Tasks | None = None) -> None:
        self.tasks = tasks or Tasks(publisher, limits=limits)

    @property
    def tools(self) -> Tools:
        """The tools that tasks of these workflows run."""
        return self.tasks.tools

    def workflow(
        self,
        name: str,
        *,
        workflow_id: str | None = None,
        plan: int | Mapping[str, float] | None = None,
    ) -> Workflow:
        """
        A run of a workflow.

        Args:
            name: For people.
            workflow_id: Identifier; None: a random one.
            plan: How many tasks there will be, or their weights by name; None: unknown, so progress is an estimate.
        """
        return Workflow(self.tasks, name, workflow_id=workflow_id, plan=plan)
