"""Progress bars for what is running, below the lines of what happened; for a terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from rtcore.client import ReceivedEvent
from rtcore.tui.lines import event_lines, text_of

__all__ = ["TaskBoard"]

_BARS: Final = 20
"""Most bars at once: the oldest goes when a newer one needs its place. More would not fit a small terminal."""
_LABEL, _MESSAGE = 28, 40
_STYLES: Final = {"failed": "red", "completed": "green", "started": "cyan"}
_WITH_A_BAR: Final = {"task": "task_id", "workflow": "workflow_id"}
_SHOWN_BY_ITS_BAR: Final = {"task.progress", "workflow.progress"}


class TaskBoard:
    """
    Lines that scroll, bars that stay.

    Everything is drawn as `Text`, never as markup: what is between brackets in an event is only text.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._progress = Progress(
            TextColumn("{task.fields[label]}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f}%", markup=False, table_column=Column(no_wrap=True)),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[message]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=self.console,
            transient=True,
            refresh_per_second=10,
        )
        self._bars: dict[tuple[str, str], TaskID] = {}

    def __enter__(self) -> TaskBoard:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    @property
    def bars(self) -> int:
        """Bars that are shown."""
        return len(self._bars)

    def show(self, event: ReceivedEvent) -> None:
        """Move the bar that an event is about; print what no bar shows."""
        family, _, verb = event.type.partition(".")
        data = event.data
        if isinstance(data, dict) and family in _WITH_A_BAR:
            identifier = data.get(_WITH_A_BAR[family])
            if isinstance(identifier, str):
                self._move_bar((family, identifier), verb, data)
        if event.type not in _SHOWN_BY_ITS_BAR:
            style = "red" if isinstance(data, dict) and data.get("is_stderr") is True else _STYLES.get(verb, "")
            self._print("\n".join(event_lines(event)), style)  # each print draws the bars again

    def say(self, text: str) -> None:
        """Print a line of rtcore's own; escaped already where parts of it come from elsewhere."""
        self._print(text, "bold yellow")

    def _move_bar(self, key: tuple[str, str], verb: str, data: dict[str, Any]) -> None:
        if verb in ("completed", "failed"):
            bar = self._bars.pop(key, None)
            if bar is not None:
                self._progress.remove_task(bar)
            return
        label, message = _label(key[0], data), _message(data)
        progress = data.get("progress")
        done = float(progress) if isinstance(progress, int | float) and not isinstance(progress, bool) else None
        if key not in self._bars:
            self._make_room()
            self._bars[key] = self._progress.add_task("", total=100, label=label, message=message)
        self._progress.update(self._bars[key], completed=done, label=label, message=message)

    def _make_room(self) -> None:
        while len(self._bars) >= _BARS:
            self._progress.remove_task(self._bars.pop(next(iter(self._bars))))

    def _print(self, text: str, style: str) -> None:
        self._progress.console.print(Text(text, style=style), soft_wrap=True)


def _label(family: str, data: dict[str, Any]) -> str:
    name = text_of(data.get("name"), text_of(data.get(_WITH_A_BAR[family]), "?"))
    indent = "" if family == "workflow" else "    " if data.get("parent_id") else "  "
    return _fit(indent + name, _LABEL)


def _message(data: dict[str, Any]) -> str:
    current = data.get("current_task")
    text = current.get("name") if isinstance(current, dict) else data.get("message")
    return _fit(text_of(text), _MESSAGE)


def _fit(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
