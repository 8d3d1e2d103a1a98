"""
A stranger's message: JSON, envelope, command, filter.

Promised: nothing is raised but `RequestError`; the error can be written and is short, whatever was sent; twins say the
same, and so do the two ways to read a command; nothing nested deeper than the limit is read; a position, a filter and
an event's data survive being written and read again; and a filter that was taken never raises.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from attrs import astuple, frozen

from rtcore.errors import RequestError
from rtcore.hub.filters import compile_filter
from rtcore.values.commands import Publish, SetFilters, Subscribe
from rtcore.values.events import Event, check_event_type
from rtcore.values.limits import Limits
from rtcore.values.positions import Position
from tests.fuzz.reading import Reader
from tests.fuzz.stacks import Stack

__all__ = ["check"]

_LIMITS = (
    Limits(),
    Limits(
        channels_per_connection=2,
        filter_fields=2,
        filter_length=64,
        filter_text_length=8,
        filter_values=3,
        json_depth=4,
        replay_ranges=2,
        type_length=16,
    ),
)
_ERROR_BYTES = 4096
"""Longest `error` message: a stranger must not be able to make the server talk."""
_NOW = 1_700_000_000.0


@frozen
class _Told:
    """What became of one message."""

    message: tuple[Any, ...] | None = None
    command: object = None
    error: bytes = b""


def check(data: bytes, stacks: Sequence[Stack]) -> None:
    """Decode one message in every implementation."""
    reader = Reader(data)
    limits = _LIMITS[reader.octet() & 1]
    text = reader.rest()
    told = [_decode(stack, text, limits) for stack in stacks]
    for one, other in pairwise(told):
        assert one == other, "twins disagree"
    if told[0].message is not None:
        _check_message(text, told[0].message, limits)
    if told[0].command is not None:
        for stack in stacks:
            message = stack.envelope.decode_message(text, limits)
            assert told[0].command == stack.command_codec.decode_any(message, limits), "the short way reads another"
    _check_command(stacks, told[0].command, limits)


def _decode(stack: Stack, text: bytes, limits: Limits) -> _Told:
    message = None
    try:
        message = stack.envelope.decode_message(text, limits)
        command = stack.command_codec.decode_command(message, limits)
    except RequestError as error:
        written = _write_error(stack, error, None if message is None else message.id)
        return _Told(None if message is None else astuple(message, recurse=False), None, written)
    return _Told(astuple(message, recurse=False), command)


def _write_error(stack: Stack, error: RequestError, identifier: object) -> bytes:
    written: bytes = stack.envelope.encode_error(error, id=identifier, timestamp=_NOW)
    assert len(written) <= _ERROR_BYTES, f"an error of {len(written)} bytes"
    assert json.loads(written)["data"]["code"] == error.code.value
    return written


def _check_message(text: bytes, message: tuple[Any, ...], limits: Limits) -> None:
    name, data, identifier = message
    assert 0 < len(name) <= limits.type_length
    assert isinstance(data, dict)
    assert _depth(json.loads(text)) <= limits.json_depth, "nested deeper than the limit"
    assert identifier is None or len(str(identifier)) <= 128


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _check_command(stacks: Sequence[Stack], command: object, limits: Limits) -> None:
    if isinstance(command, Subscribe | SetFilters):
        _check_filter(stacks, command.where, limits)
    if isinstance(command, Subscribe) and command.since is not None:
        for position in command.since.positions.values():
            assert Position.parse(str(position)) == position
    if isinstance(command, Publish) and _is_event_type(command.type, limits):
        texts = {_write_event(stack, command) for stack in stacks}
        assert len(texts) == 1, "twins write another event"
        assert json.loads(texts.pop())["data"] == command.data


def _is_event_type(name: str, limits: Limits) -> bool:
    """What the hub asks before it writes an event."""
    try:
        check_event_type(name, limits.type_length)
    except ValueError:
        return False
    return True


def _write_event(stack: Stack, command: Publish) -> bytes:
    body = stack.envelope.encode_event_body(command.channel, command.type, command.data, _NOW, 7, command.key)
    event = Event(
        channel=command.channel, type=command.type, data=command.data, timestamp=_NOW, offset=7, epoch="e", body=body
    )
    written: bytes = stack.envelope.encode_event(event)
    return written


def _check_filter(stacks: Sequence[Stack], where: Any, limits: Limits) -> None:
    try:
        one, other = (compile_filter(where, limits) for _ in range(2))
    except RequestError as error:
        _write_error(stacks[0], error, None)
        return
    assert one == other
    assert hash(one) == hash(other)
    for name, channel, data in (("task", "tasks", {"a": {"b": [1, None]}}), ("x", "x:y", None), ("", "", where)):
        assert one.matches(name, channel, data) is other.matches(name, channel, data)
