"""
The conditions of a filter, from their JSON form to a canonical one, so that equal wishes become equal values.

A condition is `("in", values...)`, `("like", patterns...)` or `("range", bounds...)`, where each value carries its JSON
kind, since Python takes `True` for `1` and JSON does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, cast

from rtcore.errors import ErrorCode, RequestError
from rtcore.values.limits import Limits
from rtcore.values.shown import show

__all__ = ["Condition", "ConditionReader", "Scalar", "invalid_filter"]

Scalar = None | bool | int | float | str
Condition = tuple[object, ...]

_BOUNDS: Final = ("gt", "gte", "lt", "lte")
_OPERATOR_SHOWN = 32  # characters of a client's own key that an error repeats


class ConditionReader:
    """
    Reads the conditions of one field.

    Args:
        limits: `filter_values`, `filter_text_length` and `filter_search_length` bound them.
        pattern_length: Longest pattern of a field that takes text and wildcards; 0 for any other field.
    """

    def __init__(self, limits: Limits, pattern_length: int) -> None:
        self._limits = limits
        self._pattern_length = pattern_length

    def read(self, wanted: object, field: str) -> Condition:
        """
        The canonical form of a condition.

        Raises:
            RequestError: `request.invalid_filter`, with the path below `field` of what is wrong.
        """
        if not isinstance(wanted, Mapping):
            return self._set(wanted, field)
        for operator in wanted:
            if operator not in ("eq", "in", *_BOUNDS):
                raise invalid_filter(
                    f"{field}.{operator!s:.{_OPERATOR_SHOWN}}", "unknown operator; there are eq, in, gt, gte, lt, lte"
                )
        if not wanted:
            raise invalid_filter(field, "expected an operator: eq, in, gt, gte, lt or lte")
        for operator in ("eq", "in"):
            if operator in wanted:
                if len(wanted) > 1:
                    raise invalid_filter(f"{field}.{operator}", "stands alone; it goes with no other operator")
                return self._named_set(operator, wanted[operator], f"{field}.{operator}")
        return self._range(wanted, field)

    def _named_set(self, operator: str, wanted: object, field: str) -> Condition:
        if operator == "in" and not isinstance(wanted, list | tuple):
            raise invalid_filter(field, f"expected an array, got {show(wanted)}")
        if operator == "eq" and isinstance(wanted, list | tuple):
            raise invalid_filter(field, f"expected one value, got an array of {len(wanted)}")
        return self._set(wanted, field)

    def _set(self, wanted: object, field: str) -> Condition:
        if not isinstance(wanted, list | tuple):
            values = [self._scalar(wanted, field)]
        else:
            most = self._limits.filter_values
            if not 0 < len(wanted) <= most:
                raise invalid_filter(field, f"expected 1 to filter_values={most} values, got {len(wanted)}")
            values = [self._scalar(value, f"{field}[{index}]") for index, value in enumerate(wanted)]
        unique = sorted({(_kind(value), value) for value in values}, key=_value_order)
        if not self._pattern_length or not any("*" in cast(str, value) for _, value in unique):
            return ("in", *unique)
        length = sum(_search_length(cast(str, value)) for _, value in unique)
        longest = self._limits.filter_search_length
        if length > longest:
            message = f"patterns with text between two stars have {length} characters: filter_search_length={longest}"
            raise invalid_filter(field, message)
        return ("like", *unique)

    def _scalar(self, value: object, field: str) -> Scalar:
        if self._pattern_length and not isinstance(value, str):
            raise invalid_filter(field, f"expected text, got {show(value)}")
        if isinstance(value, str):
            longest = self._pattern_length or self._limits.filter_text_length
            if len(value) > longest:
                raise invalid_filter(field, f"text of {len(value)} characters exceeds the limit of {longest}")
            return value
        if isinstance(value, float) and not math.isfinite(value):
            raise invalid_filter(field, f"expected a finite number, got {show(value)}")
        if value is None or isinstance(value, bool | int | float):
            return value
        raise invalid_filter(field, f"expected text, a number, true, false or null, got {show(value)}")

    def _range(self, wanted: Mapping[str, object], field: str) -> Condition:
        if self._pattern_length:
            raise invalid_filter(field, "takes values and wildcards, not a range")
        for strict, loose in (("gt", "gte"), ("lt", "lte")):
            if strict in wanted and loose in wanted:
                raise invalid_filter(f"{field}.{loose}", f"stands beside {strict}; give one of them")
        bounds: list[tuple[str, Scalar]] = []
        for operator in _BOUNDS:
            if operator in wanted:
                value = self._scalar(wanted[operator], f"{field}.{operator}")
                if _kind(value) not in ("number", "text"):
                    raise invalid_filter(f"{field}.{operator}", f"expected a number or text, got {show(value)}")
                if bounds and _kind(bounds[0][1]) != _kind(value):
                    raise invalid_filter(f"{field}.{operator}", "both ends of a range must be numbers, or both text")
                bounds.append((operator, value))
        return ("range", *bounds)


def _kind(value: Scalar) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def _search_length(pattern: str) -> int:
    """The characters of a pattern that is searched for; 0 if it is settled by comparing its ends."""
    pieces = pattern.split("*")
    return sum(map(len, pieces)) if any(pieces[1:-1]) else 0


def _value_order(kinded: tuple[str, Scalar]) -> tuple[str, str | float]:
    kind, value = kinded
    return kind, 0 if value is None else value


def invalid_filter(field: str, message: str) -> RequestError:
    """The error for a filter that cannot be used; its message begins with the path."""
    return RequestError(ErrorCode.INVALID_FILTER, f"{field}: {message}", field=field)
