"""The guide to testing says what is so: each of its examples is a test, and runs here as it stands there."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import trio.testing

import rtcore.testing

GUIDE = Path(__file__).parents[2] / "docs" / "testing.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def collected(example: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(example, str(GUIDE), "exec"), names)
    return {name: value for name, value in names.items() if name.startswith("test_")}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: "-".join(collected(example)))
async def test_example_runs_as_it_stands(autojump_clock: trio.testing.MockClock, example: str) -> None:
    for test in collected(example).values():
        if inspect.iscoroutinefunction(test):
            await test(autojump_clock)
        else:
            test()


def test_every_example_is_a_test() -> None:
    assert len(EXAMPLES) >= 6
    assert all(collected(example) for example in EXAMPLES)


def test_guide_names_everything_that_the_kit_exports() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    helpers = {"Frame", "Published", "TestServer", "virtual_clock"}  # what the named ones give or are made of
    assert {name for name in rtcore.testing.__all__ if name not in text} <= helpers


def test_kit_is_not_collected_as_tests() -> None:
    assert rtcore.testing.TestClient.__test__ is False
    assert rtcore.testing.TestServer.__test__ is False
