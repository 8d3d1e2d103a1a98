"""The tables in Markdown: a summary, one for each test, and what went wrong."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from compare.arithmetic import Spread, ratio_of, spread_of
from compare.measures import FAULTS, TESTS, Measure, Test
from compare.peers import FLOOR, PEERS
from compare.rounds import Result

__all__ = ["describe_machine", "number_text", "render", "spread_text"]

OURS = "rtcore"
BUSY = (Measure("server_busy", "server", "%", 100), Measure("generator_busy", "generator", "%", 100))


def describe_machine() -> str:
    """Where this ran, for whoever compares."""
    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = f", {len(names)} CPUs ({names[0]})" if names else ""
    kernel = platform.release().partition("-")[0]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python}, {platform.system()} {kernel} {platform.machine()}{model}"


def number_text(value: float) -> str:
    """Three digits that matter."""
    for least, letter in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= least:
            value, suffix = value / (1e3 if letter == "k" else 1e6), letter
            break
    else:
        suffix = ""
    decimals = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{decimals}f}{suffix}"


def spread_text(spread: Spread | None, suffix: str = "") -> str:
    """Median, and the span where there is one; a dash for nothing."""
    if spread is None:
        return "-"
    middle, least, most = (number_text(each) + suffix for each in (spread.median, spread.least, spread.most))
    return middle if least == most else f"{middle} ({least}-{most})"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def _row(results: Sequence[Result], server: str, name: str, test: Test, servers: Mapping[str, str]) -> list[str]:
    first = test.measures[0]
    cells = [name, *(spread_text(spread_of(results, server, test.name, each)) for each in test.measures)]
    if FLOOR in servers:
        cells.append(spread_text(ratio_of(results, server, FLOOR, test.name, first), "x"))
    if OURS in servers:
        cells.append(spread_text(ratio_of(results, OURS, server, test.name, first), "x"))
    shares = [spread_of(results, server, test.name, each) for each in BUSY]
    return [*cells, " / ".join("-" if each is None else f"{each.median:.0f}" for each in shares)]


def _section(results: Sequence[Result], test: Test, servers: Mapping[str, str]) -> list[str]:
    header = ["server", *(f"{each.title}, {each.unit}" for each in test.measures)]
    header += ["to the floor"] if FLOOR in servers else []
    header += ["rtcore to it"] if OURS in servers else []
    rows = [_row(results, server, name, test, servers) for server, name in servers.items()]
    sentence = f"{test.title[0].upper()}{test.title[1:]}."
    return [f"### {test.name}", "", sentence, "", *_table([*header, "busy, %"], rows), ""]


def _summary(results: Sequence[Result], tests: Sequence[Test], servers: Mapping[str, str]) -> list[str]:
    header = ["server", *(f"{test.name}: {test.measures[0].title}, {test.measures[0].unit}" for test in tests)]
    rows = []
    for server, name in servers.items():
        spreads = [spread_of(results, server, test.name, test.measures[0]) for test in tests]
        rows.append([name, *("-" if spread is None else number_text(spread.median) for spread in spreads)])
    return [*_table(header, rows), ""]


def faults_of(result: Result) -> str:
    """What was not as it should be in one run; empty: nothing."""
    if result.problem:
        return f"failed: {result.problem}"
    return ", ".join(f"{name} {result.figures[name]:.0f}" for name in FAULTS if result.figures.get(name))


def _remarks(results: Sequence[Result], tests: Sequence[Test], servers: Mapping[str, str]) -> list[str]:
    lines = []
    for result in results:
        if faults := faults_of(result):
            lines.append(f"- {result.test}, {result.server}, round {result.round}: {faults}")
    for server in servers:
        reasons = {name: why for name, why in PEERS[server].left_out.items() if name in {test.name for test in tests}}
        for why in dict.fromkeys(reasons.values()):
            names = ", ".join(name for name in reasons if reasons[name] == why)
            lines.append(f"- {server} has no {names}: {why}")
    return lines


def render(results: Sequence[Result], servers: Mapping[str, str]) -> str:
    """
    All of it.

    Args:
        results: All runs.
        servers: What to call each server, in the order of the rows.
    """
    measured = {result.test for result in results}
    tests = [test for test in TESTS.values() if test.name in measured]
    lines = _summary(results, tests, servers)
    for test in tests:
        taking = {result.server for result in results if result.test == test.name}
        lines += _section(results, test, {server: name for server, name in servers.items() if server in taking})
    return "\n".join([*lines, *_remarks(results, tests, servers)]).rstrip() + "\n"
