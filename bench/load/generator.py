"""
Builds the load generator and runs it.

`build()` compiles the C files beside this one with the system's compiler, once for each version of them and of the
compiler, into a cache directory; `run_load()` has the generator do one run and returns its figures. What a run can be
asked for says `USAGE` in `options.c`, and so does `python bench/load/generator.py`, which builds it and hands its
arguments on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Figures", "LoadFailed", "Programs", "build", "find_compiler", "run_load"]

SOURCES = Path(__file__).parent
FLOOR_SOURCES = ("floor.c", "wire.c")
FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror=implicit-function-declaration")
LONGEST_SECONDS = 300.0
"""Of one run, opening and draining included."""

Figures = Mapping[str, float]


class LoadFailed(RuntimeError):
    """The generator could not be built, or could not do what it was asked for."""


@dataclass(frozen=True)
class Programs:
    """What was built."""

    generator: Path
    floor: Path
    inflates: bool
    """Whether compressed messages can be read: zlib and its header were there."""


def find_compiler() -> str:
    """
    The C compiler: `CC`, or `cc`, `gcc`, `clang`.

    Raises:
        LoadFailed: If there is none, or this is not Linux: the generator needs epoll and /proc.
    """
    if not sys.platform.startswith("linux"):
        raise LoadFailed(f"the load generator runs on Linux, not on {sys.platform}")
    for name in filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")):
        if shutil.which(name):
            return name
    raise LoadFailed("no C compiler: install one, or name it in CC")


def _cache_directory(compiler: str) -> Path:
    digest = hashlib.sha256(compiler.encode())
    digest.update(subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout)
    for source in sorted(SOURCES.glob("*.[ch]")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "rtcore-bench", digest.hexdigest()[:16])


def _compile(compiler: str, target: Path, sources: Sequence[str], *arguments: str) -> str:
    """Returns what the compiler complained of; empty: it is built."""
    command = [compiler, *FLAGS, "-o", str(target), *(str(SOURCES / name) for name in sources), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr or f"{compiler} ended with {done.returncode}"


def _compile_all(compiler: str, directory: Path) -> None:
    names = sorted(path.name for path in SOURCES.glob("*.c") if path.name != "floor.c")
    generator = directory / "generator"
    problem = _compile(compiler, generator, names, "-lz", "-lm")
    if problem:  # most likely there is no zlib.h
        problem = _compile(compiler, generator, names, "-DWITHOUT_ZLIB", "-lm")
        (directory / "without_zlib").touch()
    problem = problem or _compile(compiler, directory / "floor", FLOOR_SOURCES)
    if problem:
        raise LoadFailed(f"{compiler} cannot build the load generator:\n{problem}")


def build() -> Programs:
    """
    The programs, compiled if these sources were not yet.

    Raises:
        LoadFailed: If they cannot be.
    """
    compiler = find_compiler()
    directory = _cache_directory(compiler)
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=directory.parent))
        try:
            _compile_all(compiler, made)
            made.replace(directory)
        except OSError:  # somebody else built the same meanwhile
            if not directory.exists():
                raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return Programs(directory / "generator", directory / "floor", not (directory / "without_zlib").exists())


def run_load(programs: Programs, arguments: Sequence[object], prefix: Sequence[str] = ()) -> Figures:
    """
    One run's figures.

    Args:
        programs: From `build()`.
        arguments: As `USAGE` in `options.c` says.
        prefix: What to put before the command, such as `nice`.

    Raises:
        LoadFailed: If the run could not be made as asked; the message is the generator's.
    """
    command = [*prefix, str(programs.generator), *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise LoadFailed(f"no end after {LONGEST_SECONDS:.0f} s") from error
    if done.returncode:
        raise LoadFailed(done.stderr.strip() or f"the generator ended with {done.returncode}")
    figures: Figures = json.loads(done.stdout)
    return figures


if __name__ == "__main__":
    os.execv(build().generator, ["generator", *sys.argv[1:]])
