"""
Filters as they run for each event, in both implementations, against an oracle that does all in the plainest way.

The oracle knows nothing of programs: it makes a value plain, walks through the wish that a client would send, and
matches wildcards by a regular expression, which the product never does.
"""

from __future__ import annotations

import math
import random
import re
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType, ModuleType
from typing import Any, NoReturn

import pytest

from rtcore.errors import RequestError
from rtcore.hub.filters import compile_filter
from rtcore.values.limits import Limits

Load = Callable[[str], ModuleType]
LIMITS = Limits()


class Phase(StrEnum):
    A = "a"
    TYPE = "task.progress"


class Number(IntEnum):
    ONE = 1


class Foreign(Enum):
    A = "a"


def refuse(*_: object) -> NoReturn:
    raise AssertionError("code of the data was run")


HOSTILE = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__bool__", "__len__", "__str__")
HOSTILE_NUMBER = (*HOSTILE, "__int__", "__float__", "__index__")
HOSTILE_TABLE = ("__getitem__", "__contains__", "__missing__", "__iter__", "get", "keys", "items", *HOSTILE)
HostileText = type("HostileText", (str,), dict.fromkeys((*HOSTILE, "find", "startswith", "endswith"), refuse))
HostileInt = type("HostileInt", (int,), dict.fromkeys(HOSTILE_NUMBER, refuse))
HostileFloat = type("HostileFloat", (float,), dict.fromkeys(HOSTILE_NUMBER, refuse))
HostileTable = type("HostileTable", (dict,), dict.fromkeys(HOSTILE_TABLE, refuse))
HostileThing = type("HostileThing", (), dict.fromkeys((*HOSTILE_NUMBER, *HOSTILE_TABLE), refuse))

TEXTS = ["", "a", "b", "1", "true", "aé", "\U0001f600", "a" * 300, "2025-01-15T12:00:00.000Z"]
NUMBERS = [0, 1, -1, 1.0, 0.5, -0.0, 2**53, 2**53 + 1, float(2**53), 10**18, 1e300]
WILD = [10**400, -(10**400), 2**64, -(2**63) - 1, math.nan, math.inf, -math.inf]
CLASSED = [Phase.A, Number.ONE, HostileText("a"), HostileText("zz"), HostileInt(1), HostileFloat(0.5)]
THINGS = [Foreign.A, HostileThing(), object(), b"a", Decimal(1), 1j, [], ["a"], ("a",), {1}, MappingProxyType({"a": 1})]
VALUES = [None, True, False, *TEXTS, *NUMBERS, *WILD, *CLASSED, *THINGS]
TABLES = [dict, OrderedDict, HostileTable, lambda fields: defaultdict(refuse, fields)]
KEYS = ["a", "b", "c", "é"]
NAMES = ["task.progress", "task.failed", "tool.output", "t", "a.b.c", "tt.k", "é.x"]
PATTERNS = [
    *NAMES,
    "*",
    "task.*",
    "*.failed",
    "t*.p*s",
    "*o*",
    "*a*b*",
    "t*t",
    "*.*",
    "**",
    "*é*",
    "*k*s*o*",
    "tt*t",
    "*t*t*t*",
]


def random_data(chance: random.Random, depth: int = 3) -> Any:
    """Objects in objects, of classes of all kinds, and anything at all in them."""
    if depth == 0 or chance.random() < 0.25:
        return chance.choice(VALUES)
    keys = chance.sample(KEYS, chance.randrange(len(KEYS) + 1))
    return chance.choice(TABLES)({key: random_data(chance, depth - 1) for key in keys})


def random_condition(chance: random.Random, pool: list[Any], ranges: bool) -> Any:
    kind = chance.randrange(4 if ranges else 3)
    if kind == 0:
        return chance.choice(pool)
    if kind == 1:
        return {"eq": chance.choice(pool)}
    if kind == 2:
        return {"in": chance.choices(pool, k=chance.randint(1, 5))}
    values = chance.choice([TEXTS, NUMBERS])
    lower, upper = chance.choice(["gt", "gte", ""]), chance.choice(["lt", "lte", ""])
    return {operator: chance.choice(values) for operator in (lower, upper) if operator} or {"gt": chance.choice(values)}


def random_wish(chance: random.Random) -> dict[str, Any]:
    wish: dict[str, Any] = {}
    for _ in range(chance.randint(1, 3)):
        path = ".".join(chance.choices(KEYS, k=chance.choice([1, 1, 1, 2, 3])))
        wish[path] = random_condition(chance, [None, True, False, *TEXTS, *NUMBERS], ranges=True)
    for name in ("type", "event_type", "channel"):
        if chance.random() < 0.2:
            wish[name] = random_condition(chance, PATTERNS, ranges=False)
    return wish


