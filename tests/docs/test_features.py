"""The pages of features: their Python runs in a hub that is open."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

import rtcore

Blocks = list[tuple[str, str]]
PROJECT = Path(__file__).parents[2]
PAGES = sorted(str(path.relative_to(PROJECT)) for path in PROJECT.glob("docs/features/*.md"))


@pytest.mark.parametrize("page", PAGES)
async def test_fragments_run_one_after_the_other(page: str, blocks_of: Callable[..., Blocks]) -> None:
    """Each sees what those before it left; `hub` and `nursery` are at hand."""
    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
        names: dict[str, object] = {"rtcore": rtcore, "trio": trio, "hub": hub, "nursery": nursery}
        with trio.fail_after(60):
            for _, text in blocks_of(page, "python"):
                code = compile(text, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
                ending = eval(code, names)
                if inspect.iscoroutine(ending):
                    await ending
        nursery.cancel_scope.cancel()
