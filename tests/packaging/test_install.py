"""
What an installation gives, with a C compiler and without.

With one the twins are compiled, and an error in them is an error. Without one the installation succeeds all the same.
"""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rtcore._fast as chooser

Run = Callable[..., Any]

USE = """
import rtcore._fast as fast
bucket = fast.TokenBucket(1.0, 1, 0.0)
assert bucket.take(0.0) and not bucket.take(0.0)
ring = fast.EventRing()
ring.append("event", 1, 10, 0.0)
assert ring.slice(0, 1) == ["event"]
payload = fast.MessageDeflater().compress(b"hello hello hello")
inflater = fast.MessageInflater(15, False, 100)
assert inflater.feed(payload) + inflater.finish() == b"hello hello hello"
assert fast.apply_mask(fast.apply_mask(b"hello", b"mask"), b"mask") == b"hello"
assert fast.is_utf8("h\\u00e9".encode()) and not fast.is_utf8(b"\\xff")
import importlib, pkgutil, rtcore
for info in pkgutil.walk_packages(rtcore.__path__, "rtcore."):
    if "._fast." not in info.name and not info.name.endswith("__main__"):
        importlib.import_module(info.name)
print(fast.IMPLEMENTATION, rtcore.__file__)
"""
"""Uses each family of twins, and imports all the rest."""

compiler_wanted = pytest.mark.skipif(
    shutil.which("cc") is None and shutil.which("gcc") is None, reason="there is no C compiler to build with"
)


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def the_only(directory: Path, pattern: str) -> Path:
    (found,) = directory.glob(pattern)
    return found


@compiler_wanted
def test_sdist_holds_all_that_a_build_takes_and_its_wheel_is_compiled(
    project: Path, tmp_path: Path, python: Run, wheel_of: Run, site_of: Callable[[Path], Path]
) -> None:
    """The way of a release: checkout, sdist, wheel, installation."""
    made = python("-c", "from setuptools import build_meta; build_meta.build_sdist('../dist')", cwd=project)
    assert made.returncode == 0, made.stderr
    sdist = the_only(tmp_path / "dist", "*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = {member.partition("/")[2] for member in archive.getnames()}
    for family in chooser.FAMILIES:
        assert {f"src/rtcore/_fast/{family}.pxd", f"src/rtcore/_pure/{family}.py"} <= members
    assert {"src/rtcore/_fast/masking.pyx", "src/rtcore/py.typed", ".ci/run", "LICENSE-MIT", "CHANGELOG.md"} <= members
    assert {"tests/packaging/test_install.py", "bench/load/generator.c", "bench/load/wire.h"} <= members
    assert not [member for member in members if member.endswith((".so", ".pyc"))]
    assert not [member for member in members if member.endswith(".c") and not member.startswith("bench/load/")]

    result = wheel_of(sdist, tmp_path / "wheels")
    assert result.returncode == 0, result.stdout + result.stderr
    wheel = the_only(tmp_path / "wheels", "*.whl")
    names = names_in(wheel)
    assert "none-any" not in wheel.name
    for family in chooser.FAMILIES:
        assert [name for name in names if name.startswith(f"rtcore/_fast/{family}.") and name.endswith((".so", ".pyd"))]
        assert {f"rtcore/_fast/{family}.pyi", f"rtcore/_fast/{family}.pxd"} <= set(names)
    assert {"rtcore/py.typed", "rtcore/_fast/masking.pyx", "rtcore/_fast/__init__.pyi"} <= set(names)
    assert not [name for name in names if name.endswith(".c") or name.startswith(("tests/", "build/"))]
    assert {Path(name).name for name in names if "/licenses/" in name} == {"LICENSE", "LICENSE-MIT", "LICENSE-APACHE"}

    site = site_of(wheel)
    used = python("-c", USE, cwd=tmp_path, PYTHONPATH=str(site), RTCORE_EXTENSIONS="required")
    assert used.stdout.split() == ["compiled", str(site / "rtcore" / "__init__.py")], used.stderr


def test_installation_without_a_compiler_serves_with_the_python_twins(
    project: Path,
    tmp_path: Path,
    no_compiler: dict[str, str],
    python: Run,
    wheel_of: Run,
    site_of: Callable[[Path], Path],
) -> None:
    result = wheel_of(project, tmp_path / "wheels", **no_compiler)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "WARNING: no working C compiler" in result.stdout + result.stderr
    wheel = the_only(tmp_path / "wheels", "*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not [name for name in names_in(wheel) if name.endswith((".so", ".pyd", ".c"))]

    site = site_of(wheel)
    used = python("-c", USE, cwd=tmp_path, PYTHONPATH=str(site))
    assert used.stdout.split() == ["pure", str(site / "rtcore" / "__init__.py")], used.stderr
    used = python("-c", USE, cwd=tmp_path, PYTHONPATH=str(site), RTCORE_EXTENSIONS="required")
    assert used.returncode == 1
    assert "these were not built" in used.stderr


def test_missing_compiler_is_an_error_where_extensions_are_required(
    project: Path, tmp_path: Path, no_compiler: dict[str, str], wheel_of: Run
) -> None:
    result = wheel_of(project, tmp_path / "wheels", RTCORE_BUILD_EXTENSIONS="required", **no_compiler)
    assert result.returncode != 0
    assert "RTCORE_BUILD_EXTENSIONS=required, but no C compiler works here" in result.stdout + result.stderr


@compiler_wanted
def test_extensions_can_be_left_out(project: Path, tmp_path: Path, wheel_of: Run) -> None:
    result = wheel_of(project, tmp_path / "wheels", RTCORE_BUILD_EXTENSIONS="off")
    assert result.returncode == 0, result.stdout + result.stderr
    assert the_only(tmp_path / "wheels", "*.whl").name.endswith("-py3-none-any.whl")


def test_value_that_means_nothing_stops_the_build(project: Path, tmp_path: Path, wheel_of: Run) -> None:
    result = wheel_of(project, tmp_path / "wheels", RTCORE_BUILD_EXTENSIONS="yes")
    assert result.returncode != 0
    assert "RTCORE_BUILD_EXTENSIONS must be auto, required or off, got 'yes'" in result.stdout + result.stderr


@compiler_wanted
@pytest.mark.parametrize(
    ("name", "fault", "complaint"),
    [
        ("_fast/broken.pyx", "cdef int f(: pass\n", "broken.pyx"),
        ("_fast/broken.pyx", 'cdef extern from *:\n    """\n    #error "not C"\n    """\n', "not C"),
        ("_fast/batch_encoder.pxd", "cpdef bytes join(object parts, object more)\n", "batch_encoder"),
    ],
    ids=["not-cython", "not-c", "pxd-against-its-source"],
)
def test_compiler_that_fails_on_our_source_is_loud(
    small_project: Path, tmp_path: Path, wheel_of: Run, name: str, fault: str, complaint: str
) -> None:
    """Falling back here would hide a broken build for as long as nobody looks at the speed."""
    (small_project / "src" / "rtcore" / name).write_text(fault, encoding="utf-8")
    result = wheel_of(small_project, tmp_path / "wheels")
    assert result.returncode != 0
    assert complaint in result.stdout + result.stderr
    assert not list((tmp_path / "wheels").glob("*.whl"))
