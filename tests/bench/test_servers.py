"""Each server takes part in what it says it does, and loses nothing; how fast it is, is not looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
TINY = {"clients": 5, "seconds": 0.1, "warm-up": 0.02, "settle": 0, "size": 200}


@pytest.fixture(autouse=True)
def source_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    path = os.pathsep.join(filter(None, (str(PROJECT / "src"), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)


@pytest.mark.parametrize("name", ["rtcore", "websockets", "trio-websocket", "picows", "socketify", "floor"])
def test_server_does_every_test_that_it_takes_part_in(name: str, programs: Any) -> None:
    from compare.measures import FAULTS, LATENCY, TESTS
    from compare.peers import PEERS, installed_version
    from compare.rounds import generator_arguments, takes_part
    from compare.server_process import Machine, running_server
    from load.generator import run_load

    peer = PEERS[name]
    if installed_version(peer) is None:
        pytest.skip(f"{peer.package} is only in the bench extra")
    taken = [test for test in reversed(TESTS.values()) if takes_part(peer, test)]
    taken = [test for test in taken if programs.inflates or "deflate" not in test.load]
    with running_server(peer, programs, Machine()) as server:
        for test in {(test.kind, "deflate" in test.load, "silent" in test.load): test for test in taken}.values():
            arguments = generator_arguments(peer, test, server.port, server.pid, quick=False)
            figures = run_load(programs, [*arguments, *(word for pair in TINY.items() for word in _option(*pair))])
            assert {fault: figures[fault] for fault in FAULTS if figures.get(fault)} == {}, test.name
            assert figures.get("delivered") == figures.get("expected") != 0, test.name
            unread = [measure for measure in test.measures if measure.read(figures) is None]
            assert set(unread) <= set(LATENCY), test.name  # in so short a time perhaps none was measured


def _option(name: str, value: float) -> tuple[str, str]:
    return f"--{name}", str(value)


def test_server_that_does_not_start_says_why(programs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from compare.peers import PEERS
    from compare.server_process import Machine, running_server
    from load.generator import LoadFailed

    monkeypatch.setenv("RTCORE_EXTENSIONS", "perhaps")
    with (
        pytest.raises(LoadFailed, match="RTCORE_EXTENSIONS must be"),
        running_server(PEERS["rtcore"], programs, Machine()),
    ):
        pass


def test_rtcore_speaks_for_every_kind_of_test() -> None:
    from compare.measures import TESTS
    from compare.peers import PEERS
    from compare.rounds import takes_part

    assert all(takes_part(PEERS["rtcore"], test) for test in TESTS.values())
    assert {name for peer in PEERS.values() for name in peer.left_out} <= TESTS.keys()


def test_rounds_take_the_servers_in_turn(programs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Round by round and test by test: a minute of noise must not be one server's alone."""
    from compare import rounds
    from compare.measures import TESTS
    from compare.peers import PEERS
    from compare.server_process import Machine

    def run(peer: Any, test: Any, number: int, *_: object) -> Any:
        return rounds.Result(peer.name, test.name, number, {})

    monkeypatch.setattr(rounds, "_run", run)
    peers, tests = [PEERS["rtcore"], PEERS["floor"]], [TESTS["fan1"], TESTS["filters"]]
    made = rounds.run_rounds(peers, tests, 2, programs=programs, machine=Machine(), quick=True, tell=lambda _: None)
    assert [(each.round, each.test, each.server) for each in made] == [
        (number, test, server)
        for number in (1, 2)
        for test, server in (("fan1", "rtcore"), ("fan1", "floor"), ("filters", "rtcore"))
    ]


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / "bench" / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def test_report_is_made_again_from_what_was_kept(tmp_path: Path) -> None:
    run = {"server": "floor", "test": "fan1", "round": 1, "figures": {"cpu_seconds_per_million": 4.5}}
    kept, chart = tmp_path / "kept.json", tmp_path / "chart.svg"
    kept.write_text(json.dumps({"caption": "here", "servers": {"floor": "floor"}, "runs": [run]}), encoding="utf-8")
    done = script("--from", str(kept), "--svg", str(chart))
    assert done.returncode == 0, done.stderr
    assert "| floor | 4.50 |" in done.stdout
    assert "here" in chart.read_text(encoding="utf-8")


@pytest.mark.parametrize("wrong", [("--rounds", "0"), ("--servers", "nobody"), ("--tests", "open10k", "--quick")])
def test_arguments_out_of_range_are_refused(wrong: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    import run

    with pytest.raises(SystemExit, match="2"):
        run.parse(wrong)
    assert wrong[0] in capsys.readouterr().err
