"""Tools, and processes as tools, up to what is published of them."""

from __future__ import annotations

import os
import sys

import pytest
import trio

from rtcore.errors import LocalProtocolError, ProcessFailed, ProcessNotStarted
from rtcore.features.tools import Tools
from rtcore.hub.hub import Hub
from rtcore.testing.recording_publisher import RecordingPublisher
from rtcore.values.channels import Namespace, Overflow
from rtcore.values.limits import Limits
from rtcore.values.positions import LastEvents

PYTHON = sys.executable


def output(publisher: RecordingPublisher, *, is_stderr: bool = False) -> str:
    pieces = [data for data in publisher.data("tool.output") if data["is_stderr"] is is_stderr]
    return "".join(str(data["output"]) for data in pieces)


async def test_a_tool_tells_its_start_output_and_end(publisher: RecordingPublisher) -> None:
    async with Tools(publisher).tool("search", execution_id="e1", task_id="t1") as tool:
        tool.output("3 hits\n")
        tool.output("slow index\n", is_stderr=True)
    common = {"execution_id": "e1", "tool": "search", "task_id": "t1"}
    assert [(event.channel, event.type) for event in publisher.events] == [
        ("tools", "tool.started"),
        ("tools", "tool.output"),
        ("tools", "tool.output"),
        ("tools", "tool.completed"),
    ]
    assert publisher.data("tool.output") == [
        common | {"output": "3 hits\n", "is_stderr": False, "sequence": 0},
        common | {"output": "slow index\n", "is_stderr": True, "sequence": 1},
    ]
    assert publisher.data("tool.completed")[0]["pieces"] == 2
    with pytest.raises(LocalProtocolError, match="has ended"):
        tool.output("late")


async def test_long_output_of_a_tool_leaves_in_bounded_pieces(publisher: RecordingPublisher) -> None:
    text = "é" * 200
    async with Tools(publisher, limits=Limits(output_line_bytes=65)).tool("search") as tool:
        tool.output(text)
    pieces = [str(data["output"]) for data in publisher.data("tool.output")]
    assert "".join(pieces) == text
    assert max(len(piece.encode()) for piece in pieces) == 64


async def test_a_process_tells_its_number_output_and_exit_code(publisher: RecordingPublisher) -> None:
    result = await Tools(publisher).run_process(["sh", "-c", "echo out; echo err >&2"], task_id="t1")
    assert publisher.types[0] == "tool.started"
    assert publisher.data("tool.started")[0]["pid"] == result.pid
    assert (output(publisher), output(publisher, is_stderr=True)) == ("out\n", "err\n")
    (end,) = publisher.data("tool.completed")
    assert (end["exit_code"], end["tool"], end["task_id"], end["pieces"]) == (0, "sh", "t1", 2)
    assert "output_cut" not in end


async def test_an_exit_code_other_than_0_is_a_failure_that_is_raised(publisher: RecordingPublisher) -> None:
    with pytest.raises(ProcessFailed, match="exit code 3") as caught:
        await Tools(publisher).run_process(["sh", "-c", "exit 3"])
    assert caught.value.returncode == 3
    (end,) = publisher.data("tool.failed")
    assert (end["exit_code"], end["error"], end["status"]) == (3, "exit code 3", "failed")


async def test_without_check_a_failure_is_published_and_returned(publisher: RecordingPublisher) -> None:
    result = await Tools(publisher).run_process(["sh", "-c", "kill -KILL $$"], check=False)
    assert (result.signal, result.exit_code, result.shell_status) == ("SIGKILL", None, 137)
    (end,) = publisher.data("tool.failed")
    assert (end["signal"], end["error"]) == ("SIGKILL", "ended by SIGKILL")
    assert "exit_code" not in end


@pytest.mark.parametrize(
    ("command", "cwd", "error"),
    [
        (["no-such-command-anywhere", "secret"], None, "command not found: no-such-command-anywhere"),
        ([os.devnull, "secret"], None, "permission denied: null"),
        (["sh", "secret"], "/no/such/directory", "cannot run in the working directory: No such file or directory"),
        (["sh", "sec\0ret"], None, "a program, argument or variable contains a null byte"),
        (["sh", "sec\ud800ret"], None, "a program, argument or variable cannot be given to the system"),
    ],
)
async def test_a_command_that_cannot_be_run_fails_with_a_clear_error_and_never_started(
    publisher: RecordingPublisher, command: list[str], cwd: str | None, error: str
) -> None:
    with pytest.raises(ProcessNotStarted) as caught:
        await Tools(publisher).run_process(command, cwd=cwd)
    assert str(caught.value) == error
    assert publisher.types == ["tool.failed"]
    assert publisher.data("tool.failed")[0]["error"] == error
    assert "sec" not in str(publisher.events)


