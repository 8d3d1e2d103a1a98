"""Counting instructions: the difference of two sizes, the budget, and that nothing passes for checked that was not."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

VALGRIND = """#!{python}
import subprocess, sys
if sys.argv[1] == "--version":
    print("valgrind-9")
else:
    name, size = sys.argv[-2:]
    print(int(size) * 16)
    print("==1== Collected : " + str(5_000_000 + int(size) * 16 * 700), file=sys.stderr)
"""


@pytest.fixture
def valgrind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that knows the answer: five million instructions to start, 700 a unit, sixteen units a step."""
    program = tmp_path / "bin" / "valgrind"
    program.parent.mkdir()
    program.write_text(VALGRIND.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests run over the Python twins too."""
    import rtcore._fast as chooser

    monkeypatch.setattr(chooser, "IMPLEMENTATION", "compiled")


@pytest.fixture
def budget(tmp_path: Path) -> Path:
    return tmp_path / "budget.json"


def test_what_both_sizes_did_once_cancels(valgrind: None) -> None:
    from counting.callgrind import count_instructions
    from counting.scenarios import SCENARIOS

    assert count_instructions([SCENARIOS["parse"]]) == {"parse": 700.0}


def test_budget_is_what_was_measured_and_a_tenth(budget: Path, valgrind: None, compiled: None) -> None:
    import instructions
    from counting.budget import read_budget, this_python

    assert instructions.main(["--renew", str(budget), "--scenarios", "parse"]) == 0
    assert read_budget(budget, this_python()) == {"parse": 770}
    assert instructions.main(["--check", str(budget), "--scenarios", "parse"]) == 0


def test_scenario_above_its_budget_or_without_one_fails(
    budget: Path, valgrind: None, compiled: None, capsys: pytest.CaptureFixture[str]
) -> None:
    import instructions
    from counting.budget import this_python, write_budget

    write_budget(budget, this_python(), {"parse": 600})
    assert instructions.main(["--check", str(budget), "--scenarios", "parse", "encode"]) == 1
    complaints = capsys.readouterr().err
    assert "parse: 700 instructions, budget 660" in complaints
    assert "encode: 700 instructions and no budget" in complaints


def test_renewing_keeps_other_pythons_and_scenarios(budget: Path) -> None:
    from counting.budget import read_budget, write_budget

    write_budget(budget, "3.11", {"parse": 100, "encode": 10})
    write_budget(budget, "3.12", {"parse": 200})
    write_budget(budget, "3.11", {"parse": 50})
    assert read_budget(budget, "3.11") == {"parse": 55, "encode": 11}
    assert read_budget(budget, "3.12") == {"parse": 220}
    assert read_budget(budget, "3.13") is None


def test_without_valgrind_it_says_that_nothing_was_checked(
    budget: Path, compiled: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import instructions

    monkeypatch.setenv("PATH", str(tmp_path))
    assert instructions.main(["--check", str(budget)]) == 0
    assert "not checked: there is no valgrind" in capsys.readouterr().out


def test_python_without_a_budget_says_that_nothing_was_checked(
    budget: Path, valgrind: None, compiled: None, capsys: pytest.CaptureFixture[str]
) -> None:
    import instructions

    assert instructions.main(["--check", str(budget)]) == 0
    assert "not checked" in (told := capsys.readouterr().out)
    assert "has no budget for Python" in told


@pytest.mark.parametrize(("name", "units"), [("parse", 32), ("encode", 2), ("filter", 2), ("handshake", 2)])
def test_scenario_does_the_work_that_it_counts(name: str, units: int) -> None:
    from counting.scenarios import run_scenario

    assert run_scenario(name, 2) == units


@pytest.mark.parametrize(("name", "units"), [("publish", 2), ("fan1", 128), ("fan32", 4096)])
async def test_scenario_with_a_hub_delivers_to_everybody(name: str, units: int) -> None:
    """The last client's buffer is looked at by the scenario itself."""
    from counting.scenarios import SCENARIOS

    done = SCENARIOS[name].work(2)
    assert not isinstance(done, int)
    assert await done == units


def test_committed_budget_has_every_scenario() -> None:
    import json

    from counting.scenarios import SCENARIOS

    budgets = json.loads((Path(__file__).parents[2] / "bench" / "instruction_budget.json").read_text(encoding="utf-8"))
    assert budgets
    assert all(budget.keys() == SCENARIOS.keys() for budget in budgets.values())


def test_every_family_of_twins_has_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new family without a benchmark fails here, and ends the script."""
    import twins

    assert twins.families_without_calls() == []
    monkeypatch.setattr(twins, "FAMILIES", (*twins.FAMILIES, "brand_new"))
    monkeypatch.setattr(twins.argparse.ArgumentParser, "parse_args", lambda _: SimpleNamespace(repeats=2))
    assert twins.families_without_calls() == ["brand_new"]
    assert twins.main() == 1


def test_calls_of_twins_can_be_called() -> None:
    from importlib import import_module

    import twins

    for family in twins.FAMILIES:
        for call in twins.CALLS[family](import_module(f"rtcore._pure.{family}")).values():
            call()
