"""The event: what is published, kept and delivered."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache
from typing import Final

from attrs import field

from rtcore.values.hot import value
from rtcore.values.positions import Position
from rtcore.values.shown import show

__all__ = [
    "DEFAULT_LANES",
    "RESERVED_TYPES",
    "Event",
    "Json",
    "Lane",
    "check_event_type",
    "default_lane",
    "format_timestamp",
    "parse_timestamp",
]

Json = None | bool | int | float | str | list["Json"] | tuple["Json", ...] | dict[str, "Json"]
"""A value that JSON can carry."""


class Lane(IntEnum):
    """Priority class. Each lane is ordered; a higher lane may overtake a lower one only when there is a backlog."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


DEFAULT_LANES: Final[dict[str, Lane]] = {
    "task.failed": Lane.HIGH,
    "workflow.failed": Lane.HIGH,
    "tool.output": Lane.LOW,
}


def default_lane(event_type: str) -> Lane:
    """The lane of an event whose publisher names none: by its type, otherwise normal."""
    return DEFAULT_LANES.get(event_type, Lane.NORMAL)


RESERVED_TYPES: Final = frozenset(
    {"ack", "acked", "auth", "auth_success", "batch", "dropped", "error", "filters_set", "history", "published"}
    | {"refreshed", "replayed", "subscribed", "unsubscribed", "welcome"}
)
"""Types of the server's own messages: no publisher may speak in its name."""

_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*", re.ASCII)


@lru_cache(maxsize=256)  # a publisher has a few types and many events
def check_event_type(name: str, maximum_length: int) -> str:
    """
    Return the name if it may be an event's type: letters, digits, `_ . : -`, the first a letter or digit, not reserved.

    Raises:
        ValueError: If it may not; the message repeats 60 characters of the name at most, escaped.
    """
    if len(name) > maximum_length:
        raise ValueError(f"event type of {len(name)} characters exceeds type_length={maximum_length}")
    if not _TYPE.fullmatch(name):
        wanted = "letters, digits, '_', '.', ':' or '-', and begin with a letter or digit"
        raise ValueError(f"event type must be {wanted}, got {show(name)}")
    if name in RESERVED_TYPES:
        raise ValueError(f"event type {show(name)} is reserved for the server's own messages")
    return name


def format_timestamp(seconds: float) -> str:
    """
    Unix seconds as RFC 3339 text in UTC with milliseconds, such as `2025-01-15T12:00:00.123Z`.

    Milliseconds are cut, not rounded, so a formatted time is never later than the time itself.
    """
    fraction, whole = math.modf(seconds)
    # As datetime does it: to the nearest microsecond, and then cut.
    return _format_milliseconds((int(whole) * 1_000_000 + round(fraction * 1_000_000)) // 1000)


@lru_cache(maxsize=8)  # what happens in one tick mostly happens in one millisecond
def _format_milliseconds(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_format_second(seconds)}.{rest:03}Z"


@lru_cache(maxsize=8)
def _format_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")[:-6]


def parse_timestamp(text: str) -> float:
    """
    RFC 3339 text as Unix seconds.

    Raises:
        ValueError: If the text is not a date and time with an offset from UTC.
    """
    if len(text) > 40:
        raise ValueError("not an RFC 3339 timestamp")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or "T" not in text.upper():
        raise ValueError("not an RFC 3339 timestamp")
    return moment.timestamp()


@value(eq=False)
class Event:
    """Something that happened, as published on a channel; all who are subscribed share it."""

    channel: str
    type: str
    data: Json
    timestamp: float
    """Time of publication, in Unix seconds; never earlier than that of the event before it."""
    offset: int = 0
    """Number within the channel's epoch, from 1; 0 for what is not part of a stream, such as a `dropped` notice."""
    epoch: str = ""
    lane: Lane = Lane.NORMAL
    key: str | None = None
    """Conflation key: a newer event of the same key may stand for this one."""
    body: bytes = field(default=b"", repr=False)
    """The JSON text, encoded once, up to but without its position and closing brace."""

    @property
    def position(self) -> Position:
        """Everything up to and including this event."""
        return Position.at(self.epoch, self.offset)
