"""What an end of a connection means, as a table."""

from __future__ import annotations

import pytest

from rtcore.client.endings import judge_ending
from rtcore.errors import AuthenticationError, ConnectionClosed, ErrorCode, HandshakeRefused, RemoteProtocolError


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (ConnectionClosed(1000), False),
        (ConnectionClosed(1006), False),
        (ConnectionClosed(1012), False),
        (ConnectionClosed(4000), False),
        (ConnectionClosed(4242), False),
        (ConnectionClosed(1002), True),
        (ConnectionClosed(1008), True),
        (ConnectionClosed(4004), True),
        (ConnectionClosed(4005), True),
        (ConnectionClosed(4006), True),
        (HandshakeRefused(500, ""), False),
        (HandshakeRefused(502, ""), False),
        (HandshakeRefused(429, ""), False),
        (HandshakeRefused(401, ""), True),
        (HandshakeRefused(403, ""), True),
        (HandshakeRefused(404, ""), True),
        (HandshakeRefused(426, ""), True),
        (AuthenticationError("no"), True),
        (OSError("network is unreachable"), False),
        (RemoteProtocolError("nonsense"), False),
    ],
)
def test_ending_is_final_where_the_same_again_would_end_the_same_way(error: Exception, final: bool) -> None:
    assert (judge_ending(error, new_token_possible=False).final is not None) is final


def test_expired_token_is_no_end_where_a_new_one_can_be_had() -> None:
    assert judge_ending(ConnectionClosed(4005), new_token_possible=True).final is None
    expired = AuthenticationError("expired", code=ErrorCode.TOKEN_EXPIRED)
    assert judge_ending(expired, new_token_possible=True).final is None
    assert judge_ending(ConnectionClosed(4006), new_token_possible=True).final is not None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("Wed, 21 Oct 2015 07:28:00 GMT", None), ("-1", None), ("1e9", None), ("", None)],
)
def test_retry_after_is_read_in_its_form_of_seconds_only(value: str, seconds: float | None) -> None:
    refused = HandshakeRefused(503, "", headers=(("Retry-After", value),))
    assert judge_ending(refused, new_token_possible=False).retry_after == seconds


def test_hint_in_a_close_reason_is_read() -> None:
    ending = judge_ending(ConnectionClosed(1012, "restarting, retry after 2.5"), new_token_possible=False)
    assert ending.retry_after == 2.5
