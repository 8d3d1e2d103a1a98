"""
Run the tests over compiled twins that watch themselves: `python -m tests.sanitizers [argument of pytest ...]`.

The twins are built with gcc's address and undefined behaviour sanitizers in a copy of the project, so that the ordinary
build stays as it is, and the tests run there with `RTCORE_EXTENSIONS=required`. A read or write outside of an object, a
use after free, a signed overflow, a shift that C does not define: each ends the process that does it, and leaves a
report. The run fails if a test fails or a report is left, be it by a process that a test started and forgot.

All tests run but a few that mean nothing here (`TESTS`): some ten minutes. `python -m tests.sanitizers tests/parity
tests/fuzz` takes two, one of them for the build.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".hypothesis", ".*_cache", "__pycache__", "build", "dist", "*.egg-info", "*.so", "*.c"
)
TESTS = (
    "tests",
    "--ignore=tests/packaging",  # they build the project anew, without sanitizers, in environments of their own
    "--ignore=tests/bench",  # they start servers of other projects, and look at figures
    "--ignore=tests/protocol/test_json_memory.py",  # it refuses a process memory, which the sanitizers need first
    "--ignore=tests/promises/test_no_leaks.py",  # freed memory is kept back to find its use, so memory grows by design
)
OPTIONS = ("--quiet", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=600")  # several times slower than usual
ADDRESS_OPTIONS = {
    "halt_on_error": "1",
    "detect_leaks": "0",  # CPython frees not all at its end; leaks of ours are for tests/promises/test_no_leaks.py
}
UNDEFINED_OPTIONS = {"halt_on_error": "1", "print_stacktrace": "1"}


def main() -> int:
    """The exit code: 0 where every test passed and no sanitizer had anything to say."""
    with tempfile.TemporaryDirectory(prefix="rtcore-sanitizers-") as directory:
        copy, reports = Path(directory, "project"), Path(directory, "reports")
        shutil.copytree(PROJECT, copy, ignore=LEFT_OUT)
        reports.mkdir()
        print("sanitizers: building the compiled twins in a copy", flush=True)
        _build(copy)
        print("sanitizers: running the tests", flush=True)
        code = _run_tests(copy, reports, sys.argv[1:] or TESTS)
        found = sorted(reports.iterdir())
        for report in found:
            print(report.read_text(encoding="utf-8", errors="replace"))
        print(f"sanitizers: {len(found)} reports, exit code of pytest {code}")
        return int(bool(found or code))


def _build(copy: Path) -> None:
    variables = {"RTCORE_BUILD_EXTENSIONS": "required", "RTCORE_CYTHON_SANITIZE": "1"}
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    subprocess.run(command, cwd=copy, env=os.environ | variables, check=True)


def _run_tests(copy: Path, reports: Path, arguments: Sequence[str]) -> int:
    environment = os.environ | {
        "ASAN_OPTIONS": _options(ADDRESS_OPTIONS, reports),
        "UBSAN_OPTIONS": _options(UNDEFINED_OPTIONS, reports),
        "LD_PRELOAD": _library("libasan.so"),  # the interpreter itself is not built with it
        "PYTHONMALLOC": "malloc",  # Python's own allocator would hide from it where an object ends
        "PYTHONPATH": str(copy / "src"),
        "RTCORE_EXTENSIONS": "required",
    }
    command = [sys.executable, "-m", "pytest", *OPTIONS, *arguments]
    return subprocess.run(command, cwd=copy, env=environment, check=False).returncode


def _options(options: dict[str, str], reports: Path) -> str:
    return ":".join(f"{name}={value}" for name, value in {**options, "log_path": str(reports / "report")}.items())


def _library(name: str) -> str:
    """Path of a library of the compiler that built the twins."""
    compiler = os.environ.get("CC", "gcc").split()
    result = subprocess.run([*compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    path = result.stdout.strip()
    if not Path(path).is_absolute():
        raise SystemExit(f"sanitizers: {compiler[0]} has no {name}: they need gcc with its sanitizers")
    return path


if __name__ == "__main__":
    sys.exit(main())
