"""A build in place follows every edit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

ASK = "import rtcore._fast.token_bucket as t; print(hasattr(t.TokenBucket, '_rate'), t.MARK)"


@pytest.mark.skipif(shutil.which("cc") is None and shutil.which("gcc") is None, reason="there is no C compiler")
def test_edited_pxd_and_edited_source_are_compiled_again(small_project: Path, python: Run) -> None:
    """An edit of a `.pxd` changes no file that a compiler reads by itself, and has gone unnoticed before."""
    project = small_project
    fast, pure = project / "src" / "rtcore" / "_fast", project / "src" / "rtcore" / "_pure"

    def build_and_ask() -> list[str]:
        built = python("setup.py", "build_ext", "--inplace", cwd=project)
        assert built.returncode == 0, built.stdout + built.stderr
        asked = python(
            "-c",
            f"import sys, types; sys.path.insert(0, 'src'); import rtcore; "
            f"fast = sys.modules['rtcore._fast'] = types.ModuleType('rtcore._fast'); "
            f"fast.__path__ = [{str(fast)!r}]; {ASK}",
            cwd=project,
        )
        return str(asked.stdout or asked.stderr).split()

    source = pure / "token_bucket.py"
    source.write_text(source.read_text() + "\nMARK = 1\n")
    assert build_and_ask() == ["False", "1"]
    types = fast / "token_bucket.pxd"
    types.write_text(types.read_text().replace("cdef double _rate", "cdef readonly double _rate"))
    assert build_and_ask() == ["True", "1"]
    source.write_text(source.read_text() + "\nMARK = 2\n")
    assert build_and_ask() == ["True", "2"]
    assert not list(project.glob("src/**/*.c"))
