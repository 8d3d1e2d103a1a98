"""The short way to read a command agrees with the long one, which alone says what is wrong."""

from __future__ import annotations

import random
from typing import Any

import pytest

from rtcore.errors import RequestError
from rtcore.protocol.command_codec import decode_any, decode_command
from rtcore.protocol.envelope import IncomingMessage
from rtcore.protocol.usual_commands import decode_usual
from rtcore.values.commands import Command, Heartbeat, Publish, Subscribe, Unsubscribe
from rtcore.values.events import Lane
from rtcore.values.limits import Limits

LIMITS = Limits(channels_per_connection=3)
PUBLISH: dict[str, Any] = {"channel": "a:1", "type": "t", "data": None}
USUAL: list[tuple[str, dict[str, Any], Command]] = [
    ("heartbeat", {}, Heartbeat()),
    ("connection.heartbeat", {"anything": [1]}, Heartbeat()),
    ("publish", PUBLISH, Publish("a:1", "t", None)),  # type: ignore[arg-type]  # checked text is text
    ("publish", PUBLISH | {"data": {"b": [1]}}, Publish("a:1", "t", {"b": [1]})),  # type: ignore[arg-type]
    ("publish", PUBLISH | {"lane": "low"}, Publish("a:1", "t", None, Lane.LOW)),  # type: ignore[arg-type]
    ("publish", PUBLISH | {"key": "k", "lane": None}, Publish("a:1", "t", None, None, "k")),  # type: ignore[arg-type]
    ("subscribe", {"channels": ["a", "b:2"]}, Subscribe(("a", "b:2"))),  # type: ignore[arg-type]
    ("unsubscribe", {"channels": ["a"]}, Unsubscribe(("a",))),  # type: ignore[arg-type]
]
ODD_VALUES: list[Any] = [
    *(None, True, 0, 1.5, "", "a", "a:1", "high", "HIGH", "-a", "a" * 255, "a" * 256, "ä", "a b", "a\n"),
    *([], ["a"], ["a", "b", "c"], ["a", "b", "c", "d"], ["a", 1], ["a", "-"], [["a"]], {}, {"a": 1}),
]
ODD_KEYS = ["channel", "channels", "type", "data", "lane", "key", "where", "since", "batch", "ranges", "foreign"]


def told(decode: Any, message: IncomingMessage) -> object:
    """The command, or everything that a client would be told instead."""
    try:
        return decode(message, LIMITS)
    except RequestError as error:
        return error.code, error.message, error.field


@pytest.mark.parametrize(("name", "data", "expected"), USUAL)
def test_what_comes_most_is_read_the_short_way(name: str, data: dict[str, Any], expected: Command) -> None:
    assert decode_usual(name, data, LIMITS) == expected
    assert decode_any(IncomingMessage(name, data), LIMITS) == expected


@pytest.mark.parametrize("seed", range(40))
def test_both_ways_tell_the_same_of_anything(seed: int) -> None:
    """Fields that are taken away, added, or of any other kind and size."""
    choice = random.Random(seed)
    for _ in range(250):
        name, usual, _ = choice.choice(USUAL)
        data = dict(usual)
        for _ in range(choice.randrange(4)):
            key = choice.choice([*data, *ODD_KEYS])
            if choice.random() < 0.3:
                data.pop(key, None)
            else:
                data[key] = choice.choice(ODD_VALUES)
        message = IncomingMessage(name, data)
        assert told(decode_command, message) == told(decode_any, message), data
