"""The table: medians and the span from least to most, a row for each server."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Result", "describe_machine", "render"]


@dataclass(frozen=True)
class Result:
    """One run of one measurement against one server."""

    peer: str
    test: str
    repeat: int
    figures: Mapping[str, float]


@dataclass(frozen=True)
class _Column:
    title: str
    test: str
    figure: str
    text: Callable[[float], str]


def _count(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    return f"{value / 1e3:.1f}k" if value >= 1e3 else f"{value:.0f}"


def _decimal(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


_COLUMNS = (
    _Column("fan1: deliveries/s", "fan1", "deliveries_per_second", _count),
    _Column("CPU us each", "fan1", "cpu_seconds_per_million", _decimal),
    _Column("fan64: deliveries/s", "fan64", "deliveries_per_second", _count),
    _Column("CPU us each", "fan64", "cpu_seconds_per_million", _decimal),
    _Column("echo: round trips/s", "echo", "round_trips_per_second", _count),
    _Column("CPU us each", "echo", "cpu_seconds_per_million", _decimal),
    _Column("handshakes/s", "connect", "handshakes_per_second", _count),
    _Column("CPU us each", "connect", "cpu_seconds_per_million", _decimal),
    _Column("idle: KiB/connection", "connect", "kib_per_connection", _decimal),
)


def describe_machine() -> str:
    """Where this ran, for whoever compares."""
    return f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} {platform.machine()}"


def render(results: Sequence[Result], names: Mapping[str, str], tests: Sequence[str]) -> str:
    """
    The tables in Markdown.

    Args:
        results: All runs.
        names: What to call each peer, in the order of the rows.
        tests: The measurements that were made.
    """
    columns = [column for column in _COLUMNS if column.test in tests]
    lines = [
        "| server | " + " | ".join(column.title for column in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for peer, name in names.items():
        cells = [_cell(results, peer, column) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "How busy server and generator were, in percent of a CPU: a generator near 100 is what was measured."]
    lines += ["", "| server | " + " | ".join(tests) + " |", "|---" * (len(tests) + 1) + "|"]
    for peer, name in names.items():
        lines.append(f"| {name} | " + " | ".join(_busy(results, peer, test) for test in tests) + " |")
    lost = [result for result in results if result.figures.get("lost")]
    lines += [f"\n{r.peer} lost {r.figures['lost']:.0f} deliveries in {r.test}, run {r.repeat}" for r in lost]
    return "\n".join(lines)


def _values(results: Sequence[Result], peer: str, test: str, figure: str) -> list[float]:
    return [result.figures[figure] for result in results if (result.peer, result.test) == (peer, test)]


def _cell(results: Sequence[Result], peer: str, column: _Column) -> str:
    values = _values(results, peer, column.test, column.figure)
    if not values:
        return "-"
    middle = column.text(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({column.text(min(values))}-{column.text(max(values))})"


def _busy(results: Sequence[Result], peer: str, test: str) -> str:
    shares = [_values(results, peer, test, figure) for figure in ("server_busy", "generator_busy")]
    return " / ".join(f"{statistics.median(each) * 100:.0f}" if each else "-" for each in shares)
