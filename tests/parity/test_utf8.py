"""UTF-8 checked as it comes. Sources: RFC 3629, section 4; RFC 6455, section 8.1."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LoadTwin = Callable[[str], ModuleType]
LoadBoth = Callable[[str], tuple[ModuleType, ModuleType]]

VALID = [
    "",
    "Hello",
    "κόσμε",
    "\x00\x7f\x80\u07ff\u0800\ud7ff\ue000\ufffd\uffff\U00010000\U0010ffff",
    "a" * 7 + "é" + "b" * 8 + "日本" + "c" * 9 + "🎉",
    "Hello-µ@ßöäüàá-UTF-8!!" * 10,
]

# The bytes, and the index of the first one that no text could have in that place.
WRONG = [
    ("80", 0),
    ("bf", 0),
    ("c0", 0),
    ("c1bf", 0),
    ("f5", 0),
    ("fe", 0),
    ("ff", 0),
    ("c2c2", 1),
    ("c241", 1),
    ("e09f", 1),
    ("e080af", 1),
    ("eda0", 1),
    ("edbfbf", 1),
    ("e18041", 2),
    ("f08f", 1),
    ("f0808080", 1),
    ("f48f41", 2),
    ("f490", 1),
    ("f4908080", 1),
    ("f09f8e41", 3),
    ("6162636465666768ff", 8),
    ("cebae1bdb9cf83cebcceb5eda080656469746564", 12),
]
"""Stray and missing continuations, overlong forms, surrogates, code points past U+10FFFF, and bytes of no meaning."""


@pytest.fixture
def utf8(load_twin: LoadTwin) -> ModuleType:
    return load_twin("utf8")


def python_accepts(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("text", VALID)
def test_text_is_accepted_whole_and_cut_anywhere(utf8: ModuleType, text: str) -> None:
    data = text.encode()
    assert utf8.is_utf8(data) is True
    for cut in range(len(data) + 1):
        validator = utf8.Utf8Validator()
        assert validator.feed(data[:cut]) is True
        assert validator.complete is python_accepts(data[:cut])
        assert validator.feed(data[cut:]) is True
        assert validator.complete is True


@pytest.mark.parametrize(("octets", "index"), WRONG)
def test_the_first_wrong_byte_is_told_and_no_byte_before_it(utf8: ModuleType, octets: str, index: int) -> None:
    data = bytes.fromhex(octets)
    validator = utf8.Utf8Validator()
    assert [validator.feed(bytes((octet,))) for octet in data[: index + 1]] == [True] * index + [False]
    assert validator.complete is False
    assert utf8.is_utf8(data) is False
    assert utf8.Utf8Validator().feed(data) is False


def test_a_validator_that_has_failed_stays_failed_until_it_is_reset(utf8: ModuleType) -> None:
    validator = utf8.Utf8Validator()
    assert not validator.feed(b"\xff")
    assert not validator.feed(b"good")
    assert not validator.complete
    validator.reset()
    assert validator.complete
    assert validator.feed(b"good")


def test_reset_forgets_half_a_character(utf8: ModuleType) -> None:
    validator = utf8.Utf8Validator()
    assert validator.feed(b"\xf0\x9f")
    assert not validator.complete
    validator.reset()
    assert validator.complete
    assert not validator.feed(b"\x8e")


@pytest.mark.parametrize("size", [65535, 65536, 65537, 300_000])
def test_large_text_is_checked_to_its_last_byte(utf8: ModuleType, size: int) -> None:
    """From 64 KiB on the compiled twin releases the GIL."""
    text = ("é" * size).encode()[:size]
    assert utf8.is_utf8(text) is (size % 2 == 0)
    assert utf8.is_utf8(text[: size // 2 * 2 - 1] + b"\xff") is False
    assert utf8.is_utf8(b"x" * size) is True
    assert utf8.is_utf8(b"x" * (size - 1) + b"\x80") is False


@pytest.mark.parametrize("wrong", [None, "text", bytearray(b"x")])
def test_something_other_than_bytes_is_refused(utf8: ModuleType, wrong: object) -> None:
    with pytest.raises(TypeError):
        utf8.is_utf8(wrong)
    with pytest.raises(TypeError):
        utf8.Utf8Validator().feed(wrong)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.one_of(st.binary(max_size=12), st.text(max_size=12).map(str.encode)), cuts=st.data())
def test_every_cut_says_the_same_as_python(utf8: ModuleType, data: bytes, cuts: st.DataObject) -> None:
    expected = python_accepts(data)
    assert utf8.is_utf8(data) is expected
    cut = cuts.draw(st.integers(0, len(data)))
    validator = utf8.Utf8Validator()
    accepted = validator.feed(data[:cut]) and validator.feed(data[cut:])
    assert (accepted and validator.complete) is expected


def test_twins_agree_on_random_pieces(load_both: LoadBoth) -> None:
    """Lead and continuation bytes near their bounds, so that most of the grammar is met."""
    pure, compiled = load_both("utf8")
    chance = random.Random(3629)
    octets = bytes.fromhex("417f808f909fa0bfc0c2dfe0e1edeff0f1f4f5ff")
    for _ in range(3000):
        validators = pure.Utf8Validator(), compiled.Utf8Validator()
        for _ in range(4):
            piece = bytes(chance.choices(octets, k=chance.randrange(4)))
            assert validators[0].feed(piece) is validators[1].feed(piece)
            assert validators[0].complete is validators[1].complete
            assert pure.is_utf8(piece) is compiled.is_utf8(piece)
