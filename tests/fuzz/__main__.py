"""
Fuzz the protocol for a while: `python -m tests.fuzz [TARGET ...] [--seconds N]`; atheris comes with `.[fuzz]`.

Each target runs in a process of its own, begins with its folder of `tests/fuzz/corpus`, and keeps what it finds to be
new in `build/fuzz/TARGET/corpus`. An input that breaks a promise is left in `build/fuzz/TARGET` and makes the run fail:
mend what it shows, then add it to the corpus, which pytest runs for ever after (`tests/fuzz/test_corpus.py`).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

PROJECT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
DICTIONARIES = Path(__file__).parent / "dictionaries"
NAMES = sorted(path.name for path in CORPUS.iterdir())
INPUT_BYTES = 2048
"""Longest input: above every bound that the targets set."""
INPUT_SECONDS = 10
"""An input that takes longer is a finding: no message is worth that."""
MEMORY_MEGABYTES = 1024
"""A process that grows beyond is a finding, too; it begins with some 150."""


def main() -> int:
    """The exit code: 0 where no promise was broken, 1 where one was, 2 where atheris is not installed."""
    arguments = _parser().parse_args()
    if find_spec("atheris") is None:
        print("fuzz: atheris is not installed (pip install '.[fuzz]'; it has wheels for Linux on x86_64): nothing ran")
        return 2
    names = arguments.targets or NAMES
    with ThreadPoolExecutor(arguments.jobs) as pool:
        results = pool.map(lambda name: _run(name, arguments.seconds, arguments.seed), names)
        codes = [_report(name, result) for name, result in zip(names, results, strict=True)]
    return int(any(codes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.fuzz", description="Fuzz the protocol with atheris.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"one of {', '.join(NAMES)}; all by default")
    parser.add_argument("--seconds", type=int, default=60, help="for each target [60]")
    parser.add_argument("--seed", type=int, default=0, help="the same inputs each time; 0: others each time [0]")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at once [one a processor]")
    return parser


def _run(name: str, seconds: int, seed: int) -> subprocess.CompletedProcess[str]:
    folder = PROJECT / "build" / "fuzz" / name
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={INPUT_BYTES}",
        f"-timeout={INPUT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MEGABYTES}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
    ]
    dictionary = DICTIONARIES / f"{name}.dict"
    if dictionary.exists():
        options.append(f"-dict={dictionary}")
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.campaign", name, *options, str(folder / "corpus"), str(CORPUS / name)],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def _report(name: str, result: subprocess.CompletedProcess[str]) -> int:
    """Print what a campaign came to, and return its exit code."""
    lines = result.stdout.splitlines()
    if result.returncode:
        print(*lines[-60:], f"{name}: a promise is broken, exit code {result.returncode}", sep="\n", flush=True)
        return result.returncode
    compared = next(line for line in lines if line.startswith(f"{name}: "))
    done = next((line.split() for line in reversed(lines) if "\tDONE" in line), None)
    count = "no input" if done is None else f"{done[0].removeprefix('#')} inputs, coverage {done[3]}"
    print(f"{compared}: {count}, no promise broken", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
