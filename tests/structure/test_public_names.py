"""The face of the package: what an application may rely on."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import rtcore


def test_root_exports_exactly_its_public_names() -> None:
    """What is reachable and not exported is an accident that somebody will come to rely on."""
    for name in rtcore.__all__:
        getattr(rtcore, name)  # names are imported when they are first used
    public = {name for name, value in vars(rtcore).items() if name[0] != "_" and not isinstance(value, ModuleType)}
    machinery = {"annotations", "Final", "TYPE_CHECKING", "import_module"}
    assert public - machinery == {name for name in rtcore.__all__ if name != "__version__"}


def test_every_public_name_is_public_in_its_home() -> None:
    for home, names in rtcore._HOMES.items():
        assert set(names) <= set(import_module(home).__all__), home


def test_type_checkers_see_the_names_that_are_there() -> None:
    """They read the block under TYPE_CHECKING, the interpreter reads `_HOMES`: the two must not part."""
    tree = ast.parse(Path(rtcore.__file__).read_text(encoding="utf-8"))
    seen = {
        (node.module, alias.name)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {(home, name) for home, names in rtcore._HOMES.items() for name in names}
    assert {name for _, name in seen} | {"__version__"} == set(rtcore.__all__)


def test_name_that_is_not_there_raises() -> None:
    with pytest.raises(AttributeError, match="module 'rtcore' has no attribute 'nothing'"):
        _ = rtcore.nothing


def test_client_does_not_load_the_server() -> None:
    """A script that publishes one event should not wait for an HTTP stack."""
    result = subprocess.run(
        [sys.executable, "-c", "import rtcore, sys; rtcore.connect; print('hypercorn' in sys.modules)"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert result.stdout.strip() == "False"


def test_everything_that_the_root_exports_is_documented() -> None:
    for name in rtcore.__all__:
        value = getattr(rtcore, name)
        if callable(value):
            assert value.__doc__, name


def test_star_import_gives_every_public_name() -> None:
    names: dict[str, object] = {}
    exec("from rtcore import *", names)
    assert set(rtcore.__all__) <= names.keys()


def test_package_imports_without_a_warning() -> None:
    """In an interpreter of its own: here the package has been imported long ago."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import rtcore"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
