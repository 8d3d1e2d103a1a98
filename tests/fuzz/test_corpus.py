"""Every input of the corpus, through its target, over both implementations: what once was found stays mended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fuzz.stacks import Stack, load_stacks
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file())
MOST_FILES = 200
MOST_BYTES = 300 * 1024


@pytest.fixture(scope="module")
def stacks() -> Sequence[Stack]:
    return load_stacks()


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_input_breaks_no_promise(path: Path, stacks: Sequence[Stack]) -> None:
    TARGETS[path.parent.name](path.read_bytes(), stacks)


def test_every_target_has_a_corpus_and_every_corpus_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


def test_corpus_stays_small() -> None:
    """It is run with every change, and cloned by everybody."""
    assert len(FILES) <= MOST_FILES
    assert sum(path.stat().st_size for path in FILES) <= MOST_BYTES
