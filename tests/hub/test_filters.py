"""Filters: what passes, what is refused with which path, and that equal wishes are equal values."""

from __future__ import annotations

import fnmatch
import math
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.filters import MATCH_ALL, Filter, compile_filter
from rtcore.values.limits import Limits

LIMITS = Limits()


def compiled(where: Any) -> Filter:
    return compile_filter(where, LIMITS)


def passes(where: Any, data: Any = None, type: str = "task.progress", channel: str = "tasks") -> bool:
    return compiled(where).matches(type, channel, data)


@pytest.mark.parametrize("where", [None, {}])
def test_no_condition_lets_everything_pass(where: Any) -> None:
    assert compiled(where) is MATCH_ALL
    assert MATCH_ALL.everything
    assert passes(where, object())


@pytest.mark.parametrize(
    ("where", "data", "expected"),
    [
        ({"task_id": "t1"}, {"task_id": "t1"}, True),
        ({"task_id": "t1"}, {"task_id": "t2"}, False),
        ({"task_id": "t1"}, {}, False),
        ({"task_id": "t1"}, None, False),
        ({"task_id": "t1"}, ["t1"], False),
        ({"task_id": "t1"}, "t1", False),
        # JSON's own types: nothing is taken for something else.
        ({"x": 1}, {"x": 1.0}, True),
        ({"x": 1.0}, {"x": 1}, True),
        ({"x": 1}, {"x": True}, False),
        ({"x": True}, {"x": 1}, False),
        ({"x": True}, {"x": True}, True),
        ({"x": 0}, {"x": False}, False),
        ({"x": "1"}, {"x": 1}, False),
        ({"x": ""}, {"x": None}, False),
        ({"x": None}, {"x": None}, True),
        ({"x": None}, {}, False),
        ({"x": None}, {"x": 0}, False),
        ({"x": "*"}, {"x": "anything"}, False),
        ({"x": 2**53 + 1}, {"x": float(2**53)}, False),
        # Sets.
        ({"x": ["a", 1, None, True]}, {"x": 1}, True),
        ({"x": ["a", 1, None, True]}, {"x": None}, True),
        ({"x": ["a", 1, None, True]}, {"x": True}, True),
        ({"x": ["a", 1, None]}, {"x": True}, False),
        ({"x": [True, False]}, {"x": 1}, False),
        ({"x": ["a", 1]}, {"x": "b"}, False),
        ({"x": ["a", 1]}, {"x": ["a"]}, False),
        ({"x": ["a", 1]}, {"x": {}}, False),
        ({"x": {"in": ["a"]}}, {"x": "a"}, True),
        ({"x": {"eq": "a"}}, {"x": "a"}, True),
        # Ranges.
        ({"x": {"gte": 1, "lt": 5}}, {"x": 1}, True),
        ({"x": {"gte": 1, "lt": 5}}, {"x": 5}, False),
        ({"x": {"gt": 1, "lte": 5}}, {"x": 1}, False),
        ({"x": {"gt": 1, "lte": 5}}, {"x": 5.0}, True),
        ({"x": {"gte": 0}}, {"x": True}, False),
        ({"x": {"gte": 0}}, {"x": "1"}, False),
        ({"x": {"gte": 0}}, {"x": None}, False),
        ({"x": {"gte": 0}}, {"x": math.nan}, False),
        ({"x": {"gte": "b", "lt": "d"}}, {"x": "c"}, True),
        ({"x": {"gte": "b", "lt": "d"}}, {"x": 3}, False),
        ({"at": {"gte": "2025-01-15T12:00:00.000Z"}}, {"at": "2025-01-15T12:00:00.001Z"}, True),
        ({"at": {"gte": "2025-01-15T12:00:00.000Z"}}, {"at": "2024-12-31T23:59:59.999Z"}, False),
        # Paths.
        ({"a.b": 1}, {"a": {"b": 1}}, True),
        ({"a.b": 1}, {"a": {"b": 2}}, False),
        ({"a.b": 1}, {"a.b": 1}, False),
        ({"a.b": 1}, {"a": [{"b": 1}]}, False),
        ({"a.b.c": 1}, {"a": {"b": 1}}, False),
        ({".type": "text"}, {"type": "text"}, True),
        ({".a": 1}, {"a": 1}, True),
        # All conditions must hold.
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}, True),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, False),
    ],
)
def test_condition_holds_as_json_means_it(where: Any, data: Any, expected: bool) -> None:
    assert passes(where, data) is expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"type": "task.progress"}, True),
        ({"event_type": "task.progress"}, True),
        ({"type": "task.*"}, True),
        ({"type": "*"}, True),
        ({"type": "*.progress"}, True),
        ({"type": "t*.p*s"}, True),
        ({"type": "tool.*"}, False),
        ({"type": ["tool.*", "task.*"]}, True),
        ({"type": {"in": ["tool.*", "x"]}}, False),
        ({"type": "task.*", "event_type": "*.failed"}, False),
        ({"channel": "tasks"}, True),
        ({"channel": "other"}, False),
        ({"channel": "ta*"}, True),
    ],
)
def test_type_and_channel_are_those_of_the_event(where: Any, expected: bool) -> None:
    assert passes(where, {"type": "no", "channel": "no"}) is expected


