"""The batch encoder, in both implementations."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture
def module(load_twin: Callable[[str], ModuleType]) -> ModuleType:
    return load_twin("batch_encoder")


def test_message_is_its_body_closed_with_the_position(module: ModuleType) -> None:
    encoded = module.encode_message(b'{"type":"task.progress","offset":42', b"ab12-42")
    assert encoded == b'{"type":"task.progress","offset":42,"position":"ab12-42"}'
    assert json.loads(encoded) == {"type": "task.progress", "offset": 42, "position": "ab12-42"}


@pytest.mark.parametrize("count", [0, 1, 2, 10])
def test_batch_holds_its_messages_in_order(module: ModuleType, count: int) -> None:
    messages = [b'{"n":%d}' % number for number in range(count)]
    encoded = module.encode_batch(messages, b"2025-01-15T12:00:00.123Z")
    assert json.loads(encoded) == {
        "type": "batch",
        "data": {"events": [{"n": number} for number in range(count)]},
        "timestamp": "2025-01-15T12:00:00.123Z",
    }


def test_batch_is_written_without_spaces_and_with_its_type_first(module: ModuleType) -> None:
    assert module.encode_batch([b"1", b"2"], b"T") == b'{"type":"batch","data":{"events":[1,2]},"timestamp":"T"}'


def test_join_lays_parts_end_to_end(module: ModuleType) -> None:
    assert module.join([]) == b""
    assert module.join([b"a", b"", b"bc"]) == b"abc"
    assert module.join((b"a", b"b")) == b"ab"


def test_every_contiguous_buffer_is_accepted_and_text_is_not(module: ModuleType) -> None:
    """The twins are equally liberal: what works in development must not fail where the other one is installed."""
    assert module.encode_message(bytearray(b"{"), memoryview(b"p")) == b'{,"position":"p"}'
    assert module.join([bytearray(b"a"), memoryview(b"b")]) == b"ab"
    for call in (
        lambda: module.encode_message("{", b"p"),
        lambda: module.encode_message(None, b"p"),
        lambda: module.encode_batch(["{}"], b"T"),
        lambda: module.encode_batch(None, b"T"),
        lambda: module.join(["a"]),
        lambda: module.join(None),
    ):
        with pytest.raises(TypeError):
            call()


def test_results_are_bytes_even_of_a_single_part(module: ModuleType) -> None:
    assert type(module.join([bytearray(b"a")])) is bytes
    part = b"one"
    assert module.join([part]) == part


@pytest.mark.parametrize("seed", range(5))
def test_twins_agree_on_random_texts(load_both: Callable[[str], tuple[ModuleType, ModuleType]], seed: int) -> None:
    chance = random.Random(seed)
    pure, compiled = load_both("batch_encoder")
    for _ in range(200):
        texts = [chance.randbytes(chance.choice([0, 1, 7, 300])) for _ in range(chance.randint(0, 12))]
        body, position = chance.randbytes(chance.randint(0, 100)), chance.randbytes(chance.randint(0, 20))
        assert pure.encode_message(body, position) == compiled.encode_message(body, position)
        assert pure.encode_batch(texts, position) == compiled.encode_batch(texts, position)
        assert pure.join(texts) == compiled.join(texts)
