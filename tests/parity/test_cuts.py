"""
Streams of five messages, cut at every byte: twins agree piece by piece, and what comes out does not depend on the cuts.

The messages are text and binary, fragmented, compressed, masked, with control frames between and within them.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest

from rtcore.errors import RemoteProtocolError
from tests.fuzz.message_streams import MessageStream, Part, join_part, make_stream

Both = Callable[[str], tuple[ModuleType, ModuleType]]

LIMIT = 1000
SEEDS = range(8)
DAMAGE = (0x00, 0x80, 0xA0, 0xC3, 0xFF)
TEXTS = [
    "plain",
    "né à ü ÿ",
    "\u0800\ud7ff\ue000\uffff",
    "\U00010000🎉\U0010ffff",
    "mixed: é \u20ac 🎉, eight of ASCII: 12345678",
]


def pieces_of(data: bytes) -> Iterator[Sequence[bytes]]:
    """The stream in two pieces, at every byte; and byte by byte."""
    for cut in range(len(data) + 1):
        yield data[:cut], data[cut:]
    yield [data[index : index + 1] for index in range(len(data))]


def damaged(data: bytes) -> Iterator[bytes]:
    """The stream with one byte changed, at every place."""
    for index in range(len(data)):
        for octet in DAMAGE:
            yield data[:index] + bytes((octet,)) + data[index + 1 :]


def stream_of(module: ModuleType, seed: int) -> MessageStream:
    octets = random.Random(seed).randbytes(300)
    return make_stream(module.encode_frame, octets, 5, 9 + seed % 7, takeover=seed % 2 == 0)


def joined(parts: Iterable[Part]) -> list[Part]:
    whole: list[Part] = []
    for part in parts:
        join_part(whole, part)
    return whole


def parse(pure: ModuleType, compiled: ModuleType, pieces: Iterable[bytes]) -> tuple[list[Part], object]:
    """What both parsers make of these pieces, and how they failed."""
    parsers = [module.FrameParser(LIMIT, compression=True) for module in (pure, compiled)]
    parts: list[Part] = []
    for piece in pieces:
        one, other = (parser.feed(piece) for parser in parsers)
        assert one == other
        parts += one
        assert str(parsers[0].failure) == str(parsers[1].failure)
    failure = parsers[0].failure
    return joined(parts), None if failure is None else (failure.close_code, str(failure))


@pytest.mark.parametrize("seed", SEEDS)
def test_frames_cut_at_every_byte_give_the_parts_that_were_sent(load_both: Both, seed: int) -> None:
    pure, compiled = load_both("framing")
    stream = stream_of(load_both("frame_writer")[0], seed)
    assert stream_of(load_both("frame_writer")[1], seed) == stream
    for pieces in pieces_of(stream.octets):
        assert parse(pure, compiled, pieces) == (stream.parts, None)


def test_frames_cut_twice_give_the_parts_that_were_sent(load_both: Both) -> None:
    """Every pair of cuts: a header, a control frame or a payload in three pieces."""
    pure, compiled = load_both("framing")
    octets = random.Random(5).randbytes(40)
    stream = make_stream(load_both("frame_writer")[0].encode_frame, octets, 3, 15, takeover=True)
    assert len({opcode for opcode, *_ in stream.parts}) > 1
    data = stream.octets
    for second in range(len(data) + 1):
        for first in range(second + 1):
            pieces = data[:first], data[first:second], data[second:]
            assert parse(pure, compiled, pieces) == (stream.parts, None)


@pytest.mark.parametrize("seed", range(3))
def test_frames_with_a_wrong_byte_fail_in_the_same_way_whatever_the_cut(load_both: Both, seed: int) -> None:
    pure, compiled = load_both("framing")
    failures = set()
    for data in damaged(stream_of(load_both("frame_writer")[0], seed).octets):
        whole = parse(pure, compiled, [data])
        cut = seed % 3 + len(data) // 3
        assert parse(pure, compiled, (data[:cut], data[cut:])) == whole
        assert parse(pure, compiled, [data[index : index + 1] for index in range(len(data))]) == whole
        failures.add(whole[1])
    assert len(failures) > 3


def check_text(pure: ModuleType, compiled: ModuleType, pieces: Iterable[bytes]) -> tuple[bool, bool]:
    """Whether both validators take these pieces, and whether they end with a character."""
    validators = pure.Utf8Validator(), compiled.Utf8Validator()
    accepted = complete = True
    for piece in pieces:
        one, other = (validator.feed(piece) for validator in validators)
        assert one is other
        accepted = one
        complete = validators[0].complete
        assert complete is validators[1].complete
    return accepted, complete


def test_text_cut_at_every_byte_is_valid_and_whole(load_both: Both) -> None:
    pure, compiled = load_both("utf8")
    for text in [*TEXTS, "".join(TEXTS)]:
        for pieces in pieces_of(text.encode()):
            assert check_text(pure, compiled, pieces) == (True, True)


def test_text_with_a_wrong_byte_is_refused_at_the_same_byte_by_both(load_both: Both) -> None:
    """Fed byte by byte both are compared after each; Python's own decoder says what is right."""
    pure, compiled = load_both("utf8")
    for data in damaged("".join(TEXTS).encode()):
        try:
            data.decode()
            valid = True
        except UnicodeDecodeError:
            valid = False
        for pieces in ([data], [data[index : index + 1] for index in range(len(data))]):
            accepted, complete = check_text(pure, compiled, pieces)
            assert (accepted and complete) is valid


