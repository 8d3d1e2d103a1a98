"""Snapshots say what each of their numbers means."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import rtcore

SOURCE = Path(rtcore.__file__).parent
SNAPSHOTS = [
    pytest.param(node, id=node.name)
    for path in sorted(SOURCE.rglob("*.py"))
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.ClassDef) and node.name.endswith("Statistics")
]


@pytest.mark.parametrize("snapshot", SNAPSHOTS)
def test_snapshot_is_frozen(snapshot: ast.ClassDef) -> None:
    """It is a value of one moment: whoever keeps it keeps that moment."""
    assert [ast.unparse(decorator) for decorator in snapshot.decorator_list] == ["frozen(kw_only=True)"]


@pytest.mark.parametrize("snapshot", SNAPSHOTS)
def test_each_field_says_what_it_counts(snapshot: ast.ClassDef) -> None:
    """A number without a unit and a subject is read as something else."""
    assert ast.get_docstring(snapshot)
    for field, following in zip(snapshot.body, [*snapshot.body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign):
            said = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            assert said, f"{snapshot.name}.{ast.unparse(field.target)} has no docstring"
