"""The deflate wrapper, in both implementations and over both libraries."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from rtcore.errors import RemoteProtocolError

Both = Callable[[str], tuple[ModuleType, ModuleType]]

TEXTS = [
    b"",
    b"a",
    b"Hello",
    b'{"type":"task.progress","channel":"tasks","data":{"task_id":"t1","progress":40},"offset":42}',
    b'{"message":"' + b"over and over " * 300 + b'"}',
    bytes(range(256)) * 20,
    random.Random(1).randbytes(70_000),
    b"\x00" * 200_000,
]


@pytest.fixture
def module(load_twin: Callable[[str], ModuleType]) -> ModuleType:
    return load_twin("deflate")


@pytest.fixture(params=["igzip", "zlib"])
def library(request: pytest.FixtureRequest, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> str:
    """Compress with igzip, or as if it were not installed."""
    if request.param == "zlib":
        monkeypatch.setattr(module, "_igzip", None)
    else:
        pytest.importorskip("isal")
    return str(request.param)


def read(payload: bytes, window_bits: int = 15) -> bytes:
    """What a peer makes of one payload that it sees by itself."""
    return zlib.decompressobj(-window_bits).decompress(payload + b"\x00\x00\xff\xff")


def inflate(inflater: Any, payload: bytes, piece: int = 0) -> bytes:
    """Feed a payload whole, or in pieces of so many bytes."""
    step = piece or max(len(payload), 1)
    pieces = [inflater.feed(payload[start : start + step]) for start in range(0, len(payload), step)]
    return b"".join(pieces) + bytes(inflater.finish())


class TestMessageDeflater:
    @pytest.mark.parametrize("level", [-1, 0, 1, 6, 9])
    @pytest.mark.parametrize("window_bits", [8, 9, 12, 15])
    def test_every_message_can_be_read_by_itself(
        self, module: ModuleType, library: str, window_bits: int, level: int
    ) -> None:
        """Frames are shared: a connection that joins later has not seen the earlier ones. RFC 7692, section 7.1.1.1."""
        deflater = module.MessageDeflater(window_bits, level)
        for text in [*TEXTS, *TEXTS]:
            payload = deflater.compress(text)
            assert payload
            assert not payload.endswith(b"\x00\x00\xff\xff")
            assert read(payload, window_bits) == text

    def test_repetition_is_found_within_a_message(self, module: ModuleType, library: str) -> None:
        text = b"over and over " * 300
        assert len(module.MessageDeflater().compress(text)) < len(text) / 20

    def test_empty_message_is_one_octet(self, module: ModuleType, library: str) -> None:
        """Source: RFC 7692, section 7.2.3.6."""
        deflater = module.MessageDeflater()
        assert [deflater.compress(b""), deflater.compress(b"x") != b"", deflater.compress(b"")] == [
            b"\x00",
            True,
            b"\x00",
        ]

    def test_bytes_in_and_out_are_counted(self, module: ModuleType, library: str) -> None:
        deflater = module.MessageDeflater()
        payloads = [deflater.compress(text) for text in TEXTS]
        assert deflater.bytes_in == sum(map(len, TEXTS))
        assert deflater.bytes_out == sum(map(len, payloads))

    def test_message_that_failed_does_not_come_out_with_the_next(self, module: ModuleType, library: str) -> None:
        deflater = module.MessageDeflater()
        for wrong in ("text", 5, [b"x"]):
            with pytest.raises(TypeError):
                deflater.compress(wrong)
        assert read(deflater.compress(b"next")) == b"next"
        assert deflater.bytes_in == 4

    @pytest.mark.parametrize("window_bits", [7, 16, -15, 0])
    def test_window_outside_the_protocol_is_refused(self, module: ModuleType, window_bits: int) -> None:
        with pytest.raises(ValueError, match=f"window_bits must be 8 to 15, got {window_bits}"):
            module.MessageDeflater(window_bits)
        with pytest.raises(ValueError, match=f"window_bits must be 8 to 15, got {window_bits}"):
            module.MessageInflater(window_bits, False, 100)

    @pytest.mark.parametrize("level", [-2, 10])
    def test_level_that_no_library_has_is_refused(self, module: ModuleType, level: int) -> None:
        with pytest.raises(ValueError, match=f"level must be -1 to 9, got {level}"):
            module.MessageDeflater(15, level)


class TestMessageInflater:
    @pytest.mark.parametrize("piece", [0, 1, 3, 1000])
    @pytest.mark.parametrize("context_takeover", [False, True])
    def test_messages_come_out_whole_however_they_are_cut(
        self, module: ModuleType, context_takeover: bool, piece: int
    ) -> None:
        inflater = module.MessageInflater(15, context_takeover, 1 << 20)
        compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
        for text in [*TEXTS, *TEXTS]:
            if not context_takeover:
                compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
            payload = (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
            assert inflate(inflater, payload, piece) == text

    @pytest.mark.parametrize("window_bits", range(8, 16))
    def test_takeover_reaches_back_as_far_as_the_window(self, module: ModuleType, window_bits: int) -> None:
        inflater = module.MessageInflater(window_bits, True, 1 << 20)
        compressor = zlib.compressobj(9, zlib.DEFLATED, -max(window_bits, 9))
        chance = random.Random(window_bits)
        texts = [chance.randbytes(100) for _ in range(4)] + [chance.randbytes(40_000)]
        for _ in range(60):
            text = chance.choice(texts)
            payload = (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
            assert inflate(inflater, payload) == text

    def test_reference_to_an_older_message_is_refused_without_takeover(self, module: ModuleType) -> None:
        """The peer agreed to client_no_context_takeover; guessing what it meant is no option."""
        compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
        text = random.Random(3).randbytes(300)
        first, second = ((compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4] for _ in range(2))
        inflater = module.MessageInflater(15, False, 1000)
        assert inflate(inflater, first) == text
        with pytest.raises(RemoteProtocolError, match="not valid deflate data") as caught:
            inflate(inflater, second)
        assert caught.value.close_code == 1007

    @pytest.mark.parametrize(
        ("payload", "text"),
        [
            ("f2 48 cd c9 c9 07 00", b"Hello"),  # 7.2.3.1: one block
            ("f2 00 11 00 00", b"He"),  # 7.2.3.2, second message: the reference needs the first one
            ("00 05 00 fa ff 48 65 6c 6c 6f 00", b"Hello"),  # 7.2.3.3: stored
            ("f3 48 cd c9 c9 07 00 00", b"Hello"),  # 7.2.3.4: final block
            ("f2 48 05 00 00 00 ff ff ca c9 c9 07 00", b"Hello"),  # 7.2.3.5: two blocks
            ("00", b""),  # 7.2.3.6: empty
            ("02 00", b""),  # an empty block of the fixed code: what zlib makes of an empty message
            ("", b""),  # a second flush in a row says nothing, and some peers send just that
        ],
    )
    def test_examples_of_the_specification_are_understood(self, module: ModuleType, payload: str, text: bytes) -> None:
        """Source: RFC 7692, section 7.2.3."""
        data = bytes.fromhex(payload)
        if payload == "f2 00 11 00 00":
            inflater = module.MessageInflater(15, True, 100)
            assert inflate(inflater, bytes.fromhex("f2 48 cd c9 c9 07 00")) == b"Hello"
            assert inflate(inflater, data) == b"Hello"
            return
        for piece in (0, 1):
            for context_takeover in (False, True):
                inflater = module.MessageInflater(15, context_takeover, 100)
                assert inflate(inflater, data, piece) == text
                assert inflate(inflater, data, piece) == text

    def test_data_after_a_final_block_may_refer_to_what_went_before(self, module: ModuleType) -> None:
        text = b"abcdefgh" * 20
        first = zlib.compressobj(9, zlib.DEFLATED, -15)
        second = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=text)
        payload = first.compress(text) + first.flush(zlib.Z_FINISH)
        payload += (second.compress(text) + second.flush(zlib.Z_SYNC_FLUSH))[:-4]
        for piece in (0, 1, 5):
            assert inflate(module.MessageInflater(15, False, 1000), payload, piece) == text * 2

    @pytest.mark.parametrize("excess", [1, 2, 1000, 10_000_000])
    @pytest.mark.parametrize("limit", [0, 1, 125, 65_536])
    def test_message_over_the_limit_is_refused_and_never_inflated(
        self, module: ModuleType, limit: int, excess: int
    ) -> None:
        """A bomb of 10 kB stands for 10 MB: what counts is what it would become, and it never becomes that."""
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
        payload = (compressor.compress(bytes(limit + excess)) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        inflater = module.MessageInflater(15, False, limit)
        with pytest.raises(RemoteProtocolError, match=f"exceeds message_bytes={limit}") as caught:
            inflate(inflater, payload)
        assert caught.value.close_code == 1009
        assert inflater.bytes_out <= limit

    @pytest.mark.parametrize("limit", [0, 1, 125, 65_536])
    def test_limit_itself_is_allowed_and_counts_for_each_message(self, module: ModuleType, limit: int) -> None:
        inflater = module.MessageInflater(15, True, limit)
        for _ in range(3):
            compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
            payload = (compressor.compress(bytes(limit)) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
            assert inflate(inflater, payload) == bytes(limit)

    def test_limit_holds_over_the_pieces_of_a_message(self, module: ModuleType) -> None:
        inflater = module.MessageInflater(15, False, 5)
        assert inflater.feed(bytes.fromhex("00 05 00 fa ff 48 65 6c 6c 6f")) == b"Hello"
        with pytest.raises(RemoteProtocolError, match="exceeds"):
            inflater.feed(bytes.fromhex("00 01 00 fe ff 21 00"))

    def test_negative_limit_is_refused(self, module: ModuleType) -> None:
        with pytest.raises(ValueError, match="maximum_bytes must be at least 0, got -1"):
            module.MessageInflater(15, False, -1)

    @pytest.mark.parametrize(
        "payload",
        [
            "ff",
            "07 00",
            "f2 48 cd c9",
            "00 05 00 fa ff 48 65",
            "f2 48 cd c9 c9",
            "00 05 00 00 00",
            "f3 48 cd c9 c9 07 00",
        ],
    )
    @pytest.mark.parametrize("context_takeover", [False, True])
    def test_data_that_is_broken_or_cut_short_is_refused(
        self, module: ModuleType, payload: str, context_takeover: bool
    ) -> None:
        inflater = module.MessageInflater(15, context_takeover, 1000)
        with pytest.raises(RemoteProtocolError, match=r"deflate|inside a block") as caught:
            inflate(inflater, bytes.fromhex(payload))
        assert caught.value.close_code == 1007

    def test_final_blocks_without_end_are_refused(self, module: ModuleType) -> None:
        """Each makes a new stream and copies the rest: a megabyte of them would take minutes."""
        inflater = module.MessageInflater(15, False, 1 << 20)
        with pytest.raises(RemoteProtocolError, match="over 64 final blocks") as caught:
            inflater.feed(bytes.fromhex("03 00") * 100)
        assert caught.value.close_code == 1007

    def test_bytes_in_and_out_are_counted(self, module: ModuleType) -> None:
        inflater = module.MessageInflater(15, False, 1000)
        inflate(inflater, bytes.fromhex("f2 48 cd c9 c9 07 00"))
        assert (inflater.bytes_in, inflater.bytes_out) == (7, 5)


@pytest.mark.parametrize("seed", range(10))
def test_twins_agree_on_random_messages(load_both: Both, seed: int) -> None:
    chance = random.Random(seed)
    pure, compiled = load_both("deflate")
    window_bits, level, takeover = chance.randint(8, 15), chance.randint(-1, 9), chance.random() < 0.5
    deflaters = [module.MessageDeflater(window_bits, level) for module in (pure, compiled)]
    inflaters = [module.MessageInflater(window_bits, takeover, 100_000) for module in (pure, compiled)]
    for _ in range(100):
        size = chance.choice([0, 1, 50, 300, 5000, 100_000])
        text = chance.randbytes(size) if chance.random() < 0.5 else b"ab" * (size // 2)
        payloads = {deflater.compress(text) for deflater in deflaters}
        assert len(payloads) == 1
        payload, piece = payloads.pop(), chance.choice([0, 1, 100, 4096]) if len(text) < 10_000 else 0
        assert [inflate(inflater, payload, piece) for inflater in inflaters] == [text, text]


@pytest.mark.parametrize("seed", range(10))
def test_twins_agree_on_damaged_messages(load_both: Both, seed: int) -> None:
    """The same bytes, or the same error with the same code: a peer cannot tell which twin it talks to."""
    chance = random.Random(seed)
    pure, compiled = load_both("deflate")
    deflater = pure.MessageDeflater(15, chance.randint(0, 9))

    def outcome(module: ModuleType, payload: bytes, piece: int, takeover: bool) -> object:
        inflater = module.MessageInflater(15, takeover, 300)
        try:
            return inflate(inflater, payload, piece), inflater.bytes_in, inflater.bytes_out
        except RemoteProtocolError as error:
            return str(error), error.close_code, inflater.bytes_in, inflater.bytes_out

    for _ in range(300):
        payload = bytearray(deflater.compress(b"some words " * chance.randint(1, 30)))
        for _ in range(chance.randint(0, 3)):
            payload[chance.randrange(len(payload))] = chance.randrange(256)
        case = bytes(payload[: chance.randint(0, len(payload))]), chance.choice([0, 1, 7]), chance.random() < 0.5
        assert outcome(pure, *case) == outcome(compiled, *case)