def compressed_messages(window_bits: int, takeover: bool) -> list[tuple[bytes, bytes]]:
    """Five messages and their payloads: text, empty, repetitive, random, and one that ends in a final block."""
    chance = random.Random(window_bits)
    texts = [TEXTS[4].encode(), b"", b"over and over " * 9, chance.randbytes(60), TEXTS[4].encode()]
    compressor = zlib.compressobj(9, zlib.DEFLATED, -window_bits)
    messages = []
    for number, text in enumerate(texts):
        if not takeover:
            compressor = zlib.compressobj(9, zlib.DEFLATED, -window_bits)
        if number == len(texts) - 1:
            # What follows a final block is an empty stored one. Source: RFC 7692, section 7.2.3.4.
            payload = compressor.compress(text) + compressor.flush(zlib.Z_FINISH) + b"\x00"
        else:
            payload = (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        messages.append((text, payload))
    return messages


def inflate(inflaters: Sequence[Any], pieces: Iterable[bytes]) -> bytes | tuple[int, str]:
    """One message from both, compared piece by piece; or the close code and the reason that both give."""
    told: list[list[bytes | tuple[int, str]]] = [[], []]
    for inflater, outputs in zip(inflaters, told, strict=True):
        try:
            outputs += [inflater.feed(piece) for piece in pieces]
            outputs.append(inflater.finish())
        except RemoteProtocolError as error:
            outputs[:] = [(error.close_code, str(error))]
    assert told[0] == told[1]
    assert inflaters[0].bytes_out == inflaters[1].bytes_out
    failed = told[0][0]
    return failed if isinstance(failed, tuple) else b"".join(each for each in told[0] if isinstance(each, bytes))


@pytest.mark.parametrize("takeover", [False, True])
@pytest.mark.parametrize("window_bits", [9, 12, 15])
def test_compressed_messages_cut_at_every_byte_come_out_whole(
    load_both: Both, window_bits: int, takeover: bool
) -> None:
    """Each message at each cut, in the same connection: what the one before left over must not matter."""
    messages = compressed_messages(window_bits, takeover)
    for number in range(max(len(payload) for _, payload in messages) + 1):
        inflaters = [module.MessageInflater(window_bits, takeover, LIMIT) for module in load_both("deflate")]
        for text, payload in messages:
            cut = min(number, len(payload))
            assert inflate(inflaters, (payload[:cut], payload[cut:])) == text
    inflaters = [module.MessageInflater(window_bits, takeover, LIMIT) for module in load_both("deflate")]
    for text, payload in messages:
        assert inflate(inflaters, [payload[index : index + 1] for index in range(len(payload))]) == text


def test_compressed_messages_with_a_wrong_byte_are_taken_or_refused_by_both(load_both: Both) -> None:
    modules = load_both("deflate")
    for _, payload in compressed_messages(15, takeover=False):
        for data in damaged(payload):
            whole = inflate([module.MessageInflater(15, False, LIMIT) for module in modules], [data])
            single = [data[index : index + 1] for index in range(len(data))]
            cut = inflate([module.MessageInflater(15, False, LIMIT) for module in modules], single)
            assert cut == whole or (isinstance(cut, tuple) and isinstance(whole, tuple))
