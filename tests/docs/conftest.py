"""Reading the pages: their fenced blocks, by language and by what stands behind it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w+)[ ]?([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

Blocks = Callable[..., list[tuple[str, str]]]


@pytest.fixture(scope="session")
def project() -> Path:
    """The checkout."""
    return PROJECT


@pytest.fixture(scope="session")
def blocks_of() -> Blocks:
    """`blocks_of("docs/tutorial.md", "python")`: each block's name, empty where it has none, and its text."""

    def blocks_of(page: str, *languages: str) -> list[tuple[str, str]]:
        text = (PROJECT / page).read_text(encoding="utf-8")
        return [(name, body) for language, name, body in _FENCE.findall(text) if language in languages]

    return blocks_of
