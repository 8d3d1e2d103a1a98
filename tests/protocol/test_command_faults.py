"""What a command says of a value that it does not take: the value beside the limit, and never a token."""

from __future__ import annotations

from typing import Any

import pytest

from rtcore.errors import RequestError
from rtcore.protocol.command_codec import decode_command
from rtcore.protocol.envelope import IncomingMessage, decode_message
from rtcore.protocol.json_codec import json_dumps
from rtcore.values.limits import Limits

CHANNEL = "data.channels[0]: channel name must be letters, digits, '_', '.', ':', '~' or '-', and begin with"
PLACES = "position, offset, timestamp, seconds, last or positions"


@pytest.mark.parametrize(
    ("type", "data", "message"),
    [
        ("subscribe", {"channels": []}, "data.channels: expected an array of one or more channel names, got none"),
        (
            "subscribe",
            {"channels": {"a": 1}},
            "data.channels: expected an array of one or more channel names, got an object",
        ),
        ("subscribe", {"channels": {}}, "data.channels: expected an array of one or more channel names, got an object"),
        ("subscribe", {"channels": "a"}, 'data.channels: expected an array of one or more channel names, got "a"'),
        ("subscribe", {"channels": ["a b"]}, f'{CHANNEL} a letter or digit, got "a b"'),
        ("subscribe", {"channels": ["a"], "since": 5}, "data.since: expected a position or an object, got 5"),
        ("subscribe", {"channels": ["a"], "since": "x"}, 'data.since: not a position: "x"'),
        ("subscribe", {"channels": ["a"], "since": {}}, f"data.since: expected exactly one of {PLACES}, got 0"),
        (
            "subscribe",
            {"channels": ["a"], "since": {"last": -1}},
            "data.since.last: expected a number not below 0, got -1",
        ),
        (
            "subscribe",
            {"channels": ["a"], "since": {"last": "9"}},
            'data.since.last: expected a whole number, got "9"',
        ),
        (
            "subscribe",
            {"channels": ["a"], "since": {"timestamp": 7}},
            "data.since.timestamp: expected an RFC 3339 timestamp, got 7",
        ),
        ("subscribe", {"channels": ["a"], "batch": 7}, "data.batch: expected true or an object, got 7"),
        (
            "publish",
            {"channel": "a", "type": "t", "data": 1, "lane": "fast"},
            'data.lane: expected high, normal or low, got "fast"',
        ),
        ("replay", {"channel": "a", "ranges": []}, "data.ranges: expected an array of one or more ranges, got none"),
        ("ack", {"positions": ["a"]}, "data.positions: expected an object of positions by channel, got an array"),
        (
            "subscribe",
            {"channels": ["a"], "since": {"seconds": 10**400}},
            "data.since.seconds: expected a number, got a whole number of 1329 bits",
        ),
        (
            "subscribe",
            {"channels": ["a"], "since": {"seconds": float("inf")}},
            "data.since.seconds: expected a number, got inf",
        ),
        ("ack", {"positions": {}}, "data.positions: expected an object of positions by channel, got none"),
    ],
)
def test_fault_names_the_value_and_the_limit(type: str, data: Any, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_command(IncomingMessage(type, data), Limits())
    assert caught.value.message == message


@pytest.mark.parametrize("type", ["auth", "refresh"])
@pytest.mark.parametrize(
    "data", [{"token": ["hunter2"]}, {"token": {"hunter2": 1}}, {"token": 777_888_999}, "hunter2", ["hunter2"]]
)
def test_token_in_a_wrong_form_is_not_repeated(type: str, data: Any) -> None:
    """Errors are kept in logs of clients, where a token does not belong."""
    with pytest.raises(RequestError) as caught:
        decode_command(decode_message(json_dumps({"type": type, "data": data}), Limits()), Limits())
    assert "expected" in caught.value.message
    assert "hunter2" not in caught.value.message
    assert "777" not in caught.value.message


@pytest.mark.parametrize(
    ("id", "got"), [(1.5, "1.5"), (True, "true"), ([], "an array"), ("x" * 129, f'"{"x" * 60}"... (129 characters)')]
)
def test_id_that_cannot_be_is_repeated_in_short(id: Any, got: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_message(json_dumps({"type": "heartbeat", "id": id}), Limits())
    expected = "text of up to 128 characters or a whole number of 64 bits"
    assert caught.value.message == f"id: expected {expected}, got {got}"
