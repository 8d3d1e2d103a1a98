"""Passes over the bytes of JSON texts, in both implementations."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from rtcore.values.events import format_timestamp

Both = Callable[[str], tuple[ModuleType, ModuleType]]
MOMENT = 1_736_942_400.123


@pytest.fixture
def module(load_twin: Callable[[str], ModuleType]) -> ModuleType:
    return load_twin("json_text")


def told(call: Callable[[], Any]) -> Any:
    """What a call returns, or the kind of its error."""
    try:
        return call()
    except (ValueError, TypeError, OverflowError) as error:
        return type(error)


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        (b"", 0),
        (b"1", 0),
        (b"[]", 1),
        (b"[[],[{}]]", 3),
        (b"[[[", 3),
        (b"]]][[[", 0),
        (b'"[[["', 0),
        (b'["[",{"]":"{"}]', 2),
        (rb'["\"[[["]', 1),
        (rb'["\\",[]]', 2),
        (rb'"\\"[', 1),
        (b'["[[', 1),
        (b'["\\', 1),
    ],
)
def test_depth_is_that_of_brackets_outside_of_strings(module: ModuleType, text: bytes, depth: int) -> None:
    """Also where it is no JSON: the text is not read yet."""
    assert not module.json_depth_exceeds(text, depth)
    if depth:
        assert module.json_depth_exceeds(text, depth - 1)
    assert not module.json_depth_exceeds(text, 2**100)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"", False), (b"nul", False), (b"null", True), (b"nnull", True), (b"nulnull", True), (b"[nil,nul", False)],
)
def test_null_is_found_wherever_it_stands(module: ModuleType, text: bytes, expected: bool) -> None:
    assert module.holds_null(text) is expected
    assert module.holds_null(b"n" * 100 + text + b"u" * 100) is expected


def test_event_is_written_as_a_json_writer_would(module: ModuleType) -> None:
    text = module.encode_event_text("a:1", "task.progress", b'{"x":[1,null]}', MOMENT, 42)
    assert text == (
        b'{"type":"task.progress","channel":"a:1","data":{"x":[1,null]},'
        b'"timestamp":"2025-01-15T12:00:00.123Z","offset":42'
    )
    assert list(json.loads(text + b"}")) == ["type", "channel", "data", "timestamp", "offset"]


@pytest.mark.parametrize("name", ['"', "\\", "\n", "\x7f", "ä", "\ud800", 'a","x":"'])
def test_name_that_would_break_out_of_its_quotes_is_refused(module: ModuleType, name: str) -> None:
    """Whoever checks names before has made a mistake; nobody may be told a lie through it."""
    for names in ((name, "t"), ("c", name)):
        # A lone surrogate has no bytes at all, which Python has a word of its own for.
        with pytest.raises(ValueError, match=r"characters that JSON escapes|surrogates not allowed"):
            module.encode_event_text(*names, b"1", MOMENT, 1)


@pytest.mark.parametrize("offset", [2**63, -(2**63) - 1])
def test_offset_beyond_64_bits_is_refused(module: ModuleType, offset: int) -> None:
    with pytest.raises(OverflowError):
        module.encode_event_text("c", "t", b"1", MOMENT, offset)


@pytest.mark.parametrize("text", [bytearray(b"1"), memoryview(b"1"), "1", None])
def test_only_bytes_are_taken(module: ModuleType, text: Any) -> None:
    calls: tuple[Callable[[], object], ...] = (
        lambda: module.json_depth_exceeds(text, 1),
        lambda: module.holds_null(text),
        lambda: module.encode_event_text("c", "t", text, MOMENT, 1),
    )
    for call in calls:
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("seed", range(20))
def test_twins_find_the_same_depth_and_null_in_random_text(load_both: Both, seed: int) -> None:
    choice = random.Random(seed)
    pure, compiled = load_both("json_text")
    for _ in range(300):
        text = bytes(choice.choices(b'[]{}"\\nul, ', k=choice.randrange(40)))
        assert pure.holds_null(text) is compiled.holds_null(text)
        for depth in (-1, 0, 1, 2, 5, 40):
            assert pure.json_depth_exceeds(text, depth) is compiled.json_depth_exceeds(text, depth), (text, depth)


def test_a_timestamp_is_rfc_3339_with_milliseconds_cut_not_rounded(module: ModuleType) -> None:
    assert module.format_timestamp(MOMENT) == format_timestamp(MOMENT)
    assert module.format_timestamp(1.9999) == "1970-01-01T00:00:01.999Z"
    with pytest.raises((ValueError, OverflowError)):
        module.format_timestamp(math.nan)


@pytest.mark.parametrize("seed", range(20))
def test_twins_write_the_same_event_at_any_time(load_both: Both, seed: int) -> None:
    choice = random.Random(seed)
    pure, compiled = load_both("json_text")
    times = [math.nan, math.inf, -math.inf, 1e11, -1e11, 1e12, 1e300, 0.0, -0.0, -0.0005, 0.9999995, 253402300799.9999]
    for _ in range(300):
        time = choice.choice(
            [*times, choice.uniform(-1e10, 1e11), round(choice.uniform(0, 2e9), choice.randrange(8)), MOMENT]
        )
        offset = choice.choice([0, -1, 2**63 - 1, -(2**63), choice.getrandbits(choice.randrange(1, 63))])
        one, other = (
            told(partial(twin.encode_event_text, "c", "t", b"1", time, offset)) for twin in (pure, compiled)
        )
        assert one == other, (time, offset)
        assert told(partial(pure.format_timestamp, time)) == told(partial(compiled.format_timestamp, time))
        if isinstance(one, bytes):
            assert json.loads(one + b"}")["timestamp"] == format_timestamp(time)
