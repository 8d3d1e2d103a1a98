"""An event as lines for people: escaped, so that nothing in it can act on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from rtcore.client import ReceivedEvent
from rtcore.protocol.json_codec import json_dumps
from rtcore.tui.escaping import escape
from rtcore.values.events import Json

__all__ = ["event_lines", "stamp", "text_of"]

_TEXT_CHARACTERS: Final = 500  # of one line: what is longer is data for programs, which use --json


def stamp(seconds: float) -> str:
    """Time of day here, such as `14:03:59`."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def text_of(value: Json, default: str = "") -> str:
    """A value of the data as escaped, bounded text."""
    if value is None:
        return default
    text = value if isinstance(value, str) else json_dumps(value).decode()
    shown = escape(text[: _TEXT_CHARACTERS + 1])
    return shown if len(text) <= _TEXT_CHARACTERS else shown[:_TEXT_CHARACTERS] + "..."


def event_lines(event: ReceivedEvent) -> list[str]:
    """One line; more for output of several lines."""
    data = event.data if isinstance(event.data, dict) else None
    describe = _DESCRIPTIONS.get(event.type, _other)
    bodies = _other({"": event.data}) if data is None else describe(data)
    extra = (" (repaired)" if event.repaired else "") + (
        f" (stands for {event.conflated + 1})" if event.conflated else ""
    )
    head = f"{stamp(event.timestamp)} {event.channel:<9} {escape(event.type):<18}"
    return [f"{head} {body}{extra}".rstrip() for body in bodies]


def _name(data: Mapping[str, Any]) -> str:
    return text_of(data.get("name") or data.get("tool") or data.get("task_id") or data.get("execution_id"), "?")


def _percent(value: object) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.0f}%" if number else ""


def _progress(data: Mapping[str, Any]) -> list[str]:
    return [f"{_name(data)}  {_percent(data.get('progress'))}  {text_of(data.get('message'))}".rstrip()]


def _status(data: Mapping[str, Any]) -> list[str]:
    return [f"{_name(data)}  {text_of(data.get('status'))}  {text_of(data.get('message'))}".rstrip()]


def _ended(data: Mapping[str, Any]) -> list[str]:
    duration = data.get("duration")
    took = f" after {duration:.1f} s" if isinstance(duration, int | float) else ""
    error = f": {text_of(data.get('error'))}" if data.get("error") else ""
    return [f"{_name(data)}{took}{error}"]


def _tool_started(data: Mapping[str, Any]) -> list[str]:
    pid = f" (process {text_of(data.get('pid'))})" if data.get("pid") is not None else ""
    return [f"{_name(data)}{pid} {text_of(data.get('command'))}".rstrip()]


def _tool_output(data: Mapping[str, Any]) -> list[str]:
    sign = "!" if data.get("is_stderr") is True else "|"
    output = data.get("output")
    lines = output.splitlines() if isinstance(output, str) else [text_of(output)]
    omitted = data.get("omitted_bytes")
    gap = [f"{_name(data)} {sign} ({text_of(omitted)} bytes before this were left out)"] if omitted else []
    return gap + [f"{_name(data)} {sign} {text_of(line)}" for line in lines or [""]]


def _workflow(data: Mapping[str, Any]) -> list[str]:
    task = data.get("current_task")
    current = f"{_name(task)} {_percent(task.get('progress'))}" if isinstance(task, dict) else ""
    return [f"{_name(data)}  {_percent(data.get('progress'))}  {current}".rstrip()]


def _metrics(data: Mapping[str, Any]) -> list[str]:
    parts = []
    for name in ("cpu", "memory", "disk"):
        figures = data.get(name)
        if isinstance(figures, dict) and _percent(figures.get("percent")):
            parts.append(f"{name} {_percent(figures['percent'])}")
    return [", ".join(parts)] if parts else _other(data)


def _other(data: Mapping[str, Any]) -> list[str]:
    return [text_of(data[""] if data.keys() == {""} else dict(data))]


_DESCRIPTIONS: Final[Mapping[str, Callable[[Mapping[str, Any]], list[str]]]] = {
    "task.progress": _progress,
    "task.status": _status,
    "task.completed": _ended,
    "task.failed": _ended,
    "tool.started": _tool_started,
    "tool.output": _tool_output,
    "tool.completed": _ended,
    "tool.failed": _ended,
    "workflow.progress": _workflow,
    "workflow.completed": _ended,
    "workflow.failed": _ended,
    "system.metrics": _metrics,
}
