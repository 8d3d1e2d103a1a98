"""What every module keeps to: its size, its `__all__`, its docstring, its name."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import rtcore

SOURCE = Path(rtcore.__file__).parent
PROJECT = SOURCE.parent.parent
MODULES = sorted(path for path in SOURCE.rglob("*.py"))
LINES = 400
"""Longest file, in lines: what does not fit has two jobs."""
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "core", "base", "_impl", "impl"}


def name_of(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def own_files() -> list[Path]:
    """Sources, tests, benchmarks and examples; the last three only in a checkout."""
    suffixes = {".py", ".pyx", ".pxd", ".pyi", ".js", ".html", ".css"}
    folders = [SOURCE, *(PROJECT / name for name in ("tests", "bench", "examples"))]
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in suffixes)


def exported(path: Path) -> list[str] | None:
    """The names in a literal `__all__`; None where there is none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def has_code(path: Path) -> bool:
    """Whether a module holds more than its docstring."""
    return len(ast.parse(path.read_text(encoding="utf-8")).body) > 1


@pytest.mark.parametrize("path", own_files(), ids=name_of)
def test_file_is_no_longer_than_one_job(path: Path) -> None:
    count = len(path.read_text(encoding="utf-8").splitlines())
    assert count <= LINES, f"{path} has {count} lines"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_name_of_the_file_says_its_job(path: Path) -> None:
    assert path.stem not in NAMES_THAT_SAY_NOTHING


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_begins_with_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "path", [path for path in MODULES if has_code(path) and path != SOURCE / "_fast" / "__init__.py"], ids=name_of
)
def test_module_says_what_it_exports_sorted_and_truly(path: Path) -> None:
    """The order is ruff's (RUF022): CONSTANTS, Classes, functions, each by name."""
    names = exported(path)
    if path.name == "__main__.py":
        return
    assert names is not None, f"{path} has no __all__"

    def rank(name: str) -> tuple[int, str]:
        if name.isupper() and len(name) > 1:
            return 0, name
        return (1 if name.lstrip("_")[:1].isupper() else 2), name

    assert names == sorted(names, key=rank)
    module = importlib.import_module(
        ".".join(["rtcore", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__")
    )
    for name in names:
        assert hasattr(module, name), f"{path} exports {name} and has it not"


def test_stub_of_the_chooser_names_what_it_exports() -> None:
    import rtcore._fast as chooser

    stub = ast.parse((SOURCE / "_fast" / "__init__.pyi").read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    declared = {ast.unparse(node.target) for node in stub.body if isinstance(node, ast.AnnAssign)}
    assert sorted(imported | declared) == chooser.__all__


def test_families_of_twins_are_what_is_there() -> None:
    import rtcore._fast as chooser
    import rtcore._pure

    assert tuple(sorted(info.name for info in pkgutil.iter_modules(rtcore._pure.__path__))) == chooser.FAMILIES
    assert {path.stem for path in (SOURCE / "_fast").glob("*.pxd")} == set(chooser.FAMILIES)
    assert {path.stem for path in (SOURCE / "_fast").glob("*.pyi")} == {*chooser.FAMILIES, "__init__"}