def likely_event(chance: random.Random, wish: dict[str, Any]) -> tuple[str, str, Any]:
    """An event that was made for a wish, so that about half of them pass."""
    data: Any = chance.choice(TABLES)({})
    names = {"type": chance.choice(NAMES), "channel": chance.choice(NAMES)}
    for key, wanted in wish.items():
        if isinstance(wanted, dict):
            wanted = wanted.get("in") or list(wanted.values())
        value = chance.choice(wanted) if isinstance(wanted, list) else wanted
        if key in ("type", "event_type", "channel"):
            names[key.removeprefix("event_")] = value.replace("*", chance.choice(["", "x", ".t"]))
            continue
        fields, (*path, last) = data, key.split(".")
        for step in path:
            inner = dict.get(fields, step)
            if not isinstance(inner, dict):
                inner = chance.choice(TABLES)({})
                dict.__setitem__(fields, step, inner)
            fields = inner
        dict.__setitem__(fields, last, value)
    return names["type"], names["channel"], data


def plain(value: Any) -> Any:
    """What JSON has of a value; `...` for all that no condition holds for."""
    if value is None or isinstance(value, bool):
        return value
    for kind, read in ((str, str.__str__), (int, int.__int__), (float, float.__float__)):
        if isinstance(value, kind):
            return read(value)
    return ...


