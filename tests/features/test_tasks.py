"""Tasks: the end of the block is the event."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from rtcore.errors import ErrorCode, HubClosed, LocalProtocolError, RequestError
from rtcore.features.tasks import Tasks
from rtcore.testing.recording_publisher import RecordingPublisher
from rtcore.values.limits import Limits

TERMINAL = {"task.completed", "task.failed"}


def terminals(publisher: RecordingPublisher) -> list[str]:
    return [type for type in publisher.types if type in TERMINAL]


async def test_a_task_tells_its_beginning_progress_status_and_end(
    publisher: RecordingPublisher, autojump_clock: trio.testing.MockClock
) -> None:
    async with Tasks(publisher).task("index", task_id="t1") as task:
        task.progress(40, "4 of 10")
        await trio.sleep(90)
        task.status("waiting")
        task.result = {"documents": 10}
    common = {"task_id": "t1", "name": "index"}
    assert [(event.channel, event.type, event.data) for event in publisher.events] == [
        ("tasks", "task.status", common | {"status": "running", "progress": 0, "message": None}),
        ("tasks", "task.progress", common | {"status": "running", "progress": 40, "message": "4 of 10"}),
        ("tasks", "task.status", common | {"status": "waiting", "progress": 40, "message": "4 of 10"}),
        ("tasks", "task.completed", common | {"status": "completed", "duration": 90, "result": {"documents": 10}}),
    ]
    assert publisher.events[1].key == "progress:t1"


async def test_identifiers_are_random_where_none_is_given(publisher: RecordingPublisher) -> None:
    tasks = Tasks(publisher)
    assert len({tasks.task("same").task_id for _ in range(100)}) == 100


async def test_a_lower_value_keeps_the_progress_and_tells_the_message(publisher: RecordingPublisher) -> None:
    async with Tasks(publisher).task("index") as task:
        task.progress(40, "4 of 10")
        task.progress(31, "4 of 13")
        task.progress(40)
        task.progress(5)
    told = [(data["progress"], data["message"]) for data in publisher.data("task.progress")]
    assert told == [(40, "4 of 10"), (40, "4 of 13")]


async def test_wrong_progress_is_refused_and_published_nowhere(publisher: RecordingPublisher) -> None:
    async with Tasks(publisher).task("index") as task:
        for value in (float("nan"), 101, -1, True):
            with pytest.raises(LocalProtocolError):
                task.progress(value)
    assert publisher.data("task.progress") == []


@pytest.mark.parametrize("status", ["", "completed", "failed"])
async def test_only_the_end_of_the_block_brings_a_terminal_status(publisher: RecordingPublisher, status: str) -> None:
    async with Tasks(publisher).task("index") as task:
        with pytest.raises(LocalProtocolError, match="leaving its scope"):
            task.status(status)


async def test_an_error_ends_the_task_with_its_type_and_text_and_goes_on(
    publisher: RecordingPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="no such index"):
        async with Tasks(publisher).task("index"):
            raise ValueError("no such index")
    (data,) = publisher.data("task.failed")
    assert (data["error_type"], data["error"], data["status"]) == ("ValueError", "no such index", "failed")
    assert "cancelled" not in data
    assert "Traceback" not in str(data)
    assert "Traceback" in caplog.text
    assert terminals(publisher) == ["task.failed"]


async def test_a_cancelled_task_says_so_and_stays_cancelled(publisher: RecordingPublisher) -> None:
    with trio.CancelScope() as scope:
        async with Tasks(publisher).task("index"):
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    (data,) = publisher.data("task.failed")
    assert (data["cancelled"], data["error"]) == (True, "cancelled")


async def test_a_task_taken_down_by_a_child_of_its_nursery_fails_by_the_childs_error(
    publisher: RecordingPublisher,
) -> None:
    async def fail() -> None:
        raise OSError("disk full")

    with pytest.RaisesGroup(OSError):
        async with Tasks(publisher).task("index"), trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            await trio.sleep_forever()
    (data,) = publisher.data("task.failed")
    assert (data["error_type"], data["error"]) == ("OSError", "disk full")


async def test_several_errors_end_the_task_once(publisher: RecordingPublisher) -> None:
    with pytest.raises(ExceptionGroup):
        async with Tasks(publisher).task("index"):
            raise ExceptionGroup("both", [ValueError("a"), KeyError("b")])
    assert terminals(publisher) == ["task.failed"]
    assert publisher.data("task.failed")[0]["error_type"] == "ExceptionGroup"


async def test_entering_is_a_checkpoint_and_a_cancelled_entry_publishes_nothing(publisher: RecordingPublisher) -> None:
    task = Tasks(publisher).task("index")
    with trio.CancelScope() as scope:
        scope.cancel()
        async with task:
            pytest.fail("the block must not run")
    assert publisher.events == []
    assert task.ended
    with trio.testing.assert_checkpoints():
        await Tasks(publisher).task("again").__aenter__()


async def test_a_task_can_be_used_only_inside_of_its_block(publisher: RecordingPublisher) -> None:
    task = Tasks(publisher).task("index")
    with pytest.raises(LocalProtocolError, match="has not begun"):
        task.progress(1)
    async with task:
        with pytest.raises(LocalProtocolError, match="begun already"):
            await task.__aenter__()
    count = len(publisher.events)
    for use in (lambda: task.progress(50), lambda: task.status("late"), lambda: task.task("x"), lambda: task.tool("x")):
        with pytest.raises(LocalProtocolError, match="has ended"):
            use()
    with pytest.raises(LocalProtocolError, match="has ended"):
        task.result = 1
    with pytest.raises(LocalProtocolError, match="has ended"):
        await task.run_process(["true"])
    assert len(publisher.events) == count


async def test_a_result_that_cannot_be_published_is_a_failure(publisher: RecordingPublisher) -> None:
    publisher.refuse["task.completed"] = RequestError(ErrorCode.MALFORMED, "result is no JSON")
    with pytest.raises(RequestError, match="no JSON"):
        async with Tasks(publisher).task("index"):
            pass
    assert terminals(publisher) == ["task.failed"]
    assert publisher.data("task.failed")[0]["error"] == "result is no JSON"


async def test_a_failure_that_cannot_be_published_never_replaces_the_error(
    publisher: RecordingPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    publisher.refuse["task.failed"] = HubClosed("the hub has ended")
    with pytest.raises(ValueError, match="cause"):
        async with Tasks(publisher).task("index"):
            raise ValueError("cause")
    with trio.CancelScope() as scope:
        async with Tasks(publisher).task("index"):
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert "could not be published" in caplog.text


async def test_a_publisher_that_calls_back_into_the_task_brings_no_second_end(publisher: RecordingPublisher) -> None:
    class Meddler(RecordingPublisher):
        def publish(self, channel, type, data, *, lane=None, key=None):  # type: ignore[no-untyped-def]
            if type in TERMINAL:
                with pytest.raises(LocalProtocolError, match="has ended"):
                    task.progress(100)
            return super().publish(channel, type, data, lane=lane, key=key)

    meddler = Meddler()
    async with Tasks(meddler).task("index") as task:
        pass
    assert terminals(meddler) == ["task.completed"]


async def test_a_task_inside_of_another_names_its_parent(publisher: RecordingPublisher) -> None:
    async with Tasks(publisher).task("outer", task_id="a") as outer, outer.task("inner", task_id="b") as inner:
        inner.progress(50)
    assert publisher.data("task.progress") == [
        {"task_id": "b", "name": "inner", "parent_id": "a", "status": "running", "progress": 50, "message": None}
    ]


async def test_nested_failures_end_each_task_once_and_log_one_traceback(
    publisher: RecordingPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="cause"):
        async with Tasks(publisher).task("outer") as outer, outer.task("inner"):
            raise ValueError("cause")
    assert [data["name"] for data in publisher.data("task.failed")] == ["inner", "outer"]
    assert caplog.text.count("Traceback") == 1


async def test_a_planned_task_follows_the_tasks_inside_of_it(publisher: RecordingPublisher) -> None:
    async with Tasks(publisher).task("outer", task_id="a", plan={"fetch": 1, "index": 3}) as outer:
        async with outer.task("fetch"):
            pass
        async with outer.task("index") as index:
            index.progress(50)
    told = [data["progress"] for data in publisher.data("task.progress") if data["task_id"] == "a"]
    assert told == [25, 62.5, 100]


async def test_a_part_that_outlives_its_whole_has_its_own_end_and_disturbs_nobody(
    publisher: RecordingPublisher,
) -> None:
    outer = Tasks(publisher).task("outer", plan=1)
    async with outer:
        inner = outer.task("inner")
        await inner.__aenter__()
    inner.progress(10)
    await inner.__aexit__(None, None, None)
    assert [(event.type, event.data["name"]) for event in publisher.events[2:]] == [
        ("task.completed", "outer"),
        ("task.progress", "inner"),
        ("task.completed", "inner"),
    ]


async def test_texts_are_bounded_and_fit_for_json(publisher: RecordingPublisher) -> None:
    async with Tasks(publisher, limits=Limits(output_line_bytes=64)).task("index") as task:
        task.progress(1, "bad-\udcff" + "x" * 100)
    message = publisher.data("task.progress")[0]["message"]
    assert isinstance(message, str)
    assert message.startswith("bad-?")
    assert len(message) == 64


async def test_a_beginning_that_is_half_published_still_gets_its_end(publisher: RecordingPublisher) -> None:
    publisher.refuse["task.progress"] = HubClosed("gone")
    with pytest.raises(HubClosed):
        async with Tasks(publisher).task("outer", plan=1) as outer:
            outer.progress(1)
    assert publisher.types == ["task.status", "task.failed"]


async def test_failing_and_cancelled_tasks_are_logged_apart(
    publisher: RecordingPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with trio.CancelScope() as scope:
        async with Tasks(publisher).task("index"):
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert [(record.levelname, record.message) for record in caplog.records] == [("INFO", "task 'index' was cancelled")]
