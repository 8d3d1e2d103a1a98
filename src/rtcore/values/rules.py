"""
Validators that say what they expect.

One rule serves twice: as an attrs validator when settings are built in code, and as the words of a fault when they are
read from a file. attrs' own number validators, which `Limits` and `Namespace` use, are put into the same words here.
"""

from __future__ import annotations

import ipaddress
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import field, frozen

from rtcore.values.shown import Kinds, show

__all__ = [
    "LONGEST_SECONDS",
    "Rule",
    "bound_of",
    "each",
    "file_path",
    "items",
    "name_set",
    "network",
    "number",
    "one_of",
    "optional",
    "show_setting",
    "table",
    "text",
    "whole",
]

LONGEST_SECONDS: Final = 100 * 365 * 86_400
"""Longest time that settings may give something whose end is told as a date: RFC 3339 has no year after 9999."""

_KINDS: Final[Kinds] = (
    (type(None), "nothing"),
    (dict, "a table"),
    ((list, tuple, set, frozenset), "a list"),
    (str, "text"),
    (bool, "true or false"),
    ((int, float), "a number"),
)


def show_setting(value: object, *, secret: bool = False) -> str:
    """A wrong value of a setting, as a message may repeat it: see `show`; kinds have the names that TOML gives them."""
    return show(value, secret=secret, kinds=_KINDS)


@frozen
class Rule:
    """An attrs validator with the words for its faults."""

    expectation: str
    """What follows `expected`, such as `a whole number from 0 to 65535`."""
    passes: Callable[[Any], bool]
    secret: bool = False
    parts: Callable[[Any], Iterable[tuple[str | int, str]]] = field(default=lambda _value: ())
    """Of a list or table that does not pass: each index or key that is to blame, with the words for it."""

    def __call__(self, _instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not self.passes(value):
            parts = [f"{attribute.name}[{json.dumps(place)}]: {words}" for place, words in self.parts(value)]
            raise ValueError("\n".join(parts) or f"{attribute.name}: {self.words(value)}")

    def words(self, value: object) -> str:
        """What is said of a value that does not pass."""
        return f"expected {self.expectation}, got {show_setting(value, secret=self.secret)}"


def whole(least: int, most: int | None = None) -> Rule:
    """A whole number from `least` to `most`, both included."""

    def passes(value: object) -> bool:
        return type(value) is int and least <= value and (most is None or value <= most)

    return Rule(f"a whole number {f'of at least {least}' if most is None else f'from {least} to {most}'}", passes)


def number(least: float = 0, *, over: bool = False, most: float = math.inf) -> Rule:
    """A finite number of at least `least`, or over it; and up to `most`."""

    def passes(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return False
        return (value > least if over else value >= least) and value <= most

    end = "" if most == math.inf else f", up to {most:.15g}"
    return Rule(f"a number {'over' if over else 'of at least'} {least:g}{end}", passes)


def text(expectation: str = "text that is not empty", passes: Callable[[str], bool] = bool) -> Rule:
    """Text that passes a test; by default, that it is not empty."""
    return Rule(expectation, lambda value: isinstance(value, str) and passes(value))


def network(example: str) -> Rule:
    """A network of IP addresses, or one address."""
    return text(f'a network such as "{example}"', _is_network)


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        return False
    return True


def one_of(*choices: str) -> Rule:
    """One of a few words."""
    return Rule(f"one of {', '.join(json.dumps(choice) for choice in choices)}", lambda value: value in choices)


def each(rule: Rule) -> Rule:
    """A tuple or frozen set of values that each pass a rule."""

    def passes(value: object) -> bool:
        return isinstance(value, (tuple, frozenset)) and all(rule.passes(item) for item in value)

    def parts(value: object) -> Iterable[tuple[str | int, str]]:
        if isinstance(value, (list, tuple, frozenset)):
            for index, item in enumerate(value):
                if not rule.passes(item):  # a set has no order: an item of one is named by itself
                    yield (_place(item) if isinstance(value, frozenset) else index), rule.words(item)

    return Rule(f"a list, each item {rule.expectation}", passes, rule.secret, parts)


def table(expectation: str, name: Rule, item: Rule, *, secret: bool = False) -> Rule:
    """A table whose names all pass one rule, and its items another."""

    def passes(value: object) -> bool:
        return isinstance(value, Mapping) and all(name.passes(key) and item.passes(each) for key, each in value.items())

    def parts(value: object) -> Iterable[tuple[str | int, str]]:
        if isinstance(value, Mapping):
            for key, each in value.items():
                if not name.passes(key):
                    yield _place(key), name.words(key)
                elif not item.passes(each):
                    yield _place(key), item.words(each)

    return Rule(expectation, passes, secret, parts)


def _place(key: object) -> str | int:
    """How the place of a fault is named after a key, which may be anything where settings are built in code."""
    return key if isinstance(key, str | int) else show_setting(key)


def items(value: Iterable[str]) -> tuple[str, ...]:
    """
    Converter: a tuple. What is no list stays what it is, so that its rule refuses it: text would be taken for its
    letters, and a table for its keys.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return value  # type: ignore[return-value]  # a fault, named by its rule
    return tuple(value)


def name_set(value: Iterable[str]) -> frozenset[str]:
    """Converter: a set; likewise, and so is a list of what a set cannot hold."""
    given = items(value)
    try:
        return frozenset(given) if isinstance(given, tuple) else given
    except TypeError:
        return given  # type: ignore[return-value]  # likewise


def optional(rule: Rule) -> Rule:
    """Nothing, or what passes a rule."""
    return Rule(rule.expectation, lambda value: value is None or rule.passes(value), rule.secret, rule.parts)


def file_path() -> Rule:
    """A path of the file system."""
    return Rule("a path", lambda value: isinstance(value, Path))


def bound_of(validator: object) -> tuple[str, float] | None:
    """
    The comparison and bound of attrs' own `ge` or `gt`, also inside `optional`, or of `ge` and `le` together; None for
    every other validator.

    Read from the validator's attributes, because attrs has no public way to ask; should they go, the fault only loses
    the bound in its words.
    """
    inner = getattr(validator, "validator", validator)
    both = [_comparison(each) for each in getattr(inner, "_validators", ())]
    if [operator for operator, _ in both] == [">=", "<="]:
        return f"from {both[0][1]:g} to", both[1][1]
    operator, bound = _comparison(inner)
    return ("over" if operator == ">" else "of at least", bound) if operator in (">", ">=") else None


def _comparison(validator: object) -> tuple[str, float]:
    operator, bound = getattr(validator, "compare_op", None), getattr(validator, "bound", None)
    return (operator, bound) if isinstance(operator, str) and isinstance(bound, int | float) else ("", 0)
