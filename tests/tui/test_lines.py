"""Events as lines and bars: nothing in an event can act on a terminal."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from attrs import evolve
from rich.console import Console

from rtcore.client import DroppedNotice, DroppedRange, ReceivedEvent, RecoveryNotice
from rtcore.tui.displays import JsonLines, PlainLines, dropped_line, recovery_lines
from rtcore.tui.escaping import escape
from rtcore.tui.lines import event_lines
from rtcore.tui.task_board import TaskBoard
from rtcore.values.events import Json, Lane

HOSTILE = "\x1b[2J\x1b]0;owned\x07 \r\b [red]x[/red] [link=file:///]y \u202e \x9b31m \ud800"


def event(kind: str, data: Json, **fields: Any) -> ReceivedEvent:
    return ReceivedEvent(channel="tasks", type=kind, data=data, timestamp=0.0, offset=1, position="e-1", **fields)


def recovery(recovered: bool, *, restarted: bool = False, replayed: int = 0, channel: str = "tasks") -> RecoveryNotice:
    return RecoveryNotice(
        channel=channel,
        type="connection.recovered",
        data={},
        timestamp=0.0,
        position="f-1",
        recovered=recovered,
        replayed=replayed,
        before="e-1",
        restarted=restarted,
    )


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("task.progress", {"name": "index", "progress": 40.2, "message": "3 of 10"}, "index  40%  3 of 10"),
        ("task.status", {"name": "index", "status": "waiting"}, "index  waiting"),
        ("task.completed", {"name": "index", "duration": 1.25}, "index after 1.2 s"),
        ("task.failed", {"task_id": "t1", "error": "no"}, "t1: no"),
        ("tool.started", {"tool": "make", "pid": 7}, "make (process 7)"),
        ("tool.output", {"tool": "make", "output": "ok\n", "is_stderr": False}, "make | ok"),
        ("tool.output", {"tool": "make", "output": "bad\n", "is_stderr": True}, "make ! bad"),
        (
            "workflow.progress",
            {"name": "nightly", "progress": 5, "current_task": {"name": "index", "progress": 10}},
            "nightly  5%  index 10%",
        ),
        ("system.metrics", {"cpu": {"percent": 3.4}, "memory": {"percent": 50}}, "cpu 3%, memory 50%"),
        ("own.type", {"a": [1, None]}, '{"a":[1,null]}'),
        ("own.type", "text", "text"),
    ],
)
def test_event_is_said_in_words(kind: str, data: Json, expected: str) -> None:
    assert event_lines(event(kind, data))[0].endswith(" " + expected)


def test_output_of_several_lines_is_several_lines_and_gaps_are_said() -> None:
    data: Json = {"tool": "make", "output": "a\nb\n", "is_stderr": False, "omitted_bytes": 9}
    lines = event_lines(event("tool.output", data))
    assert [line.rpartition(" | ")[2] for line in lines] == ["(9 bytes before this were left out)", "a", "b"]


@pytest.mark.parametrize("kind", ["task.progress", "task.failed", "tool.output", "tool.started", "own.type", HOSTILE])
@pytest.mark.parametrize("shape", [1, 2, 3])
def test_no_event_acts_on_the_terminal(kind: str, shape: int) -> None:
    names = ("name", "message", "error", "status", "output", "tool", "command", "pid", "progress", "current_task")
    text = HOSTILE.replace("\ud800", "")
    data: Json = {1: dict.fromkeys(names, text), 2: text, 3: [text, {text: text}]}[shape]
    for line in event_lines(event(kind, data)):
        assert line.isprintable()


def test_escape_keeps_what_can_be_read() -> None:
    assert escape("größer 日本 😀 [x]") == "größer 日本 😀 [x]"
    assert escape("a\x1b\n\u2028\u202e\ud800") == r"a\x1b\n\u2028\u202e\ud800"


def test_text_of_any_length_is_bounded() -> None:
    (line,) = event_lines(event("own.type", "x" * 100_000))
    assert len(line) < 600


def test_json_lines_hold_everything_and_no_control_character() -> None:
    text = "\x1b\x7f\x9b\u2028\U000e0001"
    output = io.StringIO()
    JsonLines(output).show(event("own.type", {"text": text}, conflated=2))
    assert output.getvalue().rstrip("\n").isprintable()
    table = json.loads(output.getvalue())
    assert table["data"] == {"text": text}
    assert (table["type"], table["offset"], table["position"], table["conflated"]) == ("own.type", 1, "e-1", 2)


def test_plain_lines_keep_events_and_words_apart() -> None:
    output, words = io.StringIO(), io.StringIO()
    with PlainLines(output, words) as display:
        display.show(event("own.type", 1))
        display.say("reconnected")
    assert output.getvalue().endswith("own.type           1\n")
    assert words.getvalue() == "reconnected\n"


def test_recovery_is_one_line_where_nothing_was_lost_and_one_a_channel_otherwise() -> None:
    def at_noon(seconds: float) -> str:
        return "12:00:00"

    assert recovery_lines([recovery(True), recovery(True, channel="tools")], at_noon) == ["reconnected, nothing lost"]
    lines = recovery_lines([recovery(False, restarted=True, replayed=2), recovery(False, channel="tools")], at_noon)
    assert "the server restarted (new epoch): events before 12:00:00" in lines[0]
    assert "2 that it still holds follow" in lines[0]
    assert lines[1].startswith("tools: some events between e-1 and f-1 are no longer held")
    stood_for = evolve(recovery(False, restarted=True), snapshot={}, snapshot_offset=3)
    assert recovery_lines([stood_for], at_noon)[0].endswith("cannot be recovered; what it still holds follows")


def test_drop_is_said_with_kinds_and_offsets() -> None:
    notice = DroppedNotice(
        channel="tools",
        type="dropped",
        data={},
        timestamp=0.0,
        count=12,
        types={"tool.output": 12},
        ranges=(DroppedRange(lane=Lane.LOW, first=3, last=20, count=12),),
    )
    assert dropped_line(notice) == "tools: 12 events dropped: 12 tool.output (offsets low 3-20)"


def board() -> tuple[TaskBoard, io.StringIO]:
    output = io.StringIO()
    return TaskBoard(Console(file=output, force_terminal=True, width=150, highlight=False)), output


def test_board_shows_a_bar_for_what_runs_and_a_line_for_what_ended() -> None:
    shown, output = board()
    with shown:
        shown.show(event("task.progress", {"task_id": "t1", "name": "index", "progress": 40, "message": "3 of 10"}))
        shown.show(event("workflow.progress", {"workflow_id": "w1", "name": "nightly", "progress": 10}))
        assert shown.bars == 2
        shown.show(event("task.failed", {"task_id": "t1", "name": "index", "error": "no"}))
        assert shown.bars == 1
    assert "index: no" in output.getvalue()


def test_board_is_bounded() -> None:
    shown, _ = board()
    with shown:
        for number in range(1000):
            shown.show(event("task.progress", {"task_id": str(number), "progress": 1}))
        assert shown.bars == 20


@pytest.mark.parametrize("kind", ["task.progress", "task.status", "workflow.progress", "tool.output", "own.type"])
def test_board_takes_markup_for_text_and_lets_no_control_through(kind: str) -> None:
    shown, output = board()
    text = HOSTILE.replace("\ud800", "")
    with shown:
        names = ("task_id", "workflow_id", "name", "message", "output", "progress")
        shown.show(event(kind, dict.fromkeys(names, text)))
        shown.say("[red]own words[/red]")
        shown.show(event("own.type", "[bold]kept[/bold]"))
    assert "[bold]kept[/bold]" in output.getvalue()
    assert "[red]own words[/red]" in output.getvalue()
    for sequence in ("\x1b[2J", "\x1b]0;", "\x9b", "\u202e", "\x07"):
        assert sequence not in output.getvalue()
