"""
The chooser of twins.

Each case runs a copy of the package in an interpreter of its own: the choice is made once, at import.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import rtcore
import rtcore._fast as chooser

REPORT = "import rtcore._fast as f; print(f.IMPLEMENTATION, f.TokenBucket.__module__, f.encode_frame.__module__)"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of rtcore without compiled modules."""
    source = Path(rtcore.__file__).parent
    for part in ("_fast", "_pure", "values"):
        shutil.copytree(source / part, tmp_path / "rtcore" / part, ignore=shutil.ignore_patterns("*.so", "*.pyd"))
    shutil.copy(source / "errors.py", tmp_path / "rtcore")
    (tmp_path / "rtcore" / "__init__.py").write_text("")
    return tmp_path


def run(package: Path, extensions: str | None) -> subprocess.CompletedProcess[str]:
    """Import the chooser of a package directory and report what it chose."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "RTCORE_EXTENSIONS")}
    if extensions is not None:
        environment["RTCORE_EXTENSIONS"] = extensions
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(package)!r}); {REPORT}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def pretend_compiled(package: Path, *families: str) -> None:
    """Put a module in the place of each compiled twin; for the chooser it is as good as one."""
    for family in families:
        shutil.copy(package / "rtcore" / "_pure" / f"{family}.py", package / "rtcore" / "_fast" / f"{family}.py")


@pytest.mark.parametrize("extensions", [None, "auto", "off"])
def test_pure_twins_serve_where_none_was_built(package: Path, extensions: str | None) -> None:
    result = run(package, extensions)
    assert result.stdout.split() == ["pure", "rtcore._pure.token_bucket", "rtcore._pure.frame_writer"], result.stderr


def test_missing_twins_fail_when_they_are_required(package: Path) -> None:
    result = run(package, "required")
    assert result.returncode == 1
    assert "RTCORE_EXTENSIONS=required, but these were not built: " + ", ".join(chooser.FAMILIES) in result.stderr


@pytest.mark.parametrize("extensions", [None, "auto", "required"])
def test_compiled_twins_serve_where_they_were_built(package: Path, extensions: str | None) -> None:
    pretend_compiled(package, *chooser.FAMILIES)
    result = run(package, extensions)
    expected = ["compiled", "rtcore._fast.token_bucket", "rtcore._fast.frame_writer"]
    assert result.stdout.split() == expected, result.stderr


def test_compiled_twins_can_be_turned_off(package: Path) -> None:
    pretend_compiled(package, *chooser.FAMILIES)
    result = run(package, "off")
    assert result.stdout.split() == ["pure", "rtcore._pure.token_bucket", "rtcore._pure.frame_writer"], result.stderr


@pytest.mark.parametrize("extensions", ["auto", "required"])
def test_twin_that_cannot_be_loaded_is_loud(package: Path, extensions: str) -> None:
    pretend_compiled(package, *chooser.FAMILIES)
    (package / "rtcore" / "_fast" / f"utf8{EXTENSION_SUFFIXES[0]}").write_bytes(b"not a library")
    result = run(package, extensions)
    assert result.returncode == 1
    assert "ImportError" in result.stderr


@pytest.mark.parametrize("extensions", ["auto", "required"])
def test_twin_that_misses_something_else_is_loud(package: Path, extensions: str) -> None:
    """`ModuleNotFoundError` is forgiven only for the twin itself."""
    pretend_compiled(package, *chooser.FAMILIES)
    (package / "rtcore" / "_fast" / "utf8.py").write_text("import no_such_module")
    result = run(package, extensions)
    assert result.returncode == 1
    assert "No module named 'no_such_module'" in result.stderr


def test_incomplete_build_is_loud(package: Path) -> None:
    pretend_compiled(package, "token_bucket", "utf8")
    result = run(package, "auto")
    assert result.returncode == 1
    assert "the build is not complete: batch_encoder, " in result.stderr


def test_value_that_means_nothing_is_refused(package: Path) -> None:
    result = run(package, "on")
    assert result.returncode == 1
    assert "RTCORE_EXTENSIONS must be auto, required or off, got 'on'" in result.stderr


def test_choice_of_this_run_is_what_was_asked_for() -> None:
    wanted = os.environ.get("RTCORE_EXTENSIONS", "auto")
    expected = {"required": {"compiled"}, "off": {"pure"}, "auto": {"compiled", "pure"}}[wanted]
    assert chooser.IMPLEMENTATION in expected
    package = {"compiled": "rtcore._fast", "pure": "rtcore._pure"}[chooser.IMPLEMENTATION]
    assert {getattr(chooser, name).__module__.rpartition(".")[0] for name in chooser.__all__ if name[0].islower()} == {
        package
    }
