"""The envelope: what is read strictly, what is passed over, and how each message is written."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.results import Range
from rtcore.protocol.envelope import (
    REQUEST_ID_LENGTH,
    decode_message,
    decode_object,
    embedded_event,
    encode_dropped,
    encode_error,
    encode_event,
    encode_event_body,
    encode_reply,
    request_id,
)
from rtcore.protocol.json_codec import json_depth_exceeds, json_dumps
from rtcore.values.events import Event, Lane
from rtcore.values.limits import Limits
from rtcore.values.positions import Position

LIMITS = Limits()
MOMENT = 1_736_942_400.123

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


def refused(text: bytes, limits: Limits = LIMITS) -> RequestError:
    with pytest.raises(RequestError) as caught:
        decode_message(text, limits)
    return caught.value


def test_message_is_read() -> None:
    message = decode_message(b'{"type":"subscribe","data":{"channels":["a"]},"id":"7"}', LIMITS)
    assert (message.type, message.data, message.id) == ("subscribe", {"channels": ["a"]}, "7")


def test_data_may_be_left_out_or_null() -> None:
    assert decode_message(b'{"type":"heartbeat"}', LIMITS).data == {}
    assert decode_message(b'{"type":"heartbeat","data":null}', LIMITS).data == {}


def test_unknown_envelope_keys_are_passed_over() -> None:
    """A client may be newer than the server."""
    message = decode_message(b'{"type":"heartbeat","timestamp":"whenever","trace":[1]}', LIMITS)
    assert message.type == "heartbeat"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (b"", None),
        (b"{", None),
        (b"nonsense", None),
        (b"[]", None),
        (b'"text"', None),
        (b"1", None),
        (b"null", None),
        (b'{"type":"a"} ' + b"{}", None),
        (b'\xef\xbb\xbf{"type":"a"}', None),
        (b'{"type":"\xff"}', None),
        (b'{"type":"\\ud800"}', None),
        (b'{"type":"a","data":{"x":NaN}}', None),
        (b'{"type":"a","data":{"x":Infinity}}', None),
        (b'{"type":"a","data":{"x":1e999}}', None),
        (b'{"type":"a","data":{"x":01}}', None),
        (b'{"type":"a","data":{"x":1,}}', None),
        (b"{'type':'a'}", None),
        (b"{}", "type"),
        (b'{"data":{}}', "type"),
        (b'{"type":1}', "type"),
        (b'{"type":null}', "type"),
        (b'{"type":""}', "type"),
        (b'{"type":"' + b"a" * 129 + b'"}', "type"),
        (b'{"type":"a","data":[]}', "data"),
        (b'{"type":"a","data":"x"}', "data"),
        (b'{"type":"a","data":0}', "data"),
        (b'{"type":"a","data":false}', "data"),
        (b'{"type":"a","id":true}', "id"),
        (b'{"type":"a","id":1.5}', "id"),
        (b'{"type":"a","id":[]}', "id"),
        (b'{"type":"a","id":"' + b"x" * 129 + b'"}', "id"),
        (b'{"type":"a","id":99999999999999999999}', "id"),
    ],
)
def test_malformed_message_is_refused_with_its_field(text: bytes, field: str | None) -> None:
    error = refused(text)
    assert error.code is ErrorCode.MALFORMED
    assert error.field == field
    assert not error.transient


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [
        ("a", "a"),
        ("", ""),
        (0, 0),
        (-5, -5),
        (2**64 - 1, 2**64 - 1),
        (None, None),
        (True, None),
        ({}, None),
        ("x" * 128, "x" * 128),
    ],
)
def test_id_is_text_or_a_whole_number(given_id: Any, expected: object) -> None:
    assert request_id({"id": given_id}) == expected


def test_id_is_readable_when_the_rest_is_not() -> None:
    """So that the error finds its request."""
    assert request_id(decode_object(b'{"type":5,"id":"r1"}', LIMITS)) == "r1"


def test_of_equal_keys_the_last_counts() -> None:
    """RFC 8259, section 4, leaves it open; documented."""
    assert decode_message(b'{"type":"a","type":"b"}', LIMITS).type == "b"


def test_whole_number_beyond_64_bits_becomes_a_double() -> None:
    value = decode_object(b'{"n":18446744073709551616}', LIMITS)["n"]
    assert isinstance(value, float)
    assert value == 2.0**64


# Depth


def test_depth_is_counted_from_the_outermost_object() -> None:
    limits = Limits(json_depth=3)
    assert decode_object(b'{"a":{"b":[]}}', limits)
    assert refused(b'{"type":"a","data":{"b":[[]]}}', limits).code is ErrorCode.TOO_DEEP


def test_brackets_inside_text_are_no_depth() -> None:
    limits = Limits(json_depth=2)
    text = json.dumps({"type": "a", "data": {"s": '[[[[{{{{"[[[\\'}}).encode()
    assert decode_message(text, limits).data["s"] == '[[[[{{{{"[[[\\'


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 1_000_000,
        b"[" * 500_000 + b"]" * 500_000,
        b'{"a":' * 200_000,
        b'{"type":"a","data":' + b"[{}," * 100_000,
        b'{"x":"' + b'\\"' * 400_000,
        b'"' * 999_999,
        b"]" * 1_000_000,
        b'{"type":"a","data":{"x":[' + b"[]," * 300_000,
    ],
)
def test_hostile_nesting_is_refused_without_recursion(text: bytes) -> None:
    """Also text that never ends, and escapes that would make a scan start again at every quote."""
    assert refused(text).code in (ErrorCode.TOO_DEEP, ErrorCode.MALFORMED)


@given(JSON)
def test_depth_is_that_of_the_value(value: object) -> None:
    def depth(each: object) -> int:
        if isinstance(each, dict):
            each = list(each.values())
        return 1 + max(map(depth, each), default=0) if isinstance(each, list) else 0

    text = json_dumps(value)
    assert not json_depth_exceeds(text, max(depth(value), 0))
    if depth(value):
        assert json_depth_exceeds(text, depth(value) - 1)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    with suppress(RequestError):
        decode_message(text, LIMITS)


# Writing


def event(**changes: Any) -> Event:
    fields: dict[str, Any] = {
        "channel": "tasks",
        "type": "task.progress",
        "data": {"progress": 40},
        "timestamp": MOMENT,
        "offset": 42,
        "epoch": "0a1b2c",
        "key": None,
    } | changes
    body = encode_event_body(
        fields["channel"], fields["type"], fields["data"], fields["timestamp"], fields["offset"], fields["key"]
    )
    return Event(body=body, **fields)


def test_event_is_written_with_its_position_last() -> None:
    assert encode_event(event()) == (
        b'{"type":"task.progress","channel":"tasks","data":{"progress":40},"timestamp":"2025-01-15T12:00:00.123Z",'
        b'"offset":42,"position":"0a1b2c-42"}'
    )


def test_event_tells_its_key_and_what_it_stands_for() -> None:
    message = json.loads(encode_event(event(key="cpu"), Position("0a1b2c", 42, 40, 42), 3))
    assert (message["key"], message["conflated"], message["position"]) == ("cpu", 3, "0a1b2c-42.40.42")


@given(JSON)
def test_event_data_survives(data: Any) -> None:
    message = json.loads(encode_event(event(data=data)))
    assert message["data"] == data


@pytest.mark.parametrize(
    "data",
    [
        {1: "a"},
        {"a": {2}},
        b"bytes",
        object(),
        2**64,
        -(2**63) - 1,
        "\ud800",
        {"\udfff": 1},
        datetime.now(tz=UTC),
        math.nan,
        [math.inf],
        {"a": (1, {"b": -math.inf})},
    ],
)
def test_data_that_json_cannot_carry_is_refused(data: Any) -> None:
    """A publisher hears of it; a client never gets a `null` that nobody wrote."""
    with pytest.raises(RequestError) as caught:
        event(data=data)
    assert (caught.value.code, caught.value.field) == (ErrorCode.MALFORMED, "data")


def test_data_nested_without_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RequestError):
        event(data=endless)


def test_path_to_what_is_not_a_number_is_named() -> None:
    with pytest.raises(RequestError, match=r"\$\.a\[1\]\.b"):
        json_dumps({"a": [None, {"b": math.nan}]})


def test_null_and_tuples_are_data() -> None:
    assert json.loads(encode_event(event(data={"a": None, "b": (1, 2)})))["data"] == {"a": None, "b": [1, 2]}


def test_key_that_is_not_text_for_the_wire_names_the_key() -> None:
    with pytest.raises(RequestError) as caught:
        event(key="\ud800")
    assert caught.value.field == "data.key"


def test_reply_carries_the_id_and_the_time() -> None:
    assert encode_reply("acked", {"positions": {}}, id=7, timestamp=MOMENT) == (
        b'{"type":"acked","id":7,"data":{"positions":{}},"timestamp":"2025-01-15T12:00:00.123Z"}'
    )
    assert b'"id"' not in encode_reply("welcome", {}, timestamp=MOMENT)
    assert b'"id":""' in encode_reply("acked", {}, id="", timestamp=MOMENT)


def test_embedded_event_is_the_same_text() -> None:
    message = encode_reply("replayed", {"events": [embedded_event(event())]}, timestamp=MOMENT)
    assert encode_event(event()) in message
    assert json.loads(message)["data"]["events"][0]["offset"] == 42


def test_error_says_all_that_a_client_may_know() -> None:
    error = RequestError(ErrorCode.RATE, "too fast", retry_after=0.5, field="x")
    message = json.loads(encode_error(error, id="r", timestamp=MOMENT))
    assert message["id"] == "r"
    assert message["data"] == {
        "code": "limit.rate",
        "message": "too fast",
        "transient": True,
        "retry_after": 0.5,
        "field": "x",
    }


def test_dropped_names_each_range_and_kind() -> None:
    ranges = [(Range(lane=Lane.NORMAL, first=3, last=9), 4), (Range(lane=Lane.LOW, first=1, last=8), 3)]
    types = {"task.status": 4, "tool.output": 3}
    message = json.loads(encode_dropped("tasks", types, ranges, Position.at("e", 9), 2, timestamp=MOMENT))
    assert message["data"] == {
        "channel": "tasks",
        "count": 7,
        "types": types,
        "ranges": [
            {"lane": "normal", "from": 3, "to": 9, "count": 4},
            {"lane": "low", "from": 1, "to": 8, "count": 3},
        ],
        "conflated": 2,
        "position": "e-9",
    }


def test_longest_id_is_as_documented() -> None:
    assert decode_message(json.dumps({"type": "a", "id": "x" * REQUEST_ID_LENGTH}).encode(), LIMITS).id
