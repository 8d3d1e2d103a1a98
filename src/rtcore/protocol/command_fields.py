"""
The fields of commands, read from JSON as strictly as JSON is: nothing is coerced, nothing guessed.

Each reader takes a value and the type that cattrs wants it to have, and raises `RequestError` with a field relative to
the value: empty, or beginning with `.` or `[`. Whoever reads the whole puts its own path before it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NoReturn, TypeVar, cast

from rtcore.errors import ErrorCode, RequestError
from rtcore.values.channels import check_channel_name
from rtcore.values.commands import ChannelName, SinceRequest
from rtcore.values.events import Lane, parse_timestamp
from rtcore.values.positions import (
    FromOffset,
    FromPosition,
    FromTimestamp,
    LastEvents,
    Position,
    Since,
    WithinSeconds,
)
from rtcore.values.shown import show

__all__ = [
    "LANES",
    "NAME_SHOWN",
    "fault",
    "read_channel_name",
    "read_channel_names",
    "read_integer",
    "read_lane",
    "read_number",
    "read_position",
    "read_positions",
    "read_since",
    "read_text",
    "read_time",
    "within",
]

NAME_SHOWN: Final = 64
"""Characters of a client's own key that an error repeats."""

_MOST: Final = sys.float_info.max
_LEAST: Final = -_MOST

_T = TypeVar("_T")
_Number = TypeVar("_Number", int, float)
LANES: Final = {lane.name.lower(): lane for lane in Lane}
"""Lanes by their names on the wire."""


def fault(message: str, code: ErrorCode = ErrorCode.MALFORMED, field: str = "") -> NoReturn:
    """Raise what is wrong with a field."""
    raise RequestError(code, message, field=field)


def within(path: str, read: Callable[[], _T]) -> _T:
    """Read a part, whose faults then carry its path."""
    try:
        return read()
    except RequestError as error:
        error.field = path + (error.field or "")
        raise


def read_text(value: object, _: object = None) -> str:
    """Text; what else comes is not repeated, since it may be a token."""
    return value if isinstance(value, str) else fault(f"expected text, got {show(value, secret=True)}")


def read_integer(value: object, _: object = None) -> int:
    """A whole number; `1.0` is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    fault(f"expected a whole number, got {show(value)}")


def read_number(value: object, _: object = None) -> float:
    """Any number that a double can hold; not infinite."""
    if isinstance(value, int | float) and not isinstance(value, bool) and _LEAST <= value <= _MOST:
        return float(value)
    fault(f"expected a number, got {show(value)}")


def read_time(value: object) -> float | None:
    """An RFC 3339 time, as Unix seconds; None if it is none."""
    try:
        return parse_timestamp(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def read_lane(value: object, _: object = None) -> Lane:
    """A lane by its name."""
    lane = LANES.get(value) if isinstance(value, str) else None
    return fault(f"expected high, normal or low, got {show(value)}") if lane is None else lane


def read_channel_name(value: object, _: object = None) -> ChannelName:
    """A name that a channel may have."""
    try:
        return ChannelName(check_channel_name(read_text(value)))
    except ValueError as error:
        fault(str(error), ErrorCode.UNKNOWN_CHANNEL)


def read_channel_names(value: object, _: object = None) -> tuple[ChannelName, ...]:
    """One or more names."""
    if not isinstance(value, list) or not value:
        fault(f"expected an array of one or more channel names, got {'none' if value == [] else show(value)}")
    return tuple(within(f"[{index}]", partial(read_channel_name, name)) for index, name in enumerate(value))


def read_position(value: object, _: object = None) -> Position:
    """A position that a client was given."""
    try:
        return Position.parse(read_text(value))
    except ValueError:
        fault(f"not a position: {show(value)}", ErrorCode.INVALID_POSITION)


def read_positions(value: object, _: object = None) -> dict[ChannelName, Position]:
    """Positions by channel, one or more."""
    if not isinstance(value, dict) or not value:
        fault(f"expected an object of positions by channel, got {'none' if value == {} else show(value)}")
    positions: dict[ChannelName, Position] = {}
    for name, text in value.items():
        path = f".{name[:NAME_SHOWN]}"
        channel = within(path, partial(read_channel_name, name))
        positions[channel] = within(path, partial(read_position, text))
    return positions


def read_since(value: object, _: object = None) -> SinceRequest:
    """A position, or an object with exactly one way to name a place in the past."""
    if isinstance(value, str):
        return SinceRequest(place=FromPosition(read_position(value)))
    if not isinstance(value, dict):
        fault(f"expected a position or an object, got {show(value)}")
    if len(value) != 1:
        fault(f"expected exactly one of {', '.join(_PLACES)} or positions, got {len(value)}")
    ((name, argument),) = value.items()
    if name == "positions":
        positions = within(".positions", partial(read_positions, argument))
        return SinceRequest(positions=cast("Mapping[str, Position]", positions))
    reader = _PLACES.get(name)
    if reader is None:
        fault(f"unknown; there are {', '.join(_PLACES)} and positions", field=f".{name[:NAME_SHOWN]}")
    return SinceRequest(place=within(f".{name}", partial(reader, argument)))


def _timestamp(value: object) -> float:
    seconds = read_time(value)
    if seconds is None:
        fault(f"expected an RFC 3339 timestamp, got {show(value)}", ErrorCode.INVALID_POSITION)
    return seconds


def _not_negative(value: _Number) -> _Number:
    if value >= 0:
        return value
    fault(f"expected a number not below 0, got {show(value)}", ErrorCode.INVALID_POSITION)


_PLACES: Final[Mapping[str, Callable[[object], Since]]] = {
    "position": lambda value: FromPosition(read_position(value)),
    "offset": lambda value: FromOffset(_not_negative(read_integer(value))),
    "timestamp": lambda value: FromTimestamp(_timestamp(value)),
    "seconds": lambda value: WithinSeconds(_not_negative(read_number(value))),
    "last": lambda value: LastEvents(_not_negative(read_integer(value))),
}
