"""
Frames as tables of bytes and parts, by section of RFC 6455.

Every row of `GOOD` is read in both directions, and cut at every byte; every row of `WRONG` fails with its code however
it is cut, after the parts before it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LoadTwin = Callable[[str], ModuleType]
LoadBoth = Callable[[str], tuple[ModuleType, ModuleType]]
Part = tuple[int, bool, bool, bytes]
Frame = tuple[int, bytes, bool, bool]  # opcode, payload, rsv1, fin: what `encode_frame` takes

MASK = bytes.fromhex("37fa213d")
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
LIMIT = 100_000

GOOD: dict[str, tuple[list[Frame], str | None, list[Part]]] = {
    # The frames, their bytes where they are short (from a client, with the mask of section 5.7), and the parts.
    "5.7 text": ([(TEXT, b"Hello", False, True)], "818537fa213d7f9f4d5158", [(TEXT, True, False, b"Hello")]),
    "5.7 ping": ([(PING, b"Hello", False, True)], "898537fa213d7f9f4d5158", [(PING, True, False, b"Hello")]),
    "5.7 pong": ([(PONG, b"Hello", False, True)], "8a8537fa213d7f9f4d5158", [(PONG, True, False, b"Hello")]),
    "5.7 256 bytes": ([(BINARY, bytes(256), False, True)], None, [(BINARY, True, False, bytes(256))]),
    "5.7 64 KiB": ([(BINARY, bytes(65536), False, True)], None, [(BINARY, True, False, bytes(65536))]),
    "5.2 longest of 7 bits": ([(BINARY, bytes(125), False, True)], None, [(BINARY, True, False, bytes(125))]),
    "5.2 shortest of 16 bits": ([(BINARY, bytes(126), False, True)], None, [(BINARY, True, False, bytes(126))]),
    "5.2 longest of 16 bits": ([(BINARY, bytes(65535), False, True)], None, [(BINARY, True, False, bytes(65535))]),
    "5.2 of the limit's size": ([(BINARY, bytes(LIMIT), False, True)], None, [(BINARY, True, False, bytes(LIMIT))]),
    "5.2 empty": ([(TEXT, b"", False, True)], "818037fa213d", [(TEXT, True, False, b"")]),
    "5.5.1 close": ([(CLOSE, b"\x03\xe8", False, True)], "888237fa213d3412", [(CLOSE, True, False, b"\x03\xe8")]),
    "5.5 longest control frame": ([(PING, bytes(125), False, True)], None, [(PING, True, False, bytes(125))]),
    "5.4 fragments": (
        [(TEXT, b"Hel", False, False), (CONTINUATION, b"l", False, False), (CONTINUATION, b"o", False, True)],
        "018337fa213d7f9f4d" "008137fa213d5b" "808137fa213d58",
        [(TEXT, True, False, b"Hello")],
    ),
    "5.4 empty fragments": (
        [(TEXT, b"", False, False), (CONTINUATION, b"", False, False), (CONTINUATION, b"", False, True)],
        "018037fa213d" "008037fa213d" "808037fa213d",
        [(TEXT, True, False, b"")],
    ),
    "5.4 control frame between fragments": (
        [(BINARY, b"a", False, False), (PING, b"p", False, True), (CONTINUATION, b"b", False, True)],
        None,
        [(BINARY, False, False, b"a"), (PING, True, False, b"p"), (BINARY, True, False, b"b")],
    ),
    "5.4 message after a fragmented one": (
        [(TEXT, b"a", False, False), (CONTINUATION, b"b", False, True), (BINARY, b"c", False, True)],
        None,
        [(TEXT, True, False, b"ab"), (BINARY, True, False, b"c")],
    ),
    "7692 6.1 compressed fragments": (
        [(TEXT, b"\xf2\x48\xcd", True, False), (CONTINUATION, b"\xc9\xc9\x07\x00", False, True)],
        None,
        [(TEXT, True, True, b"\xf2\x48\xcd\xc9\xc9\x07\x00")],
    ),
    "7692 6.1 plain message after a compressed one": (
        [(TEXT, b"\x00", True, True), (TEXT, b"a", False, True)],
        None,
        [(TEXT, True, True, b"\x00"), (TEXT, True, False, b"a")],
    ),
}

WRONG: dict[str, tuple[str, int]] = {
    "5.2 RSV2": ("a180", 1002),
    "5.2 RSV3": ("9180", 1002),
    "5.2 opcode 3": ("8380", 1002),
    "5.2 opcode 7": ("8780", 1002),
    "5.2 opcode 11": ("8b80", 1002),
    "5.2 opcode 15": ("8f80", 1002),
    "5.1 text without mask": ("8105", 1002),
    "5.1 ping without mask": ("8900", 1002),
    "5.2 125 in 16 bits": ("81fe007d", 1002),
    "5.2 0 in 16 bits": ("81fe0000", 1002),
    "5.2 65535 in 64 bits": ("81ff000000000000ffff", 1002),
    "5.2 highest bit of 64": ("81ff80", 1002),
    "5.2 largest length": ("81ff7fffffffffffffff", 1009),
    "5.2 one over the limit": ("82ff00000000000186a1", 1009),
    "5.5 fragmented ping": ("0980", 1002),
    "5.5 fragmented close": ("0880", 1002),
    "5.5 ping of 126 bytes": ("89fe", 1002),
    "5.5 close of 64 bits": ("88ff", 1002),
    "7692 6.1 RSV1 on a ping": ("c980", 1002),
    "7692 6.1 RSV1 on a close": ("c880", 1002),
    "5.4 continuation of nothing": ("8080", 1002),
    "5.4 continuation of a message that has ended": ("818037fa213d" "8080", 1002),
    "5.4 message within a message": ("018037fa213d" "8180", 1002),
    "5.4 binary within text": ("018037fa213d" "0280", 1002),
    "7692 6.1 RSV1 on a later fragment": ("418037fa213d" "c080", 1002),
    "5.4 sum over the limit": ("028137fa213d00" "80ff00000000000186a0", 1009),
    "5.4 sum past 64 bits": ("028137fa213d00" "80ff7fffffffffffffff", 1009),
    "7692 compressed, far over the limit": ("c2ff000000000001ec49", 1009),
}
"""Bytes after which nothing more is needed to know better, and the close code. Compression is agreed on."""


@pytest.fixture
def framing(load_twin: LoadTwin) -> ModuleType:
    return both_ways(load_twin("framing"), load_twin("frame_writer"))


def both_ways(parser: ModuleType, writer: ModuleType) -> ModuleType:
    """The parser of one implementation and its writer, under one name."""
    joined = ModuleType("framing")
    vars(joined).update(FrameParser=parser.FrameParser)
    vars(joined).update({name: getattr(writer, name) for name in writer.__all__})
    return joined


def encode(framing: ModuleType, frames: Iterable[Frame], mask: bytes | None = MASK) -> bytes:
    return b"".join(framing.encode_frame(*frame, mask) for frame in frames)


def joined(parts: list[Part]) -> list[Part]:
    """Parts with those of one frame or message put together, as far as they stand side by side."""
    whole: list[Part] = []
    for part in parts:
        if whole and not whole[-1][1] and whole[-1][0] == part[0]:
            opcode, _, compressed, payload = whole.pop()
            assert part[2] is compressed
            whole.append((opcode, part[1], compressed, payload + part[3]))
        else:
            whole.append(part)
    return whole


def feed_all(parser: object, pieces: Iterable[bytes]) -> list[Part]:
    return [part for piece in pieces for part in parser.feed(piece)]  # type: ignore[attr-defined]  # either twin


def cuts_of(data: bytes) -> Iterable[int]:
    """Every place to cut a short stream; those about its headers in a long one."""
    return range(len(data) + 1) if len(data) < 400 else [*range(20), len(data) - 1]


@pytest.mark.parametrize("name", GOOD)
def test_good_frames_give_their_parts_wherever_they_are_cut(framing: ModuleType, name: str) -> None:
    frames, octets, parts = GOOD[name]
    data = encode(framing, frames)
    assert octets is None or data.hex() == octets
    for cut in cuts_of(data):
        parser = framing.FrameParser(LIMIT, compression=True)
        assert joined(feed_all(parser, [data[:cut], data[cut:]])) == parts
        assert parser.failure is None


@pytest.mark.parametrize("name", [name for name in GOOD if sum(len(frame[1]) for frame in GOOD[name][0]) < 1000])
def test_good_frames_give_their_parts_byte_by_byte(framing: ModuleType, name: str) -> None:
    frames, _, parts = GOOD[name]
    data = encode(framing, frames)
    parser = framing.FrameParser(LIMIT, compression=True)
    assert joined(feed_all(parser, [data[index : index + 1] for index in range(len(data))])) == parts


@pytest.mark.parametrize("name", GOOD)
def test_a_server_sends_the_same_frames_without_mask(framing: ModuleType, name: str) -> None:
    frames, _, parts = GOOD[name]
    data = encode(framing, frames, None)
    parser = framing.FrameParser(LIMIT, compression=True, masked=False)
    assert joined(parser.feed(data)) == parts
    assert framing.FrameParser(LIMIT).feed(data) == []


@pytest.mark.parametrize("name", WRONG)
def test_wrong_bytes_fail_at_once_wherever_they_are_cut(framing: ModuleType, name: str) -> None:
    octets, close_code = WRONG[name]
    before = framing.encode_frame(TEXT, b"before", mask=MASK)
    data = before + bytes.fromhex(octets)
    for cut in range(len(data)):
        parser = framing.FrameParser(LIMIT, compression=True)
        parts = feed_all(parser, [data[:cut]])
        assert parser.failure is None, "it fails with its last byte, not before"
        parts += feed_all(parser, [data[cut:]])
        assert joined(parts)[0] == (TEXT, True, False, b"before")
        assert parser.failure is not None
        assert parser.failure.close_code == close_code
        assert parser.feed(before) == [], "nothing is read after a violation"


def test_rsv1_needs_an_extension(framing: ModuleType) -> None:
    """RFC 6455, section 5.2."""
    parser = framing.FrameParser(LIMIT)
    assert parser.feed(framing.encode_frame(TEXT, b"x", rsv1=True, mask=MASK)) == []
    assert parser.failure is not None
    assert parser.failure.close_code == 1002


def test_a_client_refuses_masked_frames(framing: ModuleType) -> None:
    """RFC 6455, section 5.1: a server must not mask."""
    parser = framing.FrameParser(LIMIT, masked=False)
    assert parser.feed(framing.encode_frame(TEXT, b"x", mask=MASK)) == []
    assert parser.failure is not None
    assert parser.failure.close_code == 1002


def test_payload_is_handed_out_as_it_comes(framing: ModuleType) -> None:
    """So that text can be refused within a frame, and no byte is held by the parser."""
    data = framing.encode_frame(TEXT, b"Hello", mask=MASK)
    parser = framing.FrameParser(LIMIT)
    parts = [parser.feed(data[index : index + 1]) for index in range(len(data))]
    assert parts[:6] == [[]] * 6
    assert parts[6:] == [[(TEXT, index == 4, False, b"Hello"[index : index + 1])] for index in range(5)]


def test_a_compressed_frame_may_be_a_little_longer_than_its_message(framing: ModuleType) -> None:
    """Deflate cannot shorten random data; the inflater knows the true size."""
    parser = framing.FrameParser(1000, compression=True)
    assert parser.feed(framing.encode_frame(BINARY, bytes(1100), rsv1=True, mask=MASK))[0][2] is True
    parser = framing.FrameParser(1000, compression=True)
    assert parser.feed(framing.encode_frame(BINARY, bytes(1100), mask=MASK)) == []
    assert parser.failure is not None


@pytest.mark.parametrize("limit", [0, -1, (1 << 62) + 1, 1 << 70])
def test_a_limit_outside_its_range_is_refused(framing: ModuleType, limit: int) -> None:
    with pytest.raises(ValueError, match=r"1 to 2\*\*62"):
        framing.FrameParser(limit)


def test_the_largest_limit_is_kept_without_wrapping_around(framing: ModuleType) -> None:
    parser = framing.FrameParser(1 << 62, compression=True)
    assert parser.feed(bytes.fromhex("02ff4000000000000000") + MASK + b"x") == [(BINARY, False, False, b"O")]
    assert parser.failure is None
    parser = framing.FrameParser(1 << 62)
    assert parser.feed(bytes.fromhex("82ff4000000000000001")) == []
    assert parser.failure is not None
    assert parser.failure.close_code == 1009


@pytest.mark.parametrize("wrong", [None, "text", bytearray(b"\x81"), memoryview(b"\x81")])
def test_something_other_than_bytes_is_refused(framing: ModuleType, wrong: object) -> None:
    with pytest.raises(TypeError):
        framing.FrameParser(LIMIT).feed(wrong)
    with pytest.raises(TypeError):
        framing.encode_frame(TEXT, wrong)


HEADERS = [
    (TEXT, 0, "8100", "8180"),
    (TEXT, 125, "817d", "81fd"),
    (TEXT, 126, "817e007e", "81fe007e"),
    (BINARY, 65535, "827effff", "82feffff"),
    (BINARY, 65536, "827f0000000000010000", "82ff0000000000010000"),
    (BINARY, (1 << 63) - 1, "827f7fffffffffffffff", "82ff7fffffffffffffff"),
]


@pytest.mark.parametrize(("opcode", "length", "plain", "masked"), HEADERS)
def test_a_header_has_its_length_in_the_shortest_form(
    framing: ModuleType, opcode: int, length: int, plain: str, masked: str
) -> None:
    """RFC 6455, section 5.2."""
    assert framing.frame_header(opcode, length).hex() == plain
    assert framing.frame_header(opcode, length, masked=True).hex() == masked


def test_a_header_has_its_bits(framing: ModuleType) -> None:
    assert framing.frame_header(TEXT, 1, rsv1=True) == b"\xc1\x01"
    assert framing.frame_header(TEXT, 1, fin=False) == b"\x01\x01"
    assert framing.frame_header(TEXT, 1, rsv1=True, fin=False) == b"\x41\x01"


@pytest.mark.parametrize(("opcode", "length"), [(-1, 0), (16, 0), (TEXT, -1), (TEXT, 1 << 63), (TEXT, 1 << 80)])
def test_a_header_of_numbers_outside_their_range_is_refused(framing: ModuleType, opcode: int, length: int) -> None:
    with pytest.raises((ValueError, OverflowError)):
        framing.frame_header(opcode, length)


def test_a_mask_that_is_not_four_bytes_is_refused(framing: ModuleType) -> None:
    with pytest.raises(ValueError, match="must be 4"):
        framing.encode_frame(TEXT, b"x", mask=b"abc")


messages = st.lists(st.tuples(st.sampled_from([TEXT, BINARY]), st.binary(max_size=300)), max_size=5)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(messages=messages, seed=st.integers(0, 1 << 32))
def test_messages_survive_fragments_masks_and_cuts(
    framing: ModuleType, messages: list[tuple[int, bytes]], seed: int
) -> None:
    chance = random.Random(seed)
    data = b"".join(random_frames(framing, chance, opcode, payload) for opcode, payload in messages)
    parser = framing.FrameParser(LIMIT)
    parts = [part for part in feed_all(parser, random_pieces(chance, data)) if part[0] < CLOSE]
    assert parser.failure is None
    assert [(part[0], part[3]) for part in joined(parts)] == messages


def random_frames(framing: ModuleType, chance: random.Random, opcode: int, payload: bytes) -> bytes:
    """One message in fragments, with pings between them."""
    frames = b""
    while chance.random() < 0.5:
        size = chance.randrange(len(payload) + 1)
        frames += framing.encode_frame(opcode, payload[:size], fin=False, mask=chance.randbytes(4))
        frames += framing.encode_frame(PING, b"", mask=chance.randbytes(4))
        opcode, payload = CONTINUATION, payload[size:]
    return frames + framing.encode_frame(opcode, payload, mask=chance.randbytes(4))


def random_pieces(chance: random.Random, data: bytes) -> Iterable[bytes]:
    while data:
        size = chance.choice([1, 2, 3, 10, 100, 1000])
        yield data[:size]
        data = data[size:]


def test_twins_agree_on_random_streams(load_both: LoadBoth) -> None:
    """Frames with a few bytes changed, cut anywhere: parts and failures are the same, piece by piece."""
    pure, compiled = map(both_ways, load_both("framing"), load_both("frame_writer"))
    chance = random.Random(6455)
    failures = 0
    for _ in range(1500):
        data = bytearray()
        for _ in range(chance.randrange(1, 5)):
            payload = chance.randbytes(chance.choice([0, 3, 200]))
            data += random_frames(pure, chance, chance.choice([TEXT, BINARY]), payload)
        for _ in range(chance.choice([0, 0, 1, 3])):
            data[chance.randrange(len(data))] = chance.choice([0, 0x7E, 0x7F, 0x80, 0xFE, 0xFF, chance.randrange(256)])
        options = chance.choice([100, 250, LIMIT]), chance.random() < 0.5
        parsers = pure.FrameParser(*options), compiled.FrameParser(*options)
        for piece in random_pieces(chance, bytes(data)):
            assert parsers[0].feed(piece) == parsers[1].feed(piece)
            assert str(parsers[0].failure) == str(parsers[1].failure)
        if parsers[0].failure is not None:
            failures += 1
            assert parsers[0].failure.close_code == parsers[1].failure.close_code
    assert 200 < failures < 1300


def test_twins_agree_on_random_bytes(load_both: LoadBoth) -> None:
    pure, compiled = map(both_ways, load_both("framing"), load_both("frame_writer"))
    chance = random.Random(2011)
    for _ in range(5000):
        data = chance.randbytes(chance.randrange(40))
        parsers = pure.FrameParser(LIMIT, True), compiled.FrameParser(LIMIT, True)
        assert parsers[0].feed(data) == parsers[1].feed(data)
        assert str(parsers[0].failure) == str(parsers[1].failure)
        arguments = chance.randrange(16), chance.randbytes(chance.randrange(300)), chance.random() < 0.5
        assert pure.encode_frame(*arguments) == compiled.encode_frame(*arguments)
