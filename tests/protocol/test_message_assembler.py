"""Parts to messages: one buffer, text checked and data inflated as they come."""

from __future__ import annotations

import pytest

from rtcore._fast import MessageDeflater
from rtcore.errors import RemoteProtocolError
from rtcore.protocol.message_assembler import MessageAssembler

TEXT, BINARY = 1, 2


def assembler(*, compression: bool = False, context_takeover: bool = False, limit: int = 10_000) -> MessageAssembler:
    return MessageAssembler(
        inflater_bits=15 if compression else None, context_takeover=context_takeover, maximum_message_bytes=limit
    )


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_part_that_is_the_message_is_handed_on_without_a_copy(opcode: int) -> None:
    payload = b"Hello" * 20
    assert assembler().add(opcode, True, False, payload) is payload


def test_parts_are_joined_in_order_and_the_next_message_begins_anew() -> None:
    joiner = assembler()
    for _ in range(2):
        assert joiner.add(TEXT, False, False, b"Hel") is None
        assert joiner.buffered_bytes == 3
        assert joiner.add(TEXT, False, False, b"l") is None
        assert joiner.add(TEXT, True, False, b"o") == b"Hello"
        assert joiner.buffered_bytes == 0


def test_a_character_may_be_cut_between_parts() -> None:
    joiner = assembler()
    data = "a🎉é".encode()
    for octet in data[:-1]:
        assert joiner.add(TEXT, False, False, bytes((octet,))) is None
    assert joiner.add(TEXT, True, False, data[-1:]) == data


@pytest.mark.parametrize("parts", [[b"\xff"], [b"ok\xed", b"\xa0"], [b"", b"\xf4", b"\x90"]])
def test_text_fails_at_its_first_wrong_byte(parts: list[bytes]) -> None:
    """RFC 6455, section 8.1; not at the end of the frame, nor of the message."""
    joiner = assembler()
    for part in parts[:-1]:
        assert joiner.add(TEXT, False, False, part) is None
    with pytest.raises(RemoteProtocolError) as caught:
        joiner.add(TEXT, False, False, parts[-1])
    assert caught.value.close_code == 1007


@pytest.mark.parametrize("parts", [[b"\xe2\x82"], [b"a", b"\xe2"], [b"\xe2", b""]])
def test_text_that_ends_within_a_character_fails(parts: list[bytes]) -> None:
    joiner = assembler()
    for part in parts[:-1]:
        assert joiner.add(TEXT, False, False, part) is None
    with pytest.raises(RemoteProtocolError) as caught:
        joiner.add(TEXT, True, False, parts[-1])
    assert caught.value.close_code == 1007


def test_binary_data_need_not_be_text() -> None:
    joiner = assembler()
    assert joiner.add(BINARY, False, False, b"\xff") is None
    assert joiner.add(BINARY, True, False, b"\xfe") == b"\xff\xfe"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_compressed_parts_are_inflated_wherever_they_are_cut(size: int) -> None:
    message = "Hello, wörld! 🎉".encode() * 200
    payload = MessageDeflater(15, 6).compress(message)
    joiner = assembler(compression=True)
    for _ in range(2):
        pieces = [payload[start : start + size] for start in range(0, len(payload), size)]
        for piece in pieces:
            assert joiner.add(TEXT, False, True, piece) is None
        assert joiner.add(TEXT, True, True, b"") == message


def test_inflated_text_fails_before_its_message_ends() -> None:
    payload = MessageDeflater(15, 0).compress(b"ok" * 20 + b"\xff" + b"ok" * 1000)
    joiner = assembler(compression=True)
    with pytest.raises(RemoteProtocolError) as caught:
        joiner.add(TEXT, False, True, payload[:100])
    assert caught.value.close_code == 1007


def test_a_bomb_is_refused_at_the_limit() -> None:
    payload = MessageDeflater(15, 9).compress(bytes(10_000_000))
    joiner = assembler(compression=True)
    with pytest.raises(RemoteProtocolError) as caught:
        joiner.add(BINARY, False, True, payload)
    assert caught.value.close_code == 1009
    assert joiner.buffered_bytes == 0


def test_a_compressed_message_of_the_size_of_the_limit_is_taken() -> None:
    payload = MessageDeflater(15, 9).compress(bytes(10_000))
    assert assembler(compression=True).add(BINARY, True, True, payload) == bytes(10_000)


def test_a_compressed_message_needs_an_extension() -> None:
    with pytest.raises(RemoteProtocolError):
        assembler().add(BINARY, True, True, b"\x00")


def test_plain_and_compressed_messages_may_take_turns() -> None:
    """RFC 7692, section 6: each message says for itself."""
    joiner = assembler(compression=True, context_takeover=True)
    payload = MessageDeflater(15, 6).compress(b"Hello" * 100)
    for _ in range(2):
        assert joiner.add(TEXT, True, True, payload) == b"Hello" * 100
        assert joiner.add(TEXT, True, False, b"plain") == b"plain"
