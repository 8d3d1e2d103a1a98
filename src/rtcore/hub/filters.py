"""
Filters: which events of a channel a subscriber wants.

A filter is a conjunction of conditions, one per field: a value, a set of values, or a range. It is compiled once (see
`rtcore._pure.filter_program`), and it is a value: two filters that say the same are equal, whatever the order of their
keys, so that everybody who wants the same shares one view and each event is looked at once per distinct filter.

Comparison is as strict as JSON: `true` is not `1`, `1` is `1.0`, text is never a number, and a field that is missing
matches nothing, not even `null`. Ranges hold between numbers or between texts; RFC 3339 timestamps in UTC compare as
text. Wildcards (`*`, any run of characters) work on event types and channel names and take time linear in the name,
whatever the patterns: what is compared at one end or both costs next to nothing, and what stands between two stars is
bounded, so that all of it is searched for in one pass. A regular expression from a client would be neither bounded nor
needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast

from attrs import field, frozen

from rtcore._fast import FilterProgram
from rtcore.hub.filter_conditions import Condition, ConditionReader, Scalar, invalid_filter
from rtcore.values.channels import CHANNEL_NAME_LENGTH
from rtcore.values.events import Json
from rtcore.values.limits import Limits
from rtcore.values.shown import show

__all__ = ["MATCH_ALL", "Filter", "compile_filter"]

_PATH_LENGTH = 255  # as a channel name: long enough for any field that a person would name
_PATH_STEPS = 16  # each is one lookup per event and filter


@frozen
class Filter:
    """Which events pass; equal to, and hashed as, every filter that says the same."""

    conditions: tuple[tuple[str, Condition], ...] = ()
    """Canonical form: (field, condition), sorted by field."""
    program: FilterProgram = field(init=False, eq=False, repr=False)
    """What judges events; see `rtcore._fast.passing`."""
    matches: Callable[[str, str, Json], bool] = field(init=False, eq=False, repr=False)
    """Whether an event of a type, a channel and data passes; never raises, whatever the data."""
    _hash: int = field(init=False, eq=False, repr=False)

    @program.default
    def _compile(self) -> FilterProgram:
        return FilterProgram(self.conditions)

    @matches.default
    def _bind(self) -> Callable[[str, str, Json], bool]:
        # The program's own method, not one that calls it: this runs for each event of the past that is asked for.
        return self.program.matches

    @_hash.default
    def _hash_conditions(self) -> int:
        return hash(self.conditions)

    def __hash__(self) -> int:
        return self._hash  # a filter is a key in dictionaries on the way of each event

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.conditions


MATCH_ALL: Final = Filter()
"""The filter that leaves nothing out."""


def compile_filter(where: Mapping[str, Json] | None, limits: Limits, *, field: str = "data.where") -> Filter:
    """
    Make a filter of its JSON form.

    Args:
        where: Conditions by field: `type` or `event_type`, `channel`, or a path into the data such as `task_id` or
            `a.b` (with a leading dot, `.type`, where the data's own field has one of those names). Each is a value,
            an array of values, or an object of `eq`, `in`, `gt`, `gte`, `lt`, `lte`. None or empty: everything passes.
        limits: `filter_fields`, `filter_values`, `filter_text_length`, `filter_length`, `filter_patterns`,
            `filter_search_length` and `type_length` bound it.
        field: Path of `where` in the client's message, for errors.

    Raises:
        RequestError: `request.invalid_filter`, with the exact path, such as `data.where.status.in[3]`.
    """
    if not where and (where is None or isinstance(where, Mapping)):
        return MATCH_ALL
    if not isinstance(where, Mapping):
        raise invalid_filter(field, f"expected an object, got {show(where)}")
    if len(where) > limits.filter_fields:
        raise invalid_filter(field, f"{len(where)} fields exceed filter_fields={limits.filter_fields}")
    conditions: set[tuple[str, Condition]] = set()
    length = patterns = 0
    for key, wanted in where.items():
        name = _field_name(key, field)
        longest = _PATTERNED.get(name)
        reader = ConditionReader(limits, pattern_length=0 if longest is None else longest(limits))
        condition = reader.read(wanted, f"{field}.{key}")
        length += _length(name, condition)
        if length > limits.filter_length:
            raise invalid_filter(field, f"names and values exceed filter_length={limits.filter_length} characters")
        patterns += _patterns(condition)
        if patterns > limits.filter_patterns:
            raise invalid_filter(field, f"more wildcard patterns than filter_patterns={limits.filter_patterns}")
        conditions.add((name, condition))
    # `type` and `event_type` may both stand for one field; repr orders mixed values.
    return Filter(tuple(sorted(conditions, key=repr)))


_PATTERNED: Final[dict[str, Callable[[Limits], int]]] = {
    "type": lambda limits: limits.type_length,
    "channel": lambda limits: CHANNEL_NAME_LENGTH,
}
"""Fields of the event itself; they take wildcards. The number is the longest pattern."""


def _field_name(key: str, field: str) -> str:
    """The canonical name of a field: `type`, `channel`, or the path to it in the data, with a leading dot."""
    if not isinstance(key, str) or not 0 < len(key) <= _PATH_LENGTH:
        got = str(len(key)) if isinstance(key, str) else show(key)
        raise invalid_filter(field, f"the name of a field must have 1 to {_PATH_LENGTH} characters, got {got}")
    if key in ("type", "event_type"):
        return "type"
    if key == "channel":
        return key
    name = key if key.startswith(".") else f".{key}"
    steps = tuple(name[1:].split("."))
    if "" in steps or len(steps) > _PATH_STEPS:
        raise invalid_filter(f"{field}.{key}", f"expected 1 to {_PATH_STEPS} names joined by dots, got {show(key)}")
    return name


def _length(name: str, condition: Condition) -> int:
    operands = cast("tuple[tuple[str, Scalar], ...]", condition[1:])
    return len(name) + sum(len(value) if isinstance(value, str) else 1 for _, value in operands)


def _patterns(condition: Condition) -> int:
    operands = cast("tuple[tuple[str, str], ...]", condition[1:])
    return sum("*" in value for _, value in operands) if condition[0] == "like" else 0
