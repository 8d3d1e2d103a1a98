"""The demo: real commands, real figures."""

from __future__ import annotations

import pytest
import trio

from rtcore.errors import ProcessFailed
from rtcore.features.workflows import Workflows
from rtcore.server.demo import run_demo, run_survey
from rtcore.testing.recording_publisher import RecordingPublisher


async def test_a_survey_runs_real_commands_on_both_outputs_and_completes() -> None:
    publisher = RecordingPublisher()
    await run_survey(Workflows(publisher), 1, step_seconds=0)
    assert publisher.data("task.failed") == []
    assert publisher.data("workflow.progress")[-1]["progress"] == 100
    assert publisher.data("workflow.completed")[0]["result"] == {"survey": 1, "modules": 4}
    assert {data["is_stderr"] for data in publisher.data("tool.output")} == {False, True}
    assert all(data["exit_code"] == 0 for data in publisher.data("tool.completed"))
    assert {data.get("parent_id") for data in publisher.data("task.completed")} > {None}


async def test_every_fourth_survey_fails_for_everyone_to_see() -> None:
    publisher = RecordingPublisher()
    with pytest.raises(ProcessFailed, match="exit code 1"):
        await run_survey(Workflows(publisher), 4, step_seconds=0)
    assert publisher.types[-4:] == ["tool.failed", "task.failed", "workflow.progress", "workflow.failed"]


async def test_the_demo_publishes_the_machines_figures_and_its_workflow_until_cancelled() -> None:
    publisher = RecordingPublisher()
    async with trio.open_nursery() as nursery:
        await nursery.start(run_demo, publisher)
        with trio.fail_after(30):
            while not {"system.metrics", "tool.completed"} <= set(publisher.types):
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert publisher.types[-1] == "workflow.failed"
    assert publisher.data("workflow.failed")[0]["cancelled"] is True
