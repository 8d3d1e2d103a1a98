"""Every program in `examples/` runs as it is printed, by itself, in seconds, and prints what its docstring promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
LAST_LINES = {
    "activity": "exported 3 lines; the newest is task.failed by bob",
    "approvals": "deploy 1.4 to production",
    "alerts": "alerts: 1, told: 2, active: 0",
    "delivery_queue": "after the restart, order-7 is done",
    "embed": "workflow.completed nightly",
    "filters_and_lanes": "repaired:    ['line 0', 'line 1', 'line 2', 'line 3', 'line 4']",
    "http_publish": "events in the history: 1",
    "metric_streams": r"queue_depth is (running|idle), broken is failing, cpu was never asked: None",
    "metrics_and_alerts": r"drew \d+ measurements, newer ones stood for \d+; unaccounted for: 0",
    "notifications": r"read by: \['bob'\]",
    "outputs": r"cancelled: True \(that will do\); the program goes on",
    "presence": "there:   guest:Ann",
    "replay_after_reconnect": "order 9",
    "support_chat": "carol gave 5 stars",
    "trio_websocket_server": "through the hub: message {'room': 'blue', 'text': 'hello'}",
    "workflow": r"workflow\.completed +nightly .*",
}


def run_example(name: str) -> list[str]:
    """Lines of its output; warnings, words on stderr and an exit code other than 0 are failures."""
    outcome = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")
    return outcome.stdout.splitlines()


def test_every_example_is_run() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == LAST_LINES.keys()


@pytest.mark.parametrize(
    "name", [name for name in LAST_LINES if name not in ("filters_and_lanes", "replay_after_reconnect")]
)
def test_example_runs_to_its_end(name: str) -> None:
    last = run_example(name)[-1]
    assert last == LAST_LINES[name] or re.fullmatch(LAST_LINES[name], last)


def test_example_of_a_slow_reader_shows_the_notice_and_the_failure_first() -> None:
    lines = run_example("filters_and_lanes")
    assert [line.split()[0] for line in lines[:3]] == ["dropped", "task.failed", "task.status"]
    assert "'count': 5" in lines[0]
    assert lines[-1] == LAST_LINES["filters_and_lanes"]


def test_example_of_a_reconnect_loses_and_repeats_nothing() -> None:
    lines = run_example("replay_after_reconnect")
    assert [line for line in lines if line.startswith("order")] == [f"order {number}" for number in range(1, 10)]
    assert "  (connection closed with 1012: service restart)" in lines
    assert any(line.startswith("  reconnected, nothing lost") for line in lines)