@pytest.mark.parametrize(
    ("where", "field"),
    [
        ([], "data.where"),
        ("x", "data.where"),
        (0, "data.where"),
        (False, "data.where"),
        ({"": 1}, "data.where"),
        ({"x" * 256: 1}, "data.where"),
        ({"a..b": 1}, "data.where.a..b"),
        ({"a.": 1}, "data.where.a."),
        ({".": 1}, "data.where.."),
        ({".".join("abcdefghijklmnopq"): 1}, "data.where.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q"),
        ({"x": []}, "data.where.x"),
        ({"x": {}}, "data.where.x"),
        ({"x": [[1]]}, "data.where.x[0]"),
        ({"status": {"in": ["a", "b", "c", {}]}}, "data.where.status.in[3]"),
        ({"x": {"in": "a"}}, "data.where.x.in"),
        ({"x": {"in": []}}, "data.where.x.in"),
        ({"x": {"eq": ["a"]}}, "data.where.x.eq"),
        ({"x": {"eq": {"a": 1}}}, "data.where.x.eq"),
        ({"x": {"eq": 1, "in": [1]}}, "data.where.x.eq"),
        ({"x": {"in": [1], "gte": 0}}, "data.where.x.in"),
        ({"x": {"regex": "a+"}}, "data.where.x.regex"),
        ({"x": {"gte": 1, "gt": 1}}, "data.where.x.gte"),
        ({"x": {"lt": 1, "lte": 1}}, "data.where.x.lte"),
        ({"x": {"gte": True}}, "data.where.x.gte"),
        ({"x": {"gte": None}}, "data.where.x.gte"),
        ({"x": {"gte": [1]}}, "data.where.x.gte"),
        ({"x": {"gte": 1, "lt": "5"}}, "data.where.x.lt"),
        ({"x": math.nan}, "data.where.x"),
        ({"x": {"gt": math.inf}}, "data.where.x.gt"),
        ({"x": "y" * 1025}, "data.where.x"),
        ({"x": list(range(101))}, "data.where.x"),
        ({"type": 1}, "data.where.type"),
        ({"type": ["a", None]}, "data.where.type[1]"),
        ({"event_type": {"gte": "a"}}, "data.where.event_type"),
        ({"type": "t" * 129}, "data.where.type"),
        ({str(number): 1 for number in range(33)}, "data.where"),
    ],
)
def test_unusable_filter_is_refused_with_its_path(where: Any, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        compiled(where)
    assert caught.value.code is ErrorCode.INVALID_FILTER
    assert caught.value.field == field
    assert caught.value.message.startswith(field)


def test_field_of_the_caller_is_in_the_path() -> None:
    with pytest.raises(RequestError) as caught:
        compile_filter({"a": []}, LIMITS, field="where")
    assert caught.value.field == "where.a"


SAME = [
    [
        {"a": 1, "b": "x", "type": "t.*"},
        {"type": "t.*", "b": "x", "a": 1},
        {"event_type": "t.*", ".a": 1.0, ".b": ["x"]},
    ],
    [{"a": "x"}, {"a": ["x"]}, {"a": ["x", "x"]}, {"a": {"eq": "x"}}, {"a": {"in": ["x"]}}],
    [{"a": [1, "x", None, True]}, {"a": {"in": [True, None, "x", 1.0]}}],
    [{"a": {"gte": 1, "lt": 2}}, {"a": {"lt": 2, "gte": 1}}],
]


@pytest.mark.parametrize("wishes", SAME)
def test_filters_that_say_the_same_are_equal(wishes: list[Any]) -> None:
    """They share one view, and each event is looked at once for all of them."""
    assert len({compiled(where) for where in wishes}) == 1
    for one, other in permutations(wishes, 2):
        assert compiled(one) == compiled(other)
        assert hash(compiled(one)) == hash(compiled(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 0}, {"a": False}),
        ({"a": "1"}, {"a": 1}),
        ({"a": 1}, {"b": 1}),
        ({"type": "x"}, {".type": "x"}),
        ({"a": {"gt": 1}}, {"a": {"gte": 1}}),
        ({"a": None}, {}),
    ],
)
def test_filters_that_differ_are_not_equal(one: Any, other: Any) -> None:
    assert compiled(one) != compiled(other)


