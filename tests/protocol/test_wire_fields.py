"""Fields that are declared once are read strictly, and every fault is named by its path and limit."""

from __future__ import annotations

import math
from typing import Any

import pytest
from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.protocol.wire_fields import (
    any_json,
    channel_name,
    flag,
    items,
    nested,
    number,
    one_of,
    read_object,
    table,
    text,
    whole_number,
    wire,
)


@frozen(kw_only=True)
class Place:
    page: str = wire(text(5))


@frozen(kw_only=True)
class Request:
    name: str = wire(text(3))
    session_id: str | None = wire(text(9, least=0), name="sessionId", default=None)
    kind: str = wire(one_of("a", "b"), default="a")
    count: int = wire(whole_number(1, 9), default=1)
    share: float = wire(number(0, 1), default=0.0)
    seconds: float = wire(number(0), default=0.0)
    loud: bool = wire(flag, default=False)
    channel: str | None = wire(channel_name, default=None)
    data: Any = wire(any_json, default=None)
    tags: tuple[str, ...] = wire(items(text(3), 2), default=())
    counts: dict[str, int] = wire(table(whole_number(0, 5), 2), factory=dict)
    place: Place | None = wire(nested(Place), default=None)


def test_everything_that_fits_is_read() -> None:
    given = {
        "name": "n",
        "sessionId": "",
        "kind": "b",
        "count": 9,
        "share": 1,
        "seconds": 1e9,
        "loud": True,
        "channel": "a:b",
        "data": {"x": [1]},
        "tags": ["x", "y"],
        "counts": {"a": 0},
        "place": {"page": "p"},
    }
    read = read_object(given, Request)
    assert (read.name, read.session_id, read.kind, read.count, read.share) == ("n", "", "b", 9, 1.0)
    assert (read.seconds, read.loud, read.channel, read.data, read.tags) == (1e9, True, "a:b", {"x": [1]}, ("x", "y"))
    assert (read.counts, read.place) == ({"a": 0}, Place(page="p"))


def test_null_stands_for_a_field_left_out() -> None:
    assert read_object({"name": "n", "kind": None, "counts": None}, Request) == Request(name="n")


CHANNEL_NAME = (
    "channel name must be letters, digits, '_', '.', ':', '~' or '-', and begin with a letter or digit"
)


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        (3, None, "expected an object, got a number"),
        ([], None, "expected an object, got an array"),
        ({}, "name", "name: missing"),
        ({"name": None}, "name", "name: missing"),
        ({"name": 1}, "name", "name: expected text, got a number"),
        ({"name": ""}, "name", "name: expected 1 to 3 characters, got 0"),
        ({"name": "long"}, "name", "name: expected 1 to 3 characters, got 4"),
        ({"name": "n", "nmae": 1}, "nmae", "nmae: unknown field"),
        ({"name": "n", "nmae": None}, "nmae", "nmae: unknown field"),
        ({"name": "n", "session_id": "x"}, "session_id", "session_id: unknown field"),
        ({"name": "n", "sessionId": 1}, "sessionId", "sessionId: expected text, got a number"),
        ({"name": "n", "kind": "c"}, "kind", 'kind: expected one of a, b, got "c"'),
        ({"name": "n", "count": 0}, "count", "count: expected a whole number from 1 to 9, got 0"),
        ({"name": "n", "count": 1.0}, "count", "count: expected a whole number from 1 to 9, got 1.0"),
        ({"name": "n", "count": 1e20}, "count", "count: expected a whole number from 1 to 9, got 1e+20"),
        ({"name": "n", "count": "1"}, "count", 'count: expected a whole number from 1 to 9, got "1"'),
        ({"name": "n", "count": True}, "count", "count: expected a whole number from 1 to 9, got true"),
        ({"name": "n", "share": 2}, "share", "share: expected a number from 0 to 1, got 2"),
        ({"name": "n", "share": "1"}, "share", 'share: expected a number from 0 to 1, got "1"'),
        ({"name": "n", "seconds": -1}, "seconds", "seconds: expected a number of at least 0, got -1"),
        ({"name": "n", "seconds": math.inf}, "seconds", "seconds: expected a number of at least 0, got inf"),
        (
            {"name": "n", "seconds": 10**400},
            "seconds",
            "seconds: expected a number of at least 0, got a whole number of 1329 bits",
        ),
        ({"name": "n", "loud": 1}, "loud", "loud: expected true or false, got 1"),
        ({"name": "n", "channel": "a b"}, "channel", f'channel: {CHANNEL_NAME}, got "a b"'),
        ({"name": "n", "tags": "x"}, "tags", 'tags: expected an array, got text'),
        ({"name": "n", "tags": []}, "tags", "tags: expected 1 to 2 entries, got 0"),
        ({"name": "n", "tags": ["a", "b", "c"]}, "tags", "tags: expected 1 to 2 entries, got 3"),
        ({"name": "n", "tags": ["a", "long"]}, "tags[1]", "tags[1]: expected 1 to 3 characters, got 4"),
        ({"name": "n", "counts": []}, "counts", "counts: expected an object, got an array"),
        ({"name": "n", "counts": {"a": 1, "b": 1, "c": 1}}, "counts", "counts: expected at most 2 entries, got 3"),
        ({"name": "n", "counts": {"a": 9}}, "counts.a", "counts.a: expected a whole number from 0 to 5, got 9"),
        ({"name": "n", "place": 1}, "place", "place: expected an object, got a number"),
        ({"name": "n", "place": {"page": "toolong"}}, "place.page", "place.page: expected 1 to 5 characters, got 7"),
    ],
)
def test_every_fault_is_named(given: Any, field: str | None, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_object(given, Request)
    assert caught.value.field == field
    assert caught.value.message == message


@pytest.mark.parametrize("given", [5, 5.5, True, ["hunter2"], {"hunter2": 1}])
def test_what_stands_where_text_should_is_not_repeated(given: Any) -> None:
    """It may be a token or a key that was written in a wrong way."""
    with pytest.raises(RequestError, match=r"^name: expected text, got (a number|a boolean|an array|an object)$"):
        read_object({"name": given}, Request)


def test_path_of_the_whole_stands_first() -> None:
    with pytest.raises(RequestError, match=r"^data\.place\.page: missing$") as caught:
        read_object({"name": "n", "place": {}}, Request, path="data")
    assert caught.value.field == "data.place.page"


def test_a_name_of_the_clients_own_is_not_repeated_at_length() -> None:
    with pytest.raises(RequestError) as caught:
        read_object({"name": "n", "x" * 10_000: 1}, Request)
    assert len(caught.value.message) < 200


def test_too_much_has_a_code_of_its_own() -> None:
    with pytest.raises(RequestError) as caught:
        read_object({"name": "long"}, Request)
    assert caught.value.code is ErrorCode.TOO_LARGE
