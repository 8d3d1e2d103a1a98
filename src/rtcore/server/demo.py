"""
What `rtcore serve --demo` shows: this machine's own figures, and a real workflow of real commands, on a loop.

The workflow surveys the Python that runs it, with commands that come with it, so that it works wherever rtcore does.
It prints on both outputs, nests tasks, and fails every fourth time, since a page that never showed a failure was
never seen to work. Its command lines hold no secrets and are published.
"""

from __future__ import annotations

import logging
import shutil
import sys
from typing import Final

import trio
from attrs import frozen

from rtcore.errors import ProcessFailed, ProcessNotStarted, RequestError
from rtcore.features.feature import Publisher
from rtcore.features.system_metrics import SystemMetrics
from rtcore.features.tasks import Task
from rtcore.features.workflows import Workflow, Workflows
from rtcore.values.limits import Limits

__all__ = ["run_demo", "run_survey"]

_logger = logging.getLogger(__name__)

_PYTHON: Final = sys.executable or "python3"
_MODULES: Final = ("json", "email", "asyncio", "http.client")
# -P: a module of the same name in the directory that the server was started in is not the one to be surveyed.
_WEIGHTS: Final = {"describe": 1, "inspect": 4, "measure": 3, "verify": 1}
_FAILS_EVERY: Final = 4
_IMPORT: Final = """
import sys, time
before, began = len(sys.modules), time.perf_counter()
import {module}
print(len(sys.modules) - before, "modules came with {module}")
print(f"it took {{1000 * (time.perf_counter() - began):.1f}} ms", file=sys.stderr)
"""


@frozen(kw_only=True)
class _Step:
    """One command of the survey."""

    title: str
    command: tuple[str, ...]
    stdin: bytes | None = None


async def run_demo(
    publisher: Publisher,
    *,
    limits: Limits | None = None,
    metrics_seconds: float = 1.0,
    step_seconds: float = 0.5,
    rest_seconds: float = 5.0,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """
    Publish the demo until cancelled.

    Args:
        publisher: Where the events go: channels `system`, `tasks`, `tools`, `workflows`.
        limits: Bounds of output and times.
        metrics_seconds: Time between two samples of the machine.
        step_seconds: Pause after each command, so that people can follow.
        rest_seconds: Pause after each survey.
    """
    workflows = Workflows(publisher, limits=limits)
    async with trio.open_nursery() as nursery:
        await nursery.start(SystemMetrics(publisher, interval_seconds=metrics_seconds).run)
        task_status.started()
        number = 1
        while True:
            try:
                await run_survey(workflows, number, step_seconds=step_seconds)
            except (ProcessFailed, ProcessNotStarted, RequestError) as error:
                _logger.info("survey %d of the demo ended early: %s", number, error)
            await trio.sleep(rest_seconds)
            number += 1


async def run_survey(workflows: Workflows, number: int, *, step_seconds: float = 0.5) -> None:
    """
    Run the demo's workflow once. Every fourth `number` fails in its last task.

    Raises:
        ProcessFailed: In those that fail.
        ProcessNotStarted: Python cannot be run as a command.
    """
    async with workflows.workflow("survey", plan=_WEIGHTS) as workflow:
        await _run_steps(workflow, "describe", _describe(), step_seconds)
        async with workflow.task("inspect", plan=len(_MODULES)) as inspect:
            for module in _MODULES:
                async with inspect.task(module) as task:
                    await _follow(task, _inspect(module), step_seconds)
        await _run_steps(workflow, "measure", _measure(), step_seconds)
        await _run_steps(workflow, "verify", _verify(broken=number % _FAILS_EVERY == 0), step_seconds)
        workflow.result = {"survey": number, "modules": len(_MODULES)}


async def _run_steps(workflow: Workflow, name: str, steps: list[_Step], step_seconds: float) -> None:
    async with workflow.task(name) as task:
        await _follow(task, steps, step_seconds)


async def _follow(task: Task, steps: list[_Step], step_seconds: float) -> None:
    for done, step in enumerate(steps):
        task.progress(100 * done / len(steps), f"{step.title} ({done + 1} of {len(steps)})")
        await task.run_process(step.command, show_command=True, stdin=step.stdin)
        await trio.sleep(step_seconds)
    task.progress(100)


def _describe() -> list[_Step]:
    steps = [_Step(title="which Python", command=(_PYTHON, "-VV"))]
    if shutil.which("uname"):
        steps.append(_Step(title="which system", command=("uname", "-a")))
    if shutil.which("df"):
        steps.append(_Step(title="room on disk", command=("df", "-h", ".")))
    return steps


def _inspect(module: str) -> list[_Step]:
    return [
        _Step(title="where it is", command=(_PYTHON, "-P", "-m", "inspect", "--details", module)),
        _Step(title="what it imports", command=(_PYTHON, "-P", "-c", _IMPORT.format(module=module))),
    ]


def _measure() -> list[_Step]:
    statements = {"sorting": "sorted(range(10_000), reverse=True)", "joining": "','.join(map(str, range(10_000)))"}
    return [
        _Step(title=title, command=(_PYTHON, "-P", "-m", "timeit", "-v", "-n", "100", "-r", "5", statement))
        for title, statement in statements.items()
    ]


def _verify(*, broken: bool) -> list[_Step]:
    document = b'{"surveyed": true, "by": "rtcore"' + (b"" if broken else b"}")
    return [_Step(title="a JSON document", command=(_PYTHON, "-P", "-m", "json.tool"), stdin=document)]
