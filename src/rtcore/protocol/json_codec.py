"""
JSON text to values and back: the only place that names the JSON library.

What orjson does by itself is strict: text must be UTF-8 without a byte order mark, and NaN, Infinity, numbers beyond a
double and lone surrogates are errors in what is read. Three things are added here. Depth is bounded before anything
recursive sees the text. NaN and Infinity are refused in what is written, where orjson writes `null`. And dates and
dataclasses are refused too: a filter on a subscription in this process would see another value than a client gets.

What stays as the library has it: of equal keys of one object the last counts (RFC 8259, section 4, leaves that open),
and a whole number outside 64 bits is read as the nearest double, as a browser would.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import orjson

from rtcore._fast import holds_null, json_depth_exceeds
from rtcore.errors import ErrorCode, LocalProtocolError, RequestError
from rtcore.values.events import Json

__all__ = ["json_answer", "json_depth_exceeds", "json_dumps", "json_fragment", "json_kept", "json_loads"]

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_NO_MEMORY = "Not enough memory"  # how orjson begins what it says then, in an exception like that for bad text
_PATH_LENGTH = 255  # of the path named in an error; keys in the data may be of any length


def json_loads(text: bytes, maximum_depth: int) -> Json:
    """
    Read one JSON text.

    Args:
        text: UTF-8.
        maximum_depth: Deepest nesting of arrays and objects; the outermost counts 1.

    Raises:
        RequestError: `limit.too_deep`, or `request.malformed` if it is not JSON; the message says where, not what.
        MemoryError: There is no room to read it in; that is not the sender's fault, though orjson calls it so.
    """
    if json_depth_exceeds(text, maximum_depth):
        raise RequestError(ErrorCode.TOO_DEEP, f"JSON is nested deeper than json_depth={maximum_depth}")
    try:
        return cast(Json, orjson.loads(text))
    except orjson.JSONDecodeError as error:
        if error.msg.startswith(_NO_MEMORY):
            raise MemoryError(error.msg) from error
        raise RequestError(
            ErrorCode.MALFORMED, f"not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        ) from error


def json_fragment(text: bytes) -> object:
    """A value for `json_dumps` that stands for JSON text written before; taken as it is, not checked."""
    return orjson.Fragment(text)


def json_dumps(value: object, *, field: str | None = None, path: str = "$") -> bytes:
    """
    Write a value as compact JSON.

    Args:
        value: None, bool, str, finite numbers (whole ones of 64 bits); lists, tuples and dicts with str keys of these.
        field: Path of the value in the message that it is for, for the error.
        path: How its own place is named where a part of it is to blame.

    Raises:
        RequestError: `request.malformed` if JSON cannot carry it.
    """
    try:
        text = orjson.dumps(value, None, _OPTIONS)
    except TypeError as error:  # orjson.JSONEncodeError is another name of it
        raise RequestError(ErrorCode.MALFORMED, f"not representable in JSON: {error}", field=field) from error
    # orjson writes NaN and the infinities as null, so only text with a null in it is worth a walk.
    if type(value) is not str and holds_null(text):
        for part in _not_finite(value):
            problem = f"not representable in JSON: NaN or Infinity at {path}{part[:_PATH_LENGTH]}"
            raise RequestError(ErrorCode.MALFORMED, problem, field=field)
    return text


def json_kept(value: object, *, field: str | None = None) -> bytes:
    """
    As `json_dumps`, for text that is kept: it takes the memory that its length tells.

    orjson leaves short text in the buffer in which it wrote it: 4,076 bytes of memory for a number (orjson 3.13).
    """
    return bytes(memoryview(json_dumps(value, field=field)))


def json_answer(value: object) -> bytes:
    """
    As `json_dumps`, for what the server itself says: whoever asked is not to blame where JSON cannot carry it.

    Raises:
        LocalProtocolError: If JSON cannot carry it.
    """
    try:
        return json_dumps(value)
    except RequestError as error:
        raise LocalProtocolError(f"an answer is {error.message}") from error


def _not_finite(value: Any) -> Iterator[str]:  # Any: whatever orjson has just accepted
    pending: list[tuple[Any, str]] = [(value, "")]
    while pending:
        each, path = pending.pop()
        if isinstance(each, float):
            if not math.isfinite(each):
                yield path
        elif isinstance(each, dict):
            pending.extend((child, f"{path}.{key}") for key, child in each.items())
        elif isinstance(each, list | tuple):
            pending.extend((child, f"{path}[{index}]") for index, child in enumerate(each))
