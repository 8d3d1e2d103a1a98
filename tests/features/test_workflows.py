"""Workflows: the progress of the whole, and its end."""

from __future__ import annotations

import contextlib

import pytest
import trio

from rtcore.errors import ErrorCode, LocalProtocolError, RequestError
from rtcore.features.workflows import Workflows
from rtcore.testing.recording_publisher import RecordingPublisher


def overall(publisher: RecordingPublisher) -> list[object]:
    return [data["progress"] for data in publisher.data("workflow.progress")]


async def test_a_workflow_tells_its_current_task_and_the_progress_of_the_whole(publisher: RecordingPublisher) -> None:
    async with Workflows(publisher).workflow("nightly", workflow_id="w1", plan=2) as workflow:
        async with workflow.task("index", task_id="t1") as task:
            task.progress(40, "4 of 10")
        async with workflow.task("upload", task_id="t2"):
            pass
    told = publisher.data("workflow.progress")
    assert told[0] == {
        "workflow_id": "w1",
        "name": "nightly",
        "status": "running",
        "progress": 0,
        "current_task": None,
        "tasks": {"begun": 0, "completed": 0, "failed": 0},
    }
    assert told[2]["current_task"] == {
        "task_id": "t1",
        "name": "index",
        "status": "running",
        "progress": 40,
        "message": "4 of 10",
    }
    assert overall(publisher) == [0, 0, 20, 50, 50, 100]
    (end,) = publisher.data("workflow.completed")
    assert (end["tasks"], end["status"]) == ({"begun": 2, "completed": 2, "failed": 0}, "completed")
    assert {event.channel for event in publisher.events if event.type.startswith("workflow.")} == {"workflows"}


async def test_tasks_of_a_workflow_carry_its_identifier_at_any_depth(publisher: RecordingPublisher) -> None:
    async with (
        Workflows(publisher).workflow("nightly", workflow_id="w1") as workflow,
        workflow.task("outer") as outer,
        outer.task("inner") as inner,
        inner.tool("search") as tool,
    ):
        tool.output("3 hits")
    assert {event.data["workflow_id"] for event in publisher.events} == {"w1"}
    assert publisher.data("tool.output")[0]["task_id"] == inner.task_id


async def test_what_an_inner_task_says_reaches_the_workflow(publisher: RecordingPublisher) -> None:
    async with (
        Workflows(publisher).workflow("nightly", plan=1) as workflow,
        workflow.task("outer", plan=2) as outer,
        outer.task("inner") as inner,
    ):
        inner.progress(50)
    assert 25 in overall(publisher)
    currents = [data["current_task"] for data in publisher.data("workflow.progress")]
    assert any(isinstance(current, dict) and current["name"] == "inner" for current in currents)


async def test_declared_weights_make_the_shares(publisher: RecordingPublisher) -> None:
    async with Workflows(publisher).workflow("nightly", plan={"fetch": 1, "index": 4}) as workflow:
        async with workflow.task("fetch"):
            pass
        async with workflow.task("index"):
            pass
    assert overall(publisher) == [0, 0, 20, 20, 100]


async def test_without_a_plan_progress_is_an_estimate_that_never_falls_nor_shows_100(
    publisher: RecordingPublisher,
) -> None:
    async with Workflows(publisher).workflow("nightly") as workflow:
        for name in "abc":
            async with workflow.task(name) as task:
                task.progress(50)
    values = [value for value in overall(publisher) if isinstance(value, int | float)]
    assert values == sorted(values)
    assert values[-1] == 75


async def test_an_error_that_leaves_the_workflow_ends_task_and_workflow_once_each(
    publisher: RecordingPublisher,
) -> None:
    with pytest.raises(ValueError, match="cause"):
        async with Workflows(publisher).workflow("nightly") as workflow, workflow.task("index"):
            raise ValueError("cause")
    assert publisher.types[-3:] == ["task.failed", "workflow.progress", "workflow.failed"]
    (end,) = publisher.data("workflow.failed")
    assert (end["error_type"], end["error"]) == ("ValueError", "cause")
    assert end["tasks"] == {"begun": 1, "completed": 0, "failed": 1}


async def test_a_workflow_that_handles_the_failure_of_a_task_completes(publisher: RecordingPublisher) -> None:
    async with Workflows(publisher).workflow("nightly", plan=2) as workflow:
        with contextlib.suppress(ValueError):
            async with workflow.task("index") as task:
                task.progress(50)
                raise ValueError("cause")
        async with workflow.task("report"):
            pass
    assert overall(publisher)[-1] == 75
    assert publisher.data("workflow.completed")[0]["tasks"] == {"begun": 2, "completed": 1, "failed": 1}


async def test_concurrent_tasks_are_told_apart(publisher: RecordingPublisher) -> None:
    async with (
        Workflows(publisher).workflow("nightly", plan=2) as workflow,
        workflow.task("a") as a,
        workflow.task("b") as b,
    ):
        a.progress(30)
        b.progress(60)
        a.progress(40)
    currents = [data["current_task"] for data in publisher.data("workflow.progress")]
    assert [current["name"] for current in currents if isinstance(current, dict)] == ["a", "b", "a", "b", "a", "b", "a"]
    assert overall(publisher)[3:6] == [15, 45, 50]


async def test_cancelling_a_workflow_ends_everything_in_it_as_cancelled(publisher: RecordingPublisher) -> None:
    with trio.CancelScope() as scope:
        async with Workflows(publisher).workflow("nightly") as workflow, workflow.task("a") as task, task.tool("t"):
            scope.cancel()
            await trio.sleep_forever()
    ends = [event for event in publisher.events if event.type.endswith(".failed")]
    assert [event.type for event in ends] == ["tool.failed", "task.failed", "workflow.failed"]
    assert all(event.data["cancelled"] for event in ends)


async def test_a_task_whose_workflow_cannot_be_told_has_one_end_all_the_same(publisher: RecordingPublisher) -> None:
    refusal = RequestError(ErrorCode.BUSY, "later")
    with pytest.raises(RequestError, match="later"):
        async with Workflows(publisher).workflow("nightly") as workflow, workflow.task("index"):
            publisher.refuse["workflow.progress"] = refusal
    assert [type for type in publisher.types if type.startswith(("task.c", "task.f"))] == ["task.completed"]
    assert publisher.types[-1] == "workflow.failed"


async def test_a_task_that_cannot_begin_ends_as_failed(publisher: RecordingPublisher) -> None:
    workflow = Workflows(publisher).workflow("nightly")
    await workflow.__aenter__()
    publisher.refuse["workflow.progress"] = RequestError(ErrorCode.BUSY, "later")
    with pytest.raises(RequestError, match="later"):
        await workflow.task("index").__aenter__()
    await workflow.__aexit__(None, None, None)
    assert publisher.types == ["workflow.progress", "task.status", "task.failed", "workflow.completed"]


async def test_a_task_that_outlives_its_workflow_leaves_the_workflow_alone(publisher: RecordingPublisher) -> None:
    async with Workflows(publisher).workflow("nightly") as workflow:
        task = workflow.task("late")
        await task.__aenter__()
    task.progress(10)
    await task.__aexit__(None, None, None)
    assert publisher.types[-3:] == ["workflow.completed", "task.progress", "task.completed"]
    with pytest.raises(LocalProtocolError, match="has ended"):
        workflow.task("later")
