"""The three forms of `rtcore tail`: lines, JSON lines, and a board with progress bars."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, TextIO

from rtcore.client import DroppedNotice, ReceivedEvent, RecoveryNotice
from rtcore.protocol.json_codec import json_dumps
from rtcore.tui.escaping import escape, escape_json
from rtcore.tui.lines import event_lines
from rtcore.values.events import format_timestamp

__all__ = ["Display", "JsonLines", "PlainLines", "dropped_line", "open_board", "recovery_lines"]


class Display(Protocol):
    """Where events go, and what rtcore itself has to say."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End; leaves the terminal as it was."""

    def show(self, event: ReceivedEvent) -> None:
        """Show an event."""

    def say(self, text: str) -> None:
        """Show a line of rtcore's own, escaped already."""


class PlainLines:
    """One line an event on the standard output; rtcore's own words on the standard error."""

    def __init__(self, output: TextIO | None = None, words: TextIO | None = None) -> None:
        self._output = output or sys.stdout
        self._words = words or sys.stderr

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def show(self, event: ReceivedEvent) -> None:
        """Print it, at once: whoever reads a pipe wants it now."""
        self._print(event_lines(event))

    def say(self, text: str) -> None:
        """Print it beside the events."""
        print(text, file=self._words, flush=True)

    def _print(self, lines: list[str]) -> None:
        self._output.write("".join(line + "\n" for line in lines))
        self._output.flush()


class JsonLines(PlainLines):
    """One JSON object a line, notices included, for programs."""

    def show(self, event: ReceivedEvent) -> None:
        """Print all of it."""
        table: dict[str, object] = {
            "type": event.type,
            "channel": event.channel,
            "data": event.data,
            "timestamp": format_timestamp(event.timestamp),
            "offset": event.offset,
            "position": event.position,
        }
        marks = {"notice": event.notice, "repaired": event.repaired, "conflated": event.conflated, "key": event.key}
        self._print([escape_json(json_dumps(table | {name: mark for name, mark in marks.items() if mark}).decode())])


def open_board() -> Display:
    """The board; rich is loaded only here, since it takes a while and a pipe has no use for it."""
    from rtcore.tui.task_board import TaskBoard

    return TaskBoard()


def recovery_lines(notices: list[RecoveryNotice], local_time: Callable[[float], str]) -> list[str]:
    """
    What to say after a reconnect, when every channel has said its part: one line if nothing was lost.

    Args:
        notices: One a channel.
        local_time: A time as people here write it.
    """
    if all(notice.recovered for notice in notices):
        replayed = sum(notice.replayed for notice in notices)
        again = f"; {replayed} events of the time away follow" if replayed else ""
        return [f"reconnected, nothing lost{again}"]
    lines = []
    for notice in notices:
        kept = f"; {notice.replayed} that it still holds follow" if notice.replayed else ""
        if not notice.recovered and notice.snapshot_offset is not None:  # asked for beside the state
            kept = "; what it still holds follows"
        when = local_time(notice.timestamp)
        if notice.recovered:
            lines.append(f"{notice.channel}: nothing lost{kept}")
        elif notice.restarted:
            lines.append(
                f"{notice.channel}: the server restarted (new epoch): events before {when} that were not shown "
                f"cannot be recovered{kept}"
            )
        else:
            lines.append(f"{notice.channel}: {escape(str(notice))}{kept}")
    return lines


def dropped_line(notice: DroppedNotice) -> str:
    """What to say of dropped events."""
    ranges = ", ".join(f"{entry.lane.name.lower()} {entry.first}-{entry.last}" for entry in notice.ranges)
    where = f" (offsets {ranges})" if ranges else ""
    return f"{notice.channel}: {escape(str(notice))}{where}"
