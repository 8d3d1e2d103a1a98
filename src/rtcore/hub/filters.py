"""
Filters: which events of a channel a subscriber wants.

A filter is a conjunction of conditions, one per field: a value, a set of values, or a range. It is compiled once into
closures, and it is a value: two filters that say the same are equal, whatever the order of their keys, so that
everybody who wants the same shares one view and each event is looked at once per distinct filter.

Comparison is as strict as JSON: `true` is not `1`, `1` is `1.0`, text is never a number, and a field that is missing
matches nothing, not even `null`. Ranges hold between numbers or between texts; RFC 3339 timestamps in UTC compare as
text. Wildcards (`*`, any run of characters) work on event types and channel names and take time linear in the name: a
pattern is cut at its stars, and each piece is searched for once, from where the last one ended. A regular expression
from a client would be neither linear nor needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, cast

from attrs import field, frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.values.channels import CHANNEL_NAME_LENGTH
from rtcore.values.events import Json
from rtcore.values.limits import Limits

__all__ = ["MATCH_ALL", "Filter", "compile_filter", "wildcard_matcher"]

Scalar = None | bool | int | float | str
Test = Callable[[str, str, Json], bool]
Check = Callable[[object], bool]
Condition = tuple[object, ...]

_PATH_LENGTH = 255  # as a channel name: long enough for any field that a person would name
_PATH_STEPS = 16  # each is one lookup per event and filter
_BOUNDS: Final = ("gt", "gte", "lt", "lte")
_MISSING: Final = object()


@frozen
class Filter:
    """Which events pass; equal to, and hashed as, every filter that says the same."""

    conditions: tuple[tuple[str, Condition], ...] = ()
    """Canonical form: (field, condition), sorted by field."""
    _tests: tuple[Test, ...] = field(default=(), eq=False, repr=False)
    _hash: int = field(init=False, eq=False, repr=False)

    @_hash.default
    def _hash_conditions(self) -> int:
        return hash(self.conditions)

    def __hash__(self) -> int:
        return self._hash  # a filter is a key in dictionaries on the way of each event

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.conditions

    def matches(self, event_type: str, channel: str, data: Json) -> bool:
        """Whether an event passes; never raises, whatever its data."""
        for test in self._tests:  # noqa: SIM110  # a generator in `all(...)` would cost more than most tests
            if not test(event_type, channel, data):
                return False
        return True


MATCH_ALL: Final = Filter()
"""The filter that leaves nothing out."""


def compile_filter(where: Mapping[str, Json] | None, limits: Limits, *, field: str = "data.where") -> Filter:
    """
    Make a filter of its JSON form.

    Args:
        where: Conditions by field: `type` or `event_type`, `channel`, or a path into the data such as `task_id` or
            `a.b` (with a leading dot, `.type`, where the data's own field has one of those names). Each is a value,
            an array of values, or an object of `eq`, `in`, `gt`, `gte`, `lt`, `lte`. None or empty: everything passes.
        limits: `filter_fields`, `filter_values`, `filter_text_length` and `type_length` bound it.
        field: Path of `where` in the client's message, for errors.

    Raises:
        RequestError: `request.invalid_filter`, with the exact path, such as `data.where.status.in[3]`.
    """
    if not where and (where is None or isinstance(where, Mapping)):
        return MATCH_ALL
    if not isinstance(where, Mapping):
        raise _invalid(field, "expected an object")
    if len(where) > limits.filter_fields:
        raise _invalid(field, f"{len(where)} fields exceed filter_fields={limits.filter_fields}")
    compiled: dict[tuple[str, Condition], Test] = {}
    for key, wanted in where.items():
        name, path = _field_path(key, field)
        reader = _Reader(limits, pattern_length=_PATTERNED.get(name, 0) and _PATTERNED[name](limits))
        condition = reader.read(wanted, f"{field}.{key}")
        compiled[(name, condition)] = _field_test(name, path, condition)
    order = sorted(compiled, key=repr)  # `type` and `event_type` may both stand for one field; repr orders mixed values
    return Filter(tuple(order), tuple(compiled[each] for each in sorted(order, key=_cost)))


_PATTERNED: Final[dict[str, Callable[[Limits], int]]] = {
    "type": lambda limits: limits.type_length,
    "channel": lambda limits: CHANNEL_NAME_LENGTH,
}
"""Fields of the event itself; they take wildcards. The number is the longest pattern."""


def _field_path(key: str, field: str) -> tuple[str, tuple[str, ...]]:
    """The canonical name of a field, and the steps to it in the data (none for the event's own)."""
    if not isinstance(key, str) or not 0 < len(key) <= _PATH_LENGTH:
        raise _invalid(field, f"the name of a field must have 1 to {_PATH_LENGTH} characters")
    if key in ("type", "event_type"):
        return "type", ()
    if key == "channel":
        return key, ()
    name = key if key.startswith(".") else f".{key}"
    steps = tuple(name[1:].split("."))
    if "" in steps or len(steps) > _PATH_STEPS:
        raise _invalid(f"{field}.{key}", f"expected 1 to {_PATH_STEPS} names joined by dots")
    return name, steps


class _Reader:
    """Reads the JSON form of one condition into its canonical form: ("in", ...), ("like", ...) or ("range", ...)."""

    def __init__(self, limits: Limits, pattern_length: int) -> None:
        self._limits = limits
        self._pattern_length = pattern_length

    def read(self, wanted: object, field: str) -> Condition:
        if not isinstance(wanted, Mapping):
            return self._set(wanted, field)
        for operator in wanted:
            if operator not in ("eq", "in", *_BOUNDS):
                raise _invalid(f"{field}.{operator!s:.32}", "unknown operator; there are eq, in, gt, gte, lt, lte")
        if not wanted:
            raise _invalid(field, "expected an operator: eq, in, gt, gte, lt or lte")
        for operator in ("eq", "in"):
            if operator in wanted:
                if len(wanted) > 1:
                    raise _invalid(f"{field}.{operator}", "stands alone; it goes with no other operator")
                return self._named_set(operator, wanted[operator], f"{field}.{operator}")
        return self._range(wanted, field)

    def _named_set(self, operator: str, wanted: object, field: str) -> Condition:
        if operator == "in" and not isinstance(wanted, list | tuple):
            raise _invalid(field, "expected an array")
        if operator == "eq" and isinstance(wanted, list | tuple):
            raise _invalid(field, "expected one value")
        return self._set(wanted, field)

    def _set(self, wanted: object, field: str) -> Condition:
        if not isinstance(wanted, list | tuple):
            values = [self._scalar(wanted, field)]
        else:
            most = self._limits.filter_values
            if not 0 < len(wanted) <= most:
                raise _invalid(field, f"expected 1 to filter_values={most} values, got {len(wanted)}")
            values = [self._scalar(value, f"{field}[{index}]") for index, value in enumerate(wanted)]
        # The kind goes with each value, since Python takes True for 1 and JSON does not.
        unique = sorted({(_kind(value), value) for value in values}, key=_value_order)
        patterned = self._pattern_length and any("*" in cast(str, value) for _, value in unique)
        return ("like" if patterned else "in", *unique)

    def _scalar(self, value: object, field: str) -> Scalar:
        if self._pattern_length and not isinstance(value, str):
            raise _invalid(field, "expected text")
        if isinstance(value, str):
            longest = self._pattern_length or self._limits.filter_text_length
            if len(value) > longest:
                raise _invalid(field, f"text of {len(value)} characters exceeds the limit of {longest}")
            return value
        if isinstance(value, float) and not math.isfinite(value):
            raise _invalid(field, "expected a finite number")
        if value is None or isinstance(value, bool | int | float):
            return value
        raise _invalid(field, "expected text, a number, true, false or null")

    def _range(self, wanted: Mapping[str, object], field: str) -> Condition:
        if self._pattern_length:
            raise _invalid(field, "takes values and wildcards, not a range")
        for strict, loose in (("gt", "gte"), ("lt", "lte")):
            if strict in wanted and loose in wanted:
                raise _invalid(f"{field}.{loose}", f"stands beside {strict}; give one of them")
        bounds: list[tuple[str, Scalar]] = []
        for operator in _BOUNDS:
            if operator in wanted:
                value = self._scalar(wanted[operator], f"{field}.{operator}")
                if _kind(value) not in ("number", "text"):
                    raise _invalid(f"{field}.{operator}", "expected a number or text")
                if bounds and _kind(bounds[0][1]) != _kind(value):
                    raise _invalid(f"{field}.{operator}", "both ends of a range must be numbers, or both text")
                bounds.append((operator, value))
        return ("range", *bounds)


def _field_test(name: str, path: tuple[str, ...], condition: Condition) -> Test:
    check = _check(condition)
    if name == "type":
        return lambda event_type, channel, data: check(event_type)
    if name == "channel":
        return lambda event_type, channel, data: check(channel)
    if len(path) == 1:
        return _top_level_test(path[0], check)
    return _nested_test(path, check)


def _top_level_test(key: str, check: Check) -> Test:
    def test(event_type: str, channel: str, data: Json) -> bool:
        return isinstance(data, dict) and key in data and check(data[key])

    return test


def _nested_test(path: tuple[str, ...], check: Check) -> Test:
    def test(event_type: str, channel: str, data: Json) -> bool:
        for step in path:
            if not isinstance(data, dict) or step not in data:
                return False
            data = data[step]
        return check(data)

    return test


def _check(condition: Condition) -> Check:
    kind, *operands = cast("tuple[str, *tuple[tuple[str, Scalar], ...]]", condition)
    if kind == "range":
        return _range_check(dict(operands))
    if kind == "like":
        return _any_pattern([cast(str, value) for _, value in operands])
    values = [value for _, value in operands]
    return _equality_check(values[0]) if len(values) == 1 else _membership_check(values)


def _equality_check(wanted: Scalar) -> Check:
    if wanted is None or isinstance(wanted, bool):
        return lambda value: value is wanted
    if isinstance(wanted, str):
        return lambda value: value == wanted
    return lambda value: value == wanted and not isinstance(value, bool)


def _membership_check(values: list[Scalar]) -> Check:
    singletons = tuple(value for value in values if value is None or isinstance(value, bool))
    others = frozenset(value for value in values if value is not None and not isinstance(value, bool))

    def check(value: object) -> bool:
        if value is None or isinstance(value, bool):
            return any(value is each for each in singletons)
        return isinstance(value, str | int | float) and value in others

    return check


def _range_check(bounds: Mapping[str, Scalar]) -> Check:
    if isinstance(next(iter(bounds.values())), str):
        within_text = _within(cast("Mapping[str, float]", bounds))  # text compares by the same operators
        return lambda value: isinstance(value, str) and within_text(cast(float, value))
    within = _within(cast("Mapping[str, float]", bounds))
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and within(value)


def _within(bounds: Mapping[str, float]) -> Callable[[float], bool]:
    above, least = bounds.get("gt"), bounds.get("gte")
    below, most = bounds.get("lt"), bounds.get("lte")

    def within(value: float) -> bool:
        return (
            (least is None or value >= least)
            and (above is None or value > above)
            and (most is None or value <= most)
            and (below is None or value < below)
        )

    return within


def _any_pattern(patterns: list[str]) -> Check:
    # Only event types and channel names are matched so, and these are always text.
    matchers = tuple(cast(Check, wildcard_matcher(pattern)) for pattern in patterns)
    if len(matchers) == 1:
        return matchers[0]
    return lambda value: any(matches(value) for matches in matchers)


def wildcard_matcher(pattern: str) -> Callable[[str], bool]:
    """
    A test whether a whole text matches a pattern in which `*` stands for any run of characters, also none.

    The leftmost place for each piece is always as good as any later one, so there is no going back: time is linear in
    the text.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return lambda text: text == pattern
    if not any(rest):
        return lambda text: text.startswith(first)  # `task.*`: nearly every pattern there is
    *middle, last = rest
    return _pieces_matcher(first, tuple(piece for piece in middle if piece), last)


def _pieces_matcher(first: str, pieces: tuple[str, ...], last: str) -> Callable[[str], bool]:
    shortest = len(first) + len(last)

    def matches(text: str) -> bool:
        if len(text) < shortest or not text.startswith(first) or not text.endswith(last):
            return False
        start, stop = len(first), len(text) - len(last)
        for piece in pieces:
            found = text.find(piece, start, stop)
            if found < 0:
                return False
            start = found + len(piece)
        return True

    return matches


def _kind(value: Scalar) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def _value_order(kinded: tuple[str, Scalar]) -> tuple[str, str | float]:
    kind, value = kinded
    return kind, 0 if value is None else value


def _cost(condition: tuple[str, Condition]) -> int:
    """What settles most events at the least cost is tested first."""
    return 0 if condition[0] in _PATTERNED else 1 + condition[0].count(".")


def _invalid(field: str, message: str) -> RequestError:
    return RequestError(ErrorCode.INVALID_FILTER, f"{field}: {message}", field=field)
