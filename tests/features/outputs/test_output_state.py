"""What is kept of an output, and its one end."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from rtcore.features.outputs.output_state import Content, Kind, OutputState, OutputStatus
from rtcore.protocol.json_codec import json_dumps


def test_text_is_counted_in_characters_and_kept_in_bytes() -> None:
    state = OutputState(Kind.TEXT, 100)
    assert state.append_text("äß") == Content(0, "äß")
    assert state.append_text("c") == Content(2, "c")
    assert (state.length, state.bytes, state.first) == (3, 5, 0)
    assert state.content() == Content(0, "äßc")
    assert state.content(1) == Content(1, "ßc")
    assert state.content(1, maximum=1) == Content(1, "ß")
    assert state.content(3) == Content(3, "")
    assert state.content(99) == Content(99, "")


def test_items_are_counted_one_by_one() -> None:
    state = OutputState(Kind.ITEMS, 100)
    state.append_items([1, {"a": 2}])
    state.append_items([3])
    assert state.content() == Content(0, items=(1, {"a": 2}, 3))
    assert state.content(1, maximum=1) == Content(1, items=({"a": 2},))


def test_oldest_goes_first_and_the_index_says_how_much() -> None:
    state = OutputState(Kind.TEXT, 10)
    for letter in "abcd":
        state.append_text(letter * 4)
    assert state.content() == Content(8, "ccccdddd"), "who comes late sees that eight characters are missing"
    assert state.length == 16


def test_one_stretch_is_kept_however_large() -> None:
    state = OutputState(Kind.TEXT, 10)
    state.append_text("x" * 50)
    assert state.content() == Content(0, "x" * 50)
    assert state.forget_oldest()
    assert (state.content(), state.bytes) == (Content(50, ""), 0)
    assert not state.forget_oldest()


def test_there_is_one_end() -> None:
    state = OutputState(Kind.TEXT, 10)
    assert state.end(OutputStatus.FAILED)
    assert not state.end(OutputStatus.COMPLETED)
    assert state.status is OutputStatus.FAILED


@pytest.mark.parametrize("seed", range(20))
def test_pages_are_the_whole_and_each_fits(seed: int) -> None:
    """In bytes of JSON, where a character may take six; what does not fit in any page has one of its own."""
    rng = random.Random(seed)
    for kind, alphabet in ((Kind.TEXT, "a\0\"ä😀"), (Kind.ITEMS, "")):
        state = OutputState(kind, 10_000)
        for _ in range(30):
            if kind is Kind.TEXT:
                state.append_text("".join(rng.choices(alphabet, k=rng.randint(1, 30))))
            else:
                state.append_items(["x" * rng.choice([0, 1, 5, 60]) for _ in range(rng.randint(1, 9))])
        maximum, most, index, pages = rng.choice([3, 1000]), rng.choice([1, 8, 40]), 0, list[Content]()
        while index < state.length:
            page = state.page(index, maximum, most)
            held = page.text or page.items
            assert page.index == index
            assert 1 <= len(held) <= maximum
            assert len(json_dumps(held)) <= most or len(held) == 1
            if len(held) < min(maximum, state.length - index):
                following = state.content(index, len(held) + 1)
                assert len(json_dumps(following.text or following.items)) > most, "as much as fits"
            pages.append(page)
            index = page.end
        whole = state.content()
        assert "".join(page.text for page in pages) == whole.text
        assert [item for page in pages for item in page.items] == list(whole.items)
        assert state.page(state.length, maximum, most) == state.content(state.length)


@pytest.mark.parametrize("most", [10, 5_000, 49_000, 100_000])
def test_page_of_long_content_is_found_for_the_price_of_writing_it_a_few_times(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody waits meanwhile."""
    state = OutputState(Kind.TEXT, 100_000)
    state.append_text("x" * 50_000)
    written = 0

    def count(value: str) -> bytes:
        nonlocal written
        written += len(value)
        return json_dumps(value)

    monkeypatch.setattr("rtcore.features.outputs.output_state.json_dumps", count)
    assert len(state.page(0, 100_000, most).text) == min(most - 2, 50_000)
    assert written <= 3 * 50_000


@pytest.mark.parametrize("kept", [200, 3_000])
@pytest.mark.parametrize("seed", range(20))
def test_content_agrees_with_the_whole(seed: int, kept: int) -> None:
    """Also where pieces are joined as they come, and forgotten joined."""
    rng = random.Random(seed)
    state, whole = OutputState(Kind.TEXT, kept), ""
    for _ in range(max(100, kept // 10)):
        piece = "".join(rng.choices("aä€😀", k=rng.randint(1, 20)))
        state.append_text(piece)
        whole += piece
        index = rng.randint(0, len(whole) + 3)
        content = state.content(index)
        assert content.text == whole[content.index :]
        assert content.index == max(index, state.first)
        assert state.bytes <= kept or len(state.content().text) <= 20
    assert state.bytes == len(state.content().text.encode())
    assert state.bytes > kept * 0.5


@pytest.mark.parametrize("kept", [200, 20_000])
def test_items_agree_with_the_whole(kept: int) -> None:
    state, whole = OutputState(Kind.ITEMS, kept), list[int]()
    for number in range(kept):
        items = list(range(number, number + number % 4 + 1))
        state.append_items(items)
        whole += items
    assert list(state.content().items) == whole[state.first :]
    assert state.content(state.first + 1, 3).items == tuple(whole[state.first + 1 : state.first + 4])
    assert kept * 0.5 < state.bytes <= kept


def test_content_costs_what_it_is_long_however_small_its_pieces() -> None:
    """A token at a time, each would cost a hundred bytes beside its own."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        state = OutputState(Kind.TEXT, 100_000)
        for number in range(20_000):
            state.append_text(f"{number:8}")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 99_000 < state.bytes <= 100_000
    assert after - before < 2 * state.bytes
