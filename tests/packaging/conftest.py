"""
Builds of a copy of the project.

Nothing here touches the network: `pip` builds without isolation, with the setuptools and Cython of the `dev` extra, and
what it built runs beside the dependencies that are installed for the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
FILES = (
    "CHANGELOG.md",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "MANIFEST.in",
    "README.md",
    "pyproject.toml",
    "setup.py",
)
BUILT = ("*.so", "*.pyd", "*.egg-info", "__pycache__")
LEFT_OUT = shutil.ignore_patterns(*BUILT)
LEFT_OUT_OF_SOURCE = shutil.ignore_patterns(*BUILT, "*.c")  # outside of src, C is source
OURS = ("CC", "CFLAGS", "LDSHARED", "PYTHONPATH", "RTCORE_")

Run = Callable[..., subprocess.CompletedProcess[str]]


def copy_project(target: Path) -> Path:
    """What a checkout has, without what was built in it."""
    target.mkdir(parents=True)
    for name in FILES:
        shutil.copy(PROJECT / name, target / name)
    shutil.copytree(PROJECT / "src", target / "src", ignore=LEFT_OUT_OF_SOURCE)
    for name in ("tests", "docs", "examples", "bench", ".ci"):
        shutil.copytree(PROJECT / name, target / name, ignore=LEFT_OUT)
    return target


def run_python(*arguments: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run this interpreter; of the variables that matter to a build it sees only those named here."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def build_wheel(project: Path, target: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`pip wheel`, verbosely: the output of setup.py is part of what the tests look at."""
    return run_python(
        *("-m", "pip", "wheel", "--verbose", "--no-build-isolation", "--no-deps", "--no-cache-dir", "--wheel-dir"),
        target,
        project,
        cwd=target.parent,
        **variables,
    )


@pytest.fixture
def python() -> Run:
    """Run this interpreter in a directory, with variables of the test's choice."""
    return run_python


@pytest.fixture
def wheel_of() -> Run:
    """Build a project directory, or an sdist, into a directory of wheels."""
    return build_wheel


@pytest.fixture
def site_of(tmp_path: Path) -> Callable[[Path], Path]:
    """Install a wheel by itself; the directory to put on the path."""

    def install(wheel: Path) -> Path:
        target = tmp_path / "site"
        command = ("-m", "pip", "install", "--no-deps", "--no-index", "--target", target, wheel)
        result = run_python(*command, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        return target

    return install


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project that a test may spoil."""
    return copy_project(tmp_path / "project")


@pytest.fixture
def small_project(project: Path) -> Path:
    """The project with a single family of twins: the others would only take time to compile."""
    for path in (project / "src" / "rtcore" / "_fast").iterdir():
        if path.suffix in (".pyx", ".pxd") and path.stem != "token_bucket":
            path.unlink()
    return project


@pytest.fixture
def no_compiler(tmp_path: Path) -> dict[str, str]:
    """Variables of a machine where neither PATH nor CC leads to a compiler."""
    empty = tmp_path / "empty"
    empty.mkdir()
    return {"PATH": str(empty), "CC": "no-such-compiler"}
