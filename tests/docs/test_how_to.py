"""The recipes work: Python runs, settings load."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

import rtcore
from rtcore.server.settings_sources import load_settings

Blocks = list[tuple[str, str]]
PAGE = "docs/how-to.md"
ARGUMENTS = {"new_key.py": ["keys.json", "2026-12"], "own_tokens.py": []}


@pytest.fixture
def blocks(blocks_of: Callable[..., Blocks]) -> Callable[..., Blocks]:
    """The page's blocks of a language."""
    return lambda *languages: blocks_of(PAGE, *languages)


async def run_fragment(text: str, **names: object) -> None:
    """Run code that awaits at its top level."""
    code = compile(text, PAGE, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    ending = eval(code, {"rtcore": rtcore, "trio": trio, **names})
    if inspect.iscoroutine(ending):
        await ending


async def test_every_fragment_runs(blocks: Callable[..., Blocks]) -> None:
    namespaces = {"metrics": rtcore.Namespace(overflow=rtcore.Overflow.CONFLATE)}
    fragments = [text for name, text in blocks("python") if not name]
    assert len(fragments) == 9
    for text in fragments:
        with trio.fail_after(60):
            async with rtcore.open_hub(namespaces=namespaces) as hub, trio.open_nursery() as nursery:
                server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=0))
                await run_fragment(text, hub=hub, nursery=nursery, url=server.url)
                nursery.cancel_scope.cancel()


def test_every_program_runs(blocks: Callable[..., Blocks], tmp_path: Path) -> None:
    programs = [(name, text) for name, text in blocks("python") if name]
    assert {name for name, _ in programs} == ARGUMENTS.keys()
    for name, text in programs:
        (tmp_path / name).write_text(text, encoding="utf-8")
        command = [sys.executable, "-W", "error", name, *ARGUMENTS[name]]
        outcome = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert (outcome.returncode, outcome.stderr) == (0, ""), name


def test_key_set_of_the_recipe_is_one_that_the_server_can_use(blocks: Callable[..., Blocks], tmp_path: Path) -> None:
    """Two rotations, and the set holds the newest two keys."""
    from rtcore.server.keys import load_keys

    script = dict(blocks("python"))["new_key.py"]
    for name in ("2026-10", "2026-11", "2026-12"):
        subprocess.run([sys.executable, "-c", script, "keys.json", name], cwd=tmp_path, timeout=60, check=True)
    keys = load_keys({"main": rtcore.KeySettings(algorithm="HS256", key_set=tmp_path / "keys.json")})
    assert [key.id for key in keys] == ["2026-12", "2026-11"]
    assert (tmp_path / "keys.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("page", ["README.md", PAGE])
def test_settings_of_a_page_are_accepted(page: str, blocks_of: Callable[..., Blocks], tmp_path: Path) -> None:
    found = blocks_of(page, "toml")
    assert found
    for _, text in found:
        (tmp_path / "rtcore.toml").write_text(text, encoding="utf-8")
        load_settings(tmp_path / "rtcore.toml", {}, {})
