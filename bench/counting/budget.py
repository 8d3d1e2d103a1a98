"""The budget: how many instructions a unit may take, for each minor version of Python."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["ROOM", "Budget", "excesses", "read_budget", "this_python", "write_budget"]

ROOM = 1.1
"""Of what was measured: compilers and versions of dependencies differ by a few percent."""

Budget = Mapping[str, int]
"""Instructions by scenario."""


def this_python() -> str:
    """Such as `3.11`: another version takes another number of instructions for the same."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def _read(file: Path) -> dict[str, dict[str, int]]:
    budgets: dict[str, dict[str, int]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return budgets


def read_budget(file: Path, python: str) -> Budget | None:
    """The budget for a version of Python; None if it has none."""
    return _read(file).get(python)


def write_budget(file: Path, python: str, counts: Mapping[str, float]) -> None:
    """Make what was measured, and some room, the budget of a version; other versions and scenarios keep theirs."""
    budgets = _read(file)
    budgets[python] = {**budgets.get(python, {}), **{name: round(count * ROOM) for name, count in counts.items()}}
    file.write_text(json.dumps(budgets, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def excesses(counts: Mapping[str, float], budget: Budget) -> list[str]:
    """A line for each scenario above its budget, or without one."""
    lines = []
    for name, count in counts.items():
        if name not in budget:
            lines.append(f"{name}: {count:.0f} instructions and no budget: --renew gives it one")
        elif count > budget[name]:
            lines.append(f"{name}: {count:.0f} instructions, budget {budget[name]}")
    return lines
