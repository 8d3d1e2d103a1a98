"""
Twins, one by one and side by side.

`load_twin` gives a test one implementation of a family and runs it once for each, with the ids `pure` and `compiled`.
`load_both` gives it the two together, to compare them. A twin that was not built is skipped under
`RTCORE_EXTENSIONS=auto` and `off`, and fails under `required`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import pytest


def _load(implementation: str, family: str) -> ModuleType:
    if implementation == "pure":
        return import_module(f"rtcore._pure.{family}")
    wanted = os.environ.get("RTCORE_EXTENSIONS", "auto")
    if wanted == "off":
        pytest.skip("RTCORE_EXTENSIONS=off")
    name = f"rtcore._fast.{family}"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name or wanted == "required":
            raise
        pytest.skip(f"{name} was not built")


@pytest.fixture(params=["pure", "compiled"])
def load_twin(request: pytest.FixtureRequest) -> Callable[[str], ModuleType]:
    """Import a family by its name, in one implementation."""
    return lambda family: _load(request.param, family)


@pytest.fixture
def load_both() -> Callable[[str], tuple[ModuleType, ModuleType]]:
    """Import a family by its name, in both implementations: pure first."""
    return lambda family: (_load("pure", family), _load("compiled", family))
