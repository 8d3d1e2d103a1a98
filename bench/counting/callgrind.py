"""Counts instructions with valgrind's callgrind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from counting.scenarios import Scenario

__all__ = ["CountingFailed", "count_instructions", "per_unit", "valgrind_version"]

WORK = Path(__file__).with_name("scenarios.py")
LONGEST_SECONDS = 600.0
_COLLECTED = re.compile(r"Collected *: *(\d+)")


class CountingFailed(RuntimeError):
    """A scenario did not run."""


def valgrind_version() -> str | None:
    """What `valgrind --version` says; None if it is not there or does not work."""
    if shutil.which("valgrind") is None:
        return None
    done = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _environment() -> dict[str, str]:
    """The same for everybody: hashes and byte code decide how many instructions a run takes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    path = os.environ.get("PYTHONPATH")
    return {**kept, **({"PYTHONPATH": path} if path else {}), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def _run(name: str, size: int) -> tuple[int, int]:
    """Instructions and units of one run."""
    with tempfile.NamedTemporaryFile() as profile:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile.name}"]
        command += [sys.executable, str(WORK), name, str(size)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LONGEST_SECONDS, env=_environment(), check=False
        )
    collected = _COLLECTED.search(done.stderr)
    if done.returncode or collected is None:
        raise CountingFailed(f"{name}, size {size}: {done.stderr.strip().rpartition(chr(10))[2]}")
    return int(collected.group(1)), int(done.stdout)


def per_unit(small: tuple[int, int], large: tuple[int, int]) -> float:
    """Instructions of one unit, from instructions and units of two runs: what both did once cancels."""
    return (large[0] - small[0]) / (large[1] - small[1])


def count_instructions(scenarios: Iterable[Scenario]) -> dict[str, float]:
    """
    Instructions of one unit of each scenario, a processor each at a time: what else runs does not change a count.

    Raises:
        CountingFailed: If one does not run.
    """
    chosen = list(scenarios)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = [(pool.submit(_run, each.name, each.small), pool.submit(_run, each.name, each.large)) for each in chosen]
        return {
            each.name: per_unit(small.result(), large.result())
            for each, (small, large) in zip(chosen, runs, strict=True)
        }