def kind_of(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return repr(value)
    return "text" if isinstance(value, str) else "number" if isinstance(value, int | float) else "nothing"


def equal(one: Any, other: Any) -> bool:
    return kind_of(one) == kind_of(other) != "nothing" and bool(one == other)


def fits(pattern: str, name: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}


def condition_holds(wanted: Any, value: Any, *, named: bool) -> bool:
    if isinstance(wanted, dict) and not {"eq", "in"} & wanted.keys():
        return all(kind_of(value) == kind_of(bound) and COMPARE[key](value, bound) for key, bound in wanted.items())
    if isinstance(wanted, dict):
        wanted = wanted.get("in", wanted.get("eq"))
    options = wanted if isinstance(wanted, list) else [wanted]
    return any(fits(each, value) if named else equal(value, each) for each in options)


def expected(wish: dict[str, Any], event_type: str, channel: str, data: Any) -> bool:
    for key, wanted in wish.items():
        if key in ("type", "event_type", "channel"):
            if not condition_holds(wanted, plain(channel if key == "channel" else event_type), named=True):
                return False
            continue
        value = data
        for step in key.split("."):
            value = dict.get(value, step, ...) if isinstance(value, dict) else ...
        if not condition_holds(wanted, plain(value), named=False):
            return False
    return True


@pytest.fixture
def program(load_twin: Load) -> Callable[[Any], Any]:
    """A wish, read as the hub reads it and made a program of one implementation."""
    family = load_twin("filter_program")
    return lambda wish: family.FilterProgram(compile_filter(wish, LIMITS).conditions)


@pytest.mark.parametrize("seed", range(5))
def test_programs_agree_with_the_oracle_whatever_the_data(program: Callable[[Any], Any], seed: int) -> None:
    """Classes of the data's own are judged by what JSON has of them, and none of their code runs."""
    chance = random.Random(seed)
    verdicts = {True: 0, False: 0}
    for _ in range(200):
        wish = random_wish(chance)
        judge = program(wish)
        for turn in range(24):
            event = (chance.choice(NAMES), chance.choice(NAMES), random_data(chance))
            if turn % 2:
                event = likely_event(chance, wish)
            verdict = judge.matches(*event)
            assert verdict is expected(wish, *event), (wish, event[:2])
            verdicts[verdict] += 1
    assert min(verdicts.values()) > 1000


@pytest.mark.parametrize("seed", range(5))
def test_many_programs_at_once_say_what_each_says(program: Callable[[Any], Any], load_twin: Load, seed: int) -> None:
    """So that a thousand filters of one channel cost one call for each event."""
    chance = random.Random(seed)
    passing = load_twin("filter_program").passing
    assert passing([], "t", "c", None) == []
    for _ in range(50):
        wishes = [random_wish(chance) for _ in range(chance.randrange(1, 20))]
        judges = [chance.choice([None, *[program(wish)] * 3]) for wish in wishes]
        for _ in range(20):
            event = likely_event(chance, chance.choice(wishes))
            each = [judge is None or judge.matches(*event) for judge in judges]
            assert passing(judges, *event) == [place for place, passes in enumerate(each) if passes]


@pytest.mark.parametrize(
    "wanted", [None, True, False, "a", "1", 0, 1, 1.0, 0.5, -1, 2**53, {"gte": 0}, {"lt": "b"}, {"lte": 1}]
)
def test_every_value_is_judged_as_json_means_it(program: Callable[[Any], Any], wanted: Any) -> None:
    for wish in ({"x": wanted}, {"x": [wanted, "other", 77, None]}):
        if isinstance(wanted, dict) and isinstance(wish["x"], list):
            continue
        judge = program(wish)
        for value in VALUES:
            assert judge.matches("t", "c", {"x": value}) is expected(wish, "t", "c", {"x": value}), (wish, type(value))
            assert judge.matches("t", "c", value) is False


@pytest.mark.parametrize("seed", range(5))
def test_patterns_agree_with_regular_expressions(program: Callable[[Any], Any], seed: int) -> None:
    """Many patterns searched for at once must not run into each other: each has its own bits of one word."""
    chance = random.Random(seed)
    found = 0
    for _ in range(1500):
        patterns: list[str] = []
        while len(patterns) < chance.randint(1, 8):
            pattern = "".join(chance.choices("aab**.é", k=chance.randrange(9)))
            patterns.append(pattern)
        name = "".join(chance.choices("aab.é*", k=chance.randrange(14)))
        verdict = program({"channel": patterns}).matches("t", name, None)
        assert verdict is any(fits(pattern, name) for pattern in patterns), (patterns, name)
        found += verdict
    assert 300 < found < 1400


@pytest.mark.parametrize("pieces", [1, 2, 3, 32, 64])
def test_a_whole_word_of_patterns_is_searched_for(program: Callable[[Any], Any], pieces: int) -> None:
    """To the last bit: 64 characters, in one pattern or in many."""
    size = 64 // pieces
    texts = [chr(0x61 + number % 26) * (size - 1) + chr(0x41 + number % 26) for number in range(pieces)]
    one = program({"channel": "*" + "*".join(texts) + "*"})
    assert one.matches("t", "-".join(texts), None) is True
    assert one.matches("t", "-".join(texts)[:-1], None) is False
    each = program({"channel": [f"*{text}*" for text in dict.fromkeys(texts)]})
    for text in texts:
        assert each.matches("t", f"<{text}>", None) is True
        assert each.matches("t", f"<{text[:-1]}>", None) is False


def test_patterns_that_are_searched_for_together_do_not_run_into_each_other(program: Callable[[Any], Any]) -> None:
    """The last bit of one stands before the first of the next, which must hold at the start of a name only."""
    judge = program({"channel": ["b*c*d", "a*q*a"]})
    for name, verdict in (("bcd", True), ("aqa", True), ("aqabcd", False), ("xbcd", False), ("bcdaqa", False)):
        assert judge.matches("t", name, None) is verdict, name
    judge = program({"channel": ["a*q*b", "c*r*d"]})
    assert judge.matches("t", "aqbcrd", None) is False


def test_more_than_a_word_of_patterns_is_refused(load_twin: Load) -> None:
    """`compile_filter` refuses it with the path; a program that could not keep its promise is not made at all."""
    family = load_twin("filter_program")
    patterns = [("text", f"*{chr(0x61 + number) * 13}*") for number in range(5)]
    with pytest.raises(ValueError, match="65 characters of patterns to search for exceed 64"):
        family.FilterProgram([("type", ("like", *patterns))])
    with pytest.raises(RequestError, match="filter_search_length=64"):
        compile_filter({"type": [pattern for _, pattern in patterns]}, LIMITS)


def test_types_and_channels_may_have_classes_of_their_own(program: Callable[[Any], Any]) -> None:
    """An application's event types are often a `StrEnum`."""
    for wish in ("task.progress", "task.*", "*.progress", "t*s", "*k.p*", ["task.progress", "x"]):
        for name in (Phase.TYPE, HostileText("task.progress")):
            assert program({"type": wish}).matches(name, "c", None) is True
            assert program({"channel": wish}).matches("t", name, None) is True
            assert program({"type": wish}).matches("t", name, None) is False


def test_no_condition_lets_everything_pass(load_twin: Load) -> None:
    assert load_twin("filter_program").FilterProgram(()).matches("t", "c", HostileThing()) is True
