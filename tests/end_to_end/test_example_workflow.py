"""The example of an embedded workflow runs as it is printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "workflow.py"


def test_the_example_runs_silently_to_its_end_and_prints_every_kind_of_event() -> None:
    outcome = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")
    lines = outcome.stdout.splitlines()
    assert lines[-1].startswith("workflow.completed")
    assert {line.split()[0] for line in lines} == {
        "task.completed",
        "task.progress",
        "task.status",
        "tool.completed",
        "tool.output",
        "tool.started",
        "workflow.completed",
        "workflow.progress",
    }
