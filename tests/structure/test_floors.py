"""
Imports point down only.

The floors are those of `docs/design.md`. A module may import its own package and every floor below; packages that share
a floor do not know each other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import rtcore

SOURCE = Path(rtcore.__file__).parent
FLOORS = {
    "errors": 0,
    "values": 0,
    "_pure": 1,
    "_fast": 2,
    "protocol": 3,
    "hub": 4,
    "store": 4,
    "transports": 5,
    "client": 5,
    "features": 6,
    "application": 7,
    "server": 7,
    "tui": 8,
    "cli": 9,
    "__main__": 10,
}
BESIDE_THE_TOWER = {"__init__", "testing"}
"""The face and the kit import everything and are imported by none."""
STRANGERS = {"transports": {"features", "client"}, "features": {"transports", "client"}, "client": {"transports"}}
"""Packages that must not know each other whatever their floors."""
FACE_AND_KIT = {"cli", "tui", "__main__"}
"""Modules at the top may use the face as an application does."""
WITHOUT_IO = {"errors", "values", "_pure", "_fast", "protocol"}
SYSTEM_CALLS = {"_pure/socket_table.py"}
"""The reference of what the compiled twin does with the system: descriptors are its subject, and it never waits."""
IO_MODULES = {"trio", "socket", "ssl", "select", "selectors", "asyncio", "subprocess", "http.client", "urllib.request"}

MODULES = sorted(path for path in SOURCE.rglob("*.py"))


def part_of(path: Path) -> str:
    """The package or module directly under rtcore that a file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything that a file imports, inside functions and for types too."""
    package = ["rtcore", *path.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module == "rtcore":
                yield from ((node.lineno, f"rtcore.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, module


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def test_every_part_has_its_floor() -> None:
    assert {part_of(path) for path in MODULES} <= FLOORS.keys() | BESIDE_THE_TOWER


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_imports_only_what_lies_below(path: Path) -> None:
    own = part_of(path)
    if own in BESIDE_THE_TOWER:
        return
    for line, name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "rtcore":
            continue
        other = parts[1] if len(parts) > 1 else ""
        if own in FACE_AND_KIT and other not in FLOORS:
            continue
        assert other in FLOORS, f"{path}:{line} imports {name}: the face and the kit are for applications"
        assert other == own or FLOORS[other] < FLOORS[own], f"{path}:{line} imports {name}: up or across, not down"
        assert other not in STRANGERS.get(own, set()), f"{path}:{line} imports {name}: these must not know each other"


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) in WITHOUT_IO], ids=name_of)
def test_lower_floors_do_no_io(path: Path) -> None:
    """Bytes in, events out: so they can be tested without a network and used under any driver."""
    allowed = {"select", "socket"} if name_of(path) in SYSTEM_CALLS else set()
    for line, name in imports_of(path):
        assert not {name, name.partition(".")[0]} & (IO_MODULES - allowed), f"{path}:{line} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_are_absolute_except_between_twins(path: Path) -> None:
    """Twins import twins relatively, so each family stays whole; all else is absolute."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            assert part_of(path) in ("_pure", "_fast"), f"{path}:{node.lineno} imports relatively"
        elif part_of(path) == "_pure":
            assert not (node.module or "").startswith("rtcore._"), f"{path}:{node.lineno} binds one family to another"
