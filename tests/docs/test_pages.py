"""All pages: links lead somewhere, and command lines are ones that the program takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from rtcore.cli.parsing import CommandParser
from rtcore.cli.program import COMMANDS

Blocks = list[tuple[str, str]]
PROJECT = Path(__file__).parents[2]
PAGES = sorted(str(path.relative_to(PROJECT)) for path in [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_COMMAND = re.compile(rf"(?:^|[ (])rtcore ((?:{'|'.join(COMMANDS)})(?: [^\n)]*)?)", re.MULTILINE)


def prose_of(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors_of(page: Path) -> set[str]:
    """As GitHub makes them."""
    titles = _HEADING.findall(prose_of(page))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_a_file_and_a_heading(page: str) -> None:
    for link in _LINK.findall(prose_of(PROJECT / page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (PROJECT / page).parent / path if path else PROJECT / page
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors_of(target), f"{page}: {link}"


@pytest.mark.parametrize("page", PAGES)
def test_command_lines_are_taken(page: str, blocks_of: Callable[..., Blocks]) -> None:
    for _, text in blocks_of(page, "sh", "console"):
        for line in _COMMAND.findall(text):
            words = shlex.split(line.partition(" #")[0].replace("&&", "\n").partition("\n")[0].rstrip(" &"))
            name, arguments = words[0], words[1:]
            if "|" in arguments or "..." in arguments:
                continue
            module = import_module(f"rtcore.cli.{COMMANDS[name][0]}")
            parser = CommandParser(name, COMMANDS[name][1])
            module.add_arguments(parser)
            parser.parse(arguments)  # leaves with SystemExit where it would not be taken


def test_index_names_every_page() -> None:
    linked = set(_LINK.findall((PROJECT / "docs" / "index.md").read_text(encoding="utf-8")))
    pages = {str(path.relative_to(PROJECT / "docs")) for path in PROJECT.glob("docs/**/*.md")}
    assert pages - {"index.md"} <= linked
