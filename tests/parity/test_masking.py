"""The XOR over clients' payloads. Source: RFC 6455, section 5.3."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import ModuleType

import pytest

LoadTwin = Callable[[str], ModuleType]
LoadBoth = Callable[[str], tuple[ModuleType, ModuleType]]

SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 63, 64, 65, 125, 126, 1000, 65535, 65536, 65537]
"""Around the word that is worked on at once, and around the size from which the GIL is released."""


@pytest.fixture
def masking(load_twin: LoadTwin) -> ModuleType:
    return load_twin("masking")


def reference(data: bytes, mask: bytes) -> bytes:
    """The words of section 5.3, one byte after another."""
    return bytes(octet ^ mask[index % 4] for index, octet in enumerate(data))


def test_the_example_of_the_rfc_is_masked_as_printed(masking: ModuleType) -> None:
    """Section 5.7: a masked text message that contains "Hello"."""
    assert masking.apply_mask(b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("7f9f4d5158")


@pytest.mark.parametrize("size", SIZES)
def test_a_mask_is_applied_as_the_rfc_words_it_and_undone_by_itself(masking: ModuleType, size: int) -> None:
    chance = random.Random(size)
    data, mask = chance.randbytes(size), chance.randbytes(4)
    masked = masking.apply_mask(data, mask)
    assert masked == reference(data, mask)
    assert masking.apply_mask(masked, mask) == data


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_contiguous_buffer_can_be_masked(masking: ModuleType, kind: type) -> None:
    masked = masking.apply_mask(kind(b"Hello"), b"\x01\x02\x03\x04")
    assert type(masked) is bytes
    assert masked == reference(b"Hello", b"\x01\x02\x03\x04")


def test_a_view_with_gaps_is_refused(masking: ModuleType) -> None:
    with pytest.raises(BufferError):
        masking.apply_mask(memoryview(b"Hello World")[::2], b"\x01\x02\x03\x04")


@pytest.mark.parametrize("mask", [b"", b"abc", b"abcde"])
def test_a_mask_that_is_not_four_bytes_is_refused(masking: ModuleType, mask: bytes) -> None:
    with pytest.raises(ValueError, match="must be 4"):
        masking.apply_mask(b"Hello", mask)
    with pytest.raises(ValueError, match="must be 4"):
        masking.unmask_slice(b"Hello", 0, 5, mask, 0)


@pytest.mark.parametrize("phase", range(4))
@pytest.mark.parametrize("size", SIZES)
def test_a_piece_of_a_buffer_continues_the_mask_where_the_piece_before_it_ended(
    masking: ModuleType, size: int, phase: int
) -> None:
    chance = random.Random(size)
    data, mask = chance.randbytes(size + 20), chance.randbytes(4)
    whole = reference(bytes(phase) + data[9 : 9 + size], mask)
    assert masking.unmask_slice(data, 9, 9 + size, mask, phase) == whole[phase:]


@pytest.mark.parametrize(
    ("start", "stop", "phase"), [(-1, 3, 0), (3, 2, 0), (0, 6, 0), (0, 5, -1), (0, 5, 4), (6, 6, 0)]
)
def test_a_piece_outside_its_buffer_is_refused(masking: ModuleType, start: int, stop: int, phase: int) -> None:
    """Compiled, it would be memory that belongs to something else."""
    with pytest.raises(ValueError, match=r"phase|piece"):
        masking.unmask_slice(b"Hello", start, stop, b"abcd", phase)


@pytest.mark.parametrize("wrong", [None, bytearray(b"Hello"), "Hello"])
def test_a_piece_of_something_other_than_bytes_is_refused(masking: ModuleType, wrong: object) -> None:
    with pytest.raises(TypeError):
        masking.unmask_slice(wrong, 0, 5, b"abcd", 0)


def test_twins_agree_on_random_input(load_both: LoadBoth) -> None:
    pure, compiled = load_both("masking")
    chance = random.Random(6455)
    for _ in range(2000):
        data, mask = chance.randbytes(chance.randrange(200)), chance.randbytes(4)
        start = chance.randrange(len(data) + 1)
        stop = chance.randrange(start, len(data) + 1)
        phase = chance.randrange(4)
        assert pure.apply_mask(data, mask) == compiled.apply_mask(data, mask)
        arguments = data, start, stop, mask, phase
        assert pure.unmask_slice(*arguments) == compiled.unmask_slice(*arguments)
