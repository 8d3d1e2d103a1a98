"""Durations, places in the past and filters, as people type them."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from typing import Any, Final

from rtcore.values.events import Json, parse_timestamp
from rtcore.values.positions import (
    FromOffset,
    FromPosition,
    FromTimestamp,
    LastEvents,
    Position,
    Since,
    WithinSeconds,
)

__all__ = ["duration", "filter_of", "since"]

_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d|w)", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_COUNTED: Final = re.compile(r"(last|offset)[:=](\d{1,15})", re.ASCII)
_CONDITION: Final = re.compile(r"([A-Za-z_][\w.-]*)(>=|<=|=|>|<)(.*)", re.DOTALL)
_COMPARISONS: Final = {">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}


def duration(text: str) -> float:
    """Seconds of a duration such as `90s`, `5m`, `1.5h` or `7d`; for argparse."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected a duration such as 90s, 5m, 1.5h or 7d, got {text!r}")
    return float(match[1]) * _SECONDS[match[2]]


def since(text: str) -> Since:
    """
    A place in the past; for argparse.

    `10m`: the last ten minutes. `last:20`: the newest twenty events. `offset:42`: from that offset on. An RFC 3339
    time: from then on. Anything else must be a position that an event or notice carried.
    """
    if _DURATION.fullmatch(text):
        return WithinSeconds(duration(text))
    counted = _COUNTED.fullmatch(text)
    if counted is not None:
        return (LastEvents if counted[1] == "last" else FromOffset)(int(counted[2]))
    try:
        return FromPosition(Position.parse(text))
    except ValueError:
        pass
    try:
        return FromTimestamp(parse_timestamp(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected 10m, last:20, offset:42, a time such as 2025-01-15T12:00:00Z or a position, got {text!r}"
        ) from None


def filter_of(conditions: Sequence[str]) -> dict[str, Json]:
    """
    A filter from conditions such as `status=failed`, `progress>=50` or `type=task.*`.

    A value is read as JSON if it is that (`true`, `5`, `["a","b"]`), otherwise as text. The same field with `=` twice
    means any of the values.

    Raises:
        ValueError: If a condition has another form.
    """
    where: dict[str, Any] = {}
    for condition in conditions:
        match = _CONDITION.fullmatch(condition)
        if match is None:
            raise ValueError(f"expected FIELD=VALUE (or >=, <=, >, <), got {condition!r}")
        name, sign, value = match[1], match[2], _value(match[3])
        if sign == "=":
            where[name] = _any_of(where[name], value) if name in where else value
        else:
            bounds = where.setdefault(name, {})
            if not isinstance(bounds, dict):
                raise ValueError(f"{name} cannot be compared and equal to something at once")
            bounds[_COMPARISONS[sign]] = value
    return where


def _any_of(former: Json, value: Json) -> Json:
    return [*(former if isinstance(former, list) else [former]), *(value if isinstance(value, list) else [value])]


def _value(text: str) -> Json:
    try:
        value: Json = json.loads(text)
    except ValueError:
        return text
    return value
