"""Payloads of close frames. Source: RFC 6455, sections 5.5.1 and 7.4."""

from __future__ import annotations

import pytest

from rtcore.errors import LocalProtocolError, RemoteProtocolError
from rtcore.protocol.closing import encode_close_payload, is_valid_close_code, parse_close_payload

VALID = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
INVALID = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535]

PAYLOADS = [
    (b"\x03\xe8", 1000, ""),
    (b"\x03\xe9going", 1001, "going"),
    (b"\x0f\xa0\xe2\x82\xac", 4000, "€"),
    (b"\x03\xe8" + b"a" * 123, 1000, "a" * 123),
    (b"", 1005, ""),
]


@pytest.mark.parametrize(("payload", "code", "reason"), PAYLOADS)
def test_payloads_are_read_and_written(payload: bytes, code: int, reason: str) -> None:
    assert parse_close_payload(payload) == (code, reason)
    assert encode_close_payload(code, reason) == payload


@pytest.mark.parametrize("code", VALID)
def test_a_code_of_the_wire_is_read_and_written(code: int) -> None:
    assert is_valid_close_code(code)
    assert parse_close_payload(encode_close_payload(code)) == (code, "")


@pytest.mark.parametrize("code", INVALID)
def test_a_code_that_must_not_be_sent_is_refused_in_both_directions(code: int) -> None:
    assert not is_valid_close_code(code)
    with pytest.raises(RemoteProtocolError) as caught:
        parse_close_payload(code.to_bytes(2, "big"))
    assert caught.value.close_code == 1002
    if code != 1005:
        with pytest.raises(LocalProtocolError):
            encode_close_payload(code)


@pytest.mark.parametrize(
    ("payload", "close_code"), [(b"\x03", 1002), (b"\x03\xe8\xff", 1007), (b"\x03\xe8\xe2\x82", 1007)]
)
def test_a_malformed_payload_is_refused(payload: bytes, close_code: int) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_close_payload(payload)
    assert caught.value.close_code == close_code


def test_a_reason_needs_a_code() -> None:
    with pytest.raises(LocalProtocolError):
        encode_close_payload(1005, "reason")


@pytest.mark.parametrize(("reason", "kept"), [("a" * 200, 123), ("€" * 100, 123), ("é" * 100, 122), ("🎉" * 100, 120)])
def test_a_long_reason_is_cut_at_the_end_of_a_character(reason: str, kept: int) -> None:
    payload = encode_close_payload(1000, reason)
    assert len(payload) == 2 + kept
    assert reason.startswith(parse_close_payload(payload)[1])


def test_half_a_surrogate_in_a_reason_does_not_keep_the_close_frame_from_leaving() -> None:
    assert encode_close_payload(1000, "a\ud800b") == b"\x03\xe8a?b"
