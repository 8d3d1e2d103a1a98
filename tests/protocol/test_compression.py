"""Negotiation of permessage-deflate, and frames under what was agreed. Source: RFC 7692, sections 5 and 7."""

from __future__ import annotations

import threading
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore._fast import FrameParser, MessageInflater
from rtcore.protocol.compression import (
    CompressionLevel,
    CompressionParameters,
    CompressionSettings,
    Extension,
    MessageEncoder,
    accept_offer,
    negotiate_compression,
)

NAME = "permessage-deflate"
BASE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
DEFAULT = CompressionSettings()


def offer(*parameters: tuple[str, str | None]) -> Extension:
    return Extension(NAME, parameters)


ACCEPTED = [
    # The offer's parameters, the answer's, and the bits of server and client.
    ((), "", 15, 15),
    ((("server_no_context_takeover", None), ("client_no_context_takeover", None)), "", 15, 15),
    ((("server_max_window_bits", "10"),), "; server_max_window_bits=10", 10, 15),
    ((("server_max_window_bits", "15"),), "; server_max_window_bits=15", 15, 15),
    ((("client_max_window_bits", None),), "; client_max_window_bits=15", 15, 15),
    ((("client_max_window_bits", "11"),), "; client_max_window_bits=11", 15, 11),
    ((("client_max_window_bits", "8"),), "; client_max_window_bits=8", 15, 9),
    (
        (("client_max_window_bits", "9"), ("server_max_window_bits", "9")),
        "; client_max_window_bits=9; server_max_window_bits=9",
        9,
        9,
    ),
]


@pytest.mark.parametrize(("parameters", "answer", "server_bits", "client_bits"), ACCEPTED)
def test_an_offer_is_accepted(
    parameters: tuple[tuple[str, str | None], ...], answer: str, server_bits: int, client_bits: int
) -> None:
    accepted = accept_offer(offer(*parameters), DEFAULT)
    assert accepted is not None
    agreement, header = accepted
    assert header == BASE + answer
    assert (agreement.server_window_bits, agreement.client_window_bits) == (server_bits, client_bits)
    assert agreement.client_no_context_takeover


DECLINED = [
    (("server_max_window_bits", None),),
    (("server_max_window_bits", "8"),),
    (("server_max_window_bits", "7"),),
    (("server_max_window_bits", "16"),),
    (("server_max_window_bits", "010"),),
    (("server_max_window_bits", "+10"),),
    (("server_max_window_bits", "\u0661\u0660"),),
    (("client_max_window_bits", "7"),),
    (("client_max_window_bits", "16"),),
    (("client_max_window_bits", ""),),
    (("server_no_context_takeover", "1"),),
    (("client_no_context_takeover", "true"),),
    (("unknown", None),),
    (("Server_No_Context_Takeover", None),),
    (("server_no_context_takeover", None), ("server_no_context_takeover", None)),
    (("client_max_window_bits", None), ("client_max_window_bits", "10")),
]


@pytest.mark.parametrize("parameters", DECLINED)
def test_an_offer_is_declined(parameters: tuple[tuple[str, str | None], ...]) -> None:
    """RFC 7692, section 7.1: wrong values, unknown and repeated parameters; and 8 bits, which zlib cannot do."""
    assert accept_offer(offer(*parameters), DEFAULT) is None


def test_the_first_offer_that_can_be_taken_is_taken() -> None:
    offers = [
        Extension("x-webkit-deflate-frame"),
        offer(("server_max_window_bits", "8")),
        offer(("server_max_window_bits", "12")),
        offer(),
    ]
    agreed = negotiate_compression(offers, DEFAULT)
    assert agreed is not None
    assert agreed[0].server_window_bits == 12


@pytest.mark.parametrize("offers", [[], [Extension("bbf-usp-protocol")], [offer(("unknown", None))]])
def test_no_offer_that_can_be_taken_is_no_compression(offers: list[Extension]) -> None:
    assert negotiate_compression(offers, DEFAULT) is None


def test_level_none_agrees_to_nothing() -> None:
    assert negotiate_compression([offer()], CompressionSettings(level="none")) is None


def test_a_server_with_smaller_windows_says_so_where_the_client_lets_it() -> None:
    smaller = CompressionSettings(server_window_bits=11, client_window_bits=12)
    accepted = accept_offer(offer(("client_max_window_bits", None), ("server_max_window_bits", "14")), smaller)
    assert accepted is not None
    assert accepted[1] == BASE + "; client_max_window_bits=12; server_max_window_bits=11"
    assert (accepted[0].server_window_bits, accepted[0].client_window_bits) == (11, 12)
    accepted = accept_offer(offer(), smaller)
    assert accepted is not None
    assert accepted[1] == BASE + "; server_max_window_bits=11"
    assert accepted[0].client_window_bits == 15, "a client that did not offer it cannot be told its window"


@pytest.mark.parametrize("bits", [8, 16])
def test_windows_that_zlib_cannot_do_are_no_setting(bits: int) -> None:
    with pytest.raises(ValueError, match="server_window_bits"):
        CompressionSettings(server_window_bits=bits)


def decode(frame: bytes) -> tuple[int, bool, bytes]:
    parser = FrameParser(1 << 24, True, False)
    ((opcode, last, compressed, payload),) = parser.feed(frame)
    assert last
    return opcode, compressed, payload


@pytest.mark.parametrize("level", ["fast", "default", "best"])
@pytest.mark.parametrize("bits", [9, 12, 15])
def test_every_message_can_be_inflated_by_itself(level: str, bits: int) -> None:
    """Frames are shared by connections that have seen different messages before."""
    parameters = CompressionParameters(server_window_bits=bits, level=CompressionLevel(level))
    encoder = MessageEncoder(parameters)
    assert encoder.wire_encoding == bits
    message = b'{"type":"task.progress","data":{}}' * 100
    for text in (True, False):
        opcode, compressed, payload = decode(encoder.encode(message, text))
        assert (opcode, compressed) == (1 if text else 2, True)
        assert len(payload) < len(message) / 5
        assert zlib.decompressobj(-bits).decompress(payload + b"\x00\x00\xff\xff") == message


def test_messages_that_would_not_get_shorter_go_as_they_are() -> None:
    encoder = MessageEncoder(CompressionParameters())
    assert decode(encoder.encode(b"a" * 63)) == (1, False, b"a" * 63)
    noise = bytes(range(256))
    assert decode(encoder.encode(noise, text=False)) == (2, False, noise)
    assert MessageEncoder().encode(b"Hello") == b"\x81\x05Hello"
    assert MessageEncoder().wire_encoding is None


@settings(max_examples=50)
@given(messages=st.lists(st.binary(max_size=2000), max_size=4), bits=st.integers(9, 15))
def test_messages_survive_the_way_through_frames(messages: list[bytes], bits: int) -> None:
    encoder = MessageEncoder(CompressionParameters(server_window_bits=bits, minimum_bytes=0))
    inflater = MessageInflater(bits, False, 10_000)
    for message in messages:
        _, compressed, payload = decode(encoder.encode(message, text=False))
        assert message == (inflater.feed(payload) + inflater.finish() if compressed else payload)


def test_threads_do_not_share_a_deflater() -> None:
    """Two event loops in one process must not write into each other's streams."""
    message = bytes(range(256)) * 400
    results: list[bool] = []

    def work() -> None:
        encoder = MessageEncoder(CompressionParameters())
        frames = {encoder.encode(message, text=False) for _ in range(20)}
        results.append(len(frames) == 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4
