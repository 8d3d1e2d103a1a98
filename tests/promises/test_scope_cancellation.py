"""
The promise of scopes: what was begun has exactly one end, wherever cancellation strikes.

The program is cancelled at its first step, then at its second, and so on until it gets through: every place where it
can wait has its turn. Real time, since a real process takes part.
"""

from __future__ import annotations

import psutil
import trio
from attrs import define, field

from rtcore.features.workflows import Workflows
from rtcore.testing.recording_publisher import RecordingPublisher

TERMINAL = ("completed", "failed")
IDENTITIES = {"workflow": "workflow_id", "task": "task_id", "tool": "execution_id"}


@define(eq=False)
class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope when the tasks of the run have made so many steps."""

    scope: trio.CancelScope
    steps_left: int
    _struck: bool = field(init=False, default=False)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps_left -= 1
        if self.steps_left <= 0 and not self._struck:
            self._struck = True
            self.scope.cancel()


async def program(publisher: RecordingPublisher) -> None:
    async with (
        Workflows(publisher).workflow("nightly", plan=1) as workflow,
        workflow.task("index", plan=2) as outer,
        outer.task("first") as task,
    ):
        task.progress(50)
        await task.run_process(["sh", "-c", "echo out; echo err >&2; exec sleep 0.01"], stdin=b"word")
        async with task.tool("search") as tool:
            tool.output("3 hits")
            await trio.lowlevel.checkpoint()


def check_ends(publisher: RecordingPublisher) -> None:
    """Each scope that published anything has one terminal event, its last."""
    lives: dict[tuple[str, str], list[str]] = {}
    for event in publisher.events:
        family, _, verb = event.type.partition(".")
        lives.setdefault((family, str(event.data[IDENTITIES[family]])), []).append(verb)
    for verbs in lives.values():
        assert [verb for verb in verbs if verb in TERMINAL] == verbs[-1:]


async def test_cancelled_at_any_step_every_scope_has_one_end_and_no_process_is_left() -> None:
    process = psutil.Process()
    descriptors = process.num_fds()
    step, cancelled = 1, True
    with trio.fail_after(120):
        while cancelled:
            publisher = RecordingPublisher()
            with trio.CancelScope() as scope:
                instrument = CancelAtStep(scope, step)
                trio.lowlevel.add_instrument(instrument)
                try:
                    await program(publisher)
                finally:
                    trio.lowlevel.remove_instrument(instrument)
            cancelled = scope.cancelled_caught
            check_ends(publisher)
            assert not process.children()
            assert process.num_fds() <= descriptors
            step += 1
    assert step > 10
    assert publisher.types[-1] == "workflow.completed"