VALUES = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, 0.5]) | st.sampled_from(["", "a", "1"])
)


@given(st.lists(VALUES, min_size=1, max_size=5), VALUES)
def test_set_is_the_sum_of_its_values(values: list[Any], value: Any) -> None:
    assert passes({"x": values}, {"x": value}) == any(passes({"x": each}, {"x": value}) for each in values)


@given(st.lists(VALUES, min_size=1, max_size=5), st.randoms())
def test_order_of_values_makes_no_difference(values: list[Any], random: Any) -> None:
    shuffled = random.sample(values, len(values))
    assert compiled({"x": values}) == compiled({"x": shuffled})


@given(st.text("ab*", max_size=12), st.text("ab", max_size=12))
def test_wildcards_agree_with_a_reference(pattern: str, text: str) -> None:
    assert passes({"channel": pattern}, channel=text) == fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("a*" * 64, "a" * 127 + "b"), ("*a" * 64, "a" * 63), ("a*b*c*" * 20, "ab" * 64), ("*" * 128, "x" * 128)],
)
def test_adversarial_pattern_ends_at_once(pattern: str, text: str) -> None:
    """Exponential matchers hang here; there is nothing to time."""
    assert passes({"channel": pattern}, channel=text) is fnmatch.fnmatchcase(text, pattern.replace("**", "*"))


def test_filter_is_bounded_as_a_whole() -> None:
    """Each part within its bound, one connection's 128 subscriptions could keep 128 MiB of filters."""
    where = {f"field{number}": [f"{index}" + "z" * 1000 for index in range(100)] for number in range(10)}
    with pytest.raises(RequestError, match=f"filter_length={LIMITS.filter_length}") as caught:
        compiled(where)
    assert (caught.value.code, caught.value.field) == (ErrorCode.INVALID_FILTER, "data.where")
    assert compiled({"task_id": [f"{index:036}" for index in range(100)]}).conditions


@pytest.mark.parametrize("field", ["type", "event_type", "channel"])
def test_text_between_stars_is_bounded_for_each_field(field: str) -> None:
    """It is what must be searched for in the name of every event, for everybody; ends are only compared."""
    within = ["*" + "a" * 60 + "*", "*b*c"]
    assert compiled(
        {field: [*within, "d" * 100 + "*", "*" + "e" * 100, "f" * 50 + "*" + "g" * 50, "h" * 100]}
    ).conditions
    with pytest.raises(RequestError, match=r"have 65 characters: filter_search_length=64") as caught:
        compiled({field: [*within, "*b*cd", "x*"][1:] + within[:1]})
    assert (caught.value.code, caught.value.field) == (ErrorCode.INVALID_FILTER, f"data.where.{field}")
    with pytest.raises(RequestError, match="filter_search_length=0"):
        compile_filter({field: {"in": ["*a*"]}}, Limits(filter_search_length=0))


def test_stars_in_data_are_no_patterns_and_cost_nothing() -> None:
    assert passes({"x": "*" + "a" * 500 + "*"}, {"x": "*" + "a" * 500 + "*"})


def test_limit_of_searches_is_at_most_a_machine_word() -> None:
    with pytest.raises(ValueError, match="filter_search_length"):
        Limits(filter_search_length=65)


def test_wildcard_patterns_are_bounded_for_the_whole_filter() -> None:
    """Names are one look into a set, however many; patterns are compared one by one, for every event."""
    half = [f"{number}*" for number in range(16)]
    names = [f"name{number}" for number in range(60)]
    assert compiled({"type": half + names, "channel": [*half, *names], "x": ["*"]}).conditions
    with pytest.raises(RequestError, match="filter_patterns=32") as caught:
        compiled({"type": half, "event_type": half, "channel": "*"})
    assert (caught.value.code, caught.value.field) == (ErrorCode.INVALID_FILTER, "data.where")
