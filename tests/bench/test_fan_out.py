"""The comparison runs and says what it should; how fast anything is, is not looked at."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "bench" / "fan_out.py"
SOURCE = Path(__file__).parents[2] / "src"
FIGURES = {
    "fan1": {"deliveries_per_second", "lost"},
    "fan64": {"deliveries_per_second", "lost"},
    "echo": {"round_trips_per_second"},
    "connect": {"handshakes_per_second", "kib_per_connection"},
}
COST = {"cpu_seconds_per_million", "server_busy", "generator_busy"}

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="benchmarks are only in a checkout")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(SOURCE), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=100,
    )


def run_tiny(peer: str, file: Path) -> tuple[str, dict[str, Any]]:
    done = run(
        *("--peers", peer, "--repeats", "1", "--seconds", "0.05", "--subscribers", "3", "--connections", "3"),
        *("--echoes", "2", "--json", str(file)),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("peer", ["rtcore", "rtcore-pure", "websockets", "trio-websocket"])
def test_each_server_is_measured_in_each_test(peer: str, tmp_path: Path) -> None:
    if peer == "websockets" and find_spec("websockets") is None:
        pytest.skip("websockets is only in the bench extra")
    table, document = run_tiny(peer, tmp_path / "runs.json")
    runs = {each["test"]: each["figures"] for each in document["runs"]}
    assert {test: set(figures) - COST for test, figures in runs.items()} == FIGURES
    assert all(figures.keys() >= COST for figures in runs.values())
    assert set(document["servers"]) == {peer}
    assert f"| {peer} " in table


@pytest.mark.parametrize("test", ["fan1", "fan64"])
def test_every_published_message_reaches_every_subscriber(test: str, tmp_path: Path) -> None:
    """A server that dropped would seem fast: the table must not be filled with what was lost."""
    file = tmp_path / "runs.json"
    done = run(
        "--peers",
        "rtcore",
        "--tests",
        test,
        "--repeats",
        "1",
        "--seconds",
        "0.2",
        "--subscribers",
        "20",
        "--json",
        str(file),
    )
    assert done.returncode == 0, done.stderr
    (figures,) = (each["figures"] for each in json.loads(file.read_text(encoding="utf-8"))["runs"])
    assert figures["lost"] == 0
    assert figures["deliveries_per_second"] > 0


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_marker_that_arrives_in_two_pieces_counts_once(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams are cut anywhere; a marker missed or counted twice would be a delivery lost or invented."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from compare.measurements import FanOut
    from compare.peers import MARKER

    ours, theirs = socket.socketpair()
    publisher, _ = pair = socket.socketpair()
    with ours, theirs, pair[0], pair[1]:
        ours.setblocking(False)
        fan_out = FanOut([ours], publisher, b"")
        for piece in (b"before" + MARKER + b"between" + MARKER[:cut], MARKER[cut:] + b"after"):
            theirs.sendall(piece)
            fan_out.collect()
        assert fan_out.delivered == 2


@pytest.mark.parametrize(
    "arguments", [("--seconds", "0"), ("--seconds", "60"), ("--repeats", "0"), ("--size", "9"), ("--peers", "nobody")]
)
def test_arguments_out_of_range_are_refused(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr
