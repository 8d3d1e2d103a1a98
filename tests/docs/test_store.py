"""The page about the store: its programs run, in the order in which a reader would try them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import trio

from rtcore.store.records import DOCUMENT_BYTES, KEY_BYTES, WRITE_BYTES
from rtcore.store.sqlite_store import open_sqlite_store
from rtcore.values.events import Json

Blocks = Callable[..., list[tuple[str, str]]]
MEBIBYTE = 1024 * 1024


def test_programs_run_and_the_backup_is_a_store(blocks_of: Blocks, tmp_path: Path) -> None:
    programs = [text for _, text in blocks_of("docs/store.md", "python")]
    assert len(programs) == 2
    said = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        for program in programs
    ]
    assert [(each.returncode, each.stderr) for each in said] == [(0, "")] * 2
    line = said[0].stdout.strip()
    assert f"print(key, document)  # {line}\n" in programs[0]
    assert trio.run(inbox, tmp_path / "backup.db") == [("ada/2", {"title": "Disk is full"})]


async def inbox(path: Path) -> list[tuple[str, Json]]:
    async with open_sqlite_store(path) as store:
        return await store.read("inbox")


def test_bounds_on_the_page_are_those_of_the_code(project: Path) -> None:
    text = " ".join((project / "docs" / "store.md").read_text(encoding="utf-8").split())
    assert f"A key is any text of 1 to {KEY_BYTES:,} bytes." in text
    sizes = f"at most {DOCUMENT_BYTES // MEBIBYTE} MiB of JSON text, a write {WRITE_BYTES // MEBIBYTE} MiB."
    assert sizes in text