@pytest.mark.parametrize("command", ["ls -l", b"ls", []])
async def test_a_command_that_is_no_sequence_of_words_is_refused(
    publisher: RecordingPublisher, command: object
) -> None:
    with pytest.raises(LocalProtocolError, match="sequence of strings"):
        await Tools(publisher).run_process(command)  # type: ignore[arg-type]


async def test_arguments_environment_and_input_stay_private_unless_the_command_is_to_be_shown(
    publisher: RecordingPublisher,
) -> None:
    secret = "hunter2"
    tools = Tools(publisher)
    env = {"PATH": os.environ["PATH"], "TOKEN": secret}
    await tools.run_process(["sh", "-c", f": {secret}"], env=env, stdin=secret.encode())
    assert secret not in str(publisher.events)
    await tools.run_process(["echo", "a b"], show_command=True)
    assert publisher.data("tool.started")[-1]["command"] == "echo 'a b'"


async def test_directory_environment_and_input_reach_the_process(publisher: RecordingPublisher) -> None:
    script = "import os, sys; print(os.getcwd(), os.environ['WORD'], sys.stdin.read())"
    await Tools(publisher).run_process([PYTHON, "-c", script], cwd="/", env={"WORD": "grüß"}, stdin=b"in")
    assert output(publisher) == "/ grüß in\n"


async def test_without_input_a_process_reads_an_end_at_once(publisher: RecordingPublisher) -> None:
    await Tools(publisher).run_process(["cat"])
    assert publisher.types == ["tool.started", "tool.completed"]


async def test_a_cancelled_process_says_so(publisher: RecordingPublisher) -> None:
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: Tools(publisher).run_process(["sh", "-c", "echo up; exec sleep 60"]))
            while not output(publisher):
                await trio.lowlevel.checkpoint()
            scope.cancel()
    (end,) = publisher.data("tool.failed")
    assert (end["cancelled"], end["error"]) == (True, "cancelled")


async def test_a_publisher_that_refuses_output_ends_the_process_and_the_tool_once(
    publisher: RecordingPublisher,
) -> None:
    publisher.refuse["tool.output"] = OSError("publisher is gone")
    with pytest.raises(OSError, match="publisher is gone"):
        await Tools(publisher).run_process(["yes"])
    assert publisher.types == ["tool.started", "tool.failed"]


async def test_a_publisher_that_refuses_the_start_ends_the_process(publisher: RecordingPublisher) -> None:
    publisher.refuse["tool.started"] = OSError("publisher is gone")
    with pytest.raises(OSError, match="publisher is gone"):
        await Tools(publisher).run_process(["sleep", "60"])
    assert publisher.types == ["tool.failed"]


async def test_where_the_channel_waits_for_its_subscribers_the_process_does_too() -> None:
    """Rule `wait`: a flood reaches even a slow subscriber whole, because the process is held up instead."""
    hub = Hub(
        limits=Limits(output_line_bytes=1024, output_buffer_bytes=1024, lag_events=4),
        namespaces={"tools": Namespace(overflow=Overflow.WAIT)},
    )
    received: list[str] = []

    async def read(task_status: trio.TaskStatus[None]) -> None:
        async with hub.subscribe("tools", where={"type": "tool.*"}) as events:
            task_status.started()
            async for event in events:
                await trio.lowlevel.checkpoint()
                assert isinstance(event.data, dict)
                if event.type == "tool.completed":
                    return
                received.append(str(event.data.get("output", "")))

    async with trio.open_nursery() as running:
        await running.start(hub.run)
        async with trio.open_nursery() as nursery:
            await nursery.start(read)
            await Tools(hub, limits=hub.limits).run_process(["sh", "-c", "yes 0123456 | head -n 12800"])
        running.cancel_scope.cancel()
    assert "".join(received) == "0123456\n" * 12800


async def test_the_hub_keeps_output_in_its_history_in_order() -> None:
    hub = Hub()
    await Tools(hub).run_process(["sh", "-c", "echo one; echo two >&2; sleep 0.02; echo three"])
    page = hub.history("tools", since=LastEvents(10))
    assert (page.events[0].type, page.events[-1].type) == ("tool.started", "tool.completed")
    sequence = [
        event.data["sequence"] for event in page.events if isinstance(event.data, dict) and "output" in event.data
    ]
    assert sequence == list(range(len(sequence)))
