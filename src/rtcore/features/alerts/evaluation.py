"""
What a condition says now: true, false, or unknown.

Unknown is a value of its own, as in SQL: a field that is missing or null, a window with too few samples, a division by
zero, a comparison of text with a number. `not unknown` is unknown; `false and unknown` is false and `true or unknown`
is true, since the other half settles it. A rule neither fires nor resolves on what is not known, and the verdict says
why it is not: that is how a mistake in a rule shows itself, instead of in an exception.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from attrs import define, frozen

from rtcore.features.alerts.expression import (
    Absolute,
    Arithmetic,
    Changed,
    Comparison,
    Expression,
    Literal,
    Logic,
    Name,
    Negative,
    Not,
    OverWindow,
)
from rtcore.features.alerts.sample_window import WindowView

__all__ = ["UNKNOWN", "Environment", "Scalar", "Verdict", "evaluate"]

Scalar = float | str | bool | None
"""The value of a field or of a part of a condition; None: unknown."""

_KIND_WORDS: Final[tuple[tuple[type, str], ...]] = ((bool, "true or false"), (str, "text"), (float, "a number"))


class Environment(Protocol):
    """What conditions read from: plain values, by the text of a name."""

    def latest(self, name: str) -> Scalar:
        """The newest value of a field: a float, text, bool, or None where it has none."""

    def previous(self, name: str) -> Scalar:
        """The value before the newest; None where there is none."""

    def window(self, name: str, seconds: float) -> WindowView:
        """The numeric samples of a field in so many seconds before now."""


@frozen
class Verdict:
    """What a condition says."""

    truth: bool | None
    """None: unknown."""
    reason: str | None = None
    """Why it is unknown, with the column."""


UNKNOWN: Final = Verdict(None, "no sample yet")
"""The verdict before the first sample."""


def evaluate(condition: Expression, environment: Environment) -> Verdict:
    """
    Ask a condition.

    Never raises for what is in the samples. Costs one call a node, and the length of each window.
    """
    evaluator = _Evaluator(environment)
    value = evaluator.truth(condition)
    return Verdict(value, evaluator.reason if value is None else None)


def _kind(value: Scalar) -> str:
    return next(words for kind, words in _KIND_WORDS if isinstance(value, kind))


_ARITHMETIC: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
}
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {  # Any: of one kind, which is checked before
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@define(eq=False)
class _Evaluator:
    """One evaluation; remembers the first reason for an unknown."""

    environment: Environment
    reason: str | None = None

    def note(self, reason: str, column: int) -> None:
        """Why a part is unknown."""
        if self.reason is None:
            self.reason = f"column {column}: {reason}"

    def value(self, node: Expression) -> Scalar:
        return _READERS[type(node)](self, node)

    def truth(self, node: Expression) -> bool | None:
        value = self.value(node)
        if value is None or isinstance(value, bool):
            return value
        self.note(f"expected true or false, got {_kind(value)}", node.column)
        return None

    def number(self, node: Expression) -> float | None:
        value = self.value(node)
        if value is None or isinstance(value, float):
            return value
        self.note(f"expected a number, got {_kind(value)}", node.column)
        return None

    def finite(self, value: float, column: int) -> float | None:
        if math.isfinite(value):
            return value
        self.note("the number is too large", column)
        return None


def _literal(_evaluator: _Evaluator, node: Literal) -> Scalar:
    return node.value


def _name(evaluator: _Evaluator, node: Name) -> Scalar:
    value = evaluator.environment.latest(node.name)
    if value is None:
        evaluator.note(f"no value of {node.name}", node.column)
    return value


def _negative(evaluator: _Evaluator, node: Negative) -> Scalar:
    value = evaluator.number(node.operand)
    return None if value is None else -value


def _absolute(evaluator: _Evaluator, node: Absolute) -> Scalar:
    value = evaluator.number(node.operand)
    return None if value is None else abs(value)


def _not(evaluator: _Evaluator, node: Not) -> Scalar:
    value = evaluator.truth(node.operand)
    return None if value is None else not value


def _arithmetic(evaluator: _Evaluator, node: Arithmetic) -> Scalar:
    left, right = evaluator.number(node.left), evaluator.number(node.right)
    if left is None or right is None:
        return None
    if right == 0 and node.sign in "/%":
        evaluator.note("division by zero", node.column)
        return None
    return evaluator.finite(_ARITHMETIC[node.sign](left, right), node.column)


def _comparison(evaluator: _Evaluator, node: Comparison) -> Scalar:
    if node.sign in ("==", "!="):
        left, right = evaluator.value(node.left), evaluator.value(node.right)
        if left is not None and right is not None and type(left) is not type(right):
            evaluator.note(f"compared {_kind(left)} with {_kind(right)}", node.column)
            return None
    else:
        left, right = evaluator.number(node.left), evaluator.number(node.right)
    return None if left is None or right is None else _COMPARE[node.sign](left, right)


def _logic(evaluator: _Evaluator, node: Logic) -> Scalar:
    settles = node.word == "or"
    left = evaluator.truth(node.left)
    if left is settles:
        return left
    right = evaluator.truth(node.right)
    if right is settles:
        return right
    return None if left is None or right is None else not settles


def _over_window(evaluator: _Evaluator, node: OverWindow) -> Scalar:
    view = evaluator.environment.window(node.name, node.seconds)
    try:
        values = view.ordered() if node.function.by_size else view.values
        value = node.function.compute(view.times, values, node.parameter)
    except OverflowError:
        evaluator.note("the number is too large", node.column)
        return None
    if value is None:
        evaluator.note(f"too few samples of {node.name}: {len(view.values)}", node.column)
        return None
    return value if isinstance(value, bool) else evaluator.finite(value, node.column)


def _changed(evaluator: _Evaluator, node: Changed) -> Scalar:
    newest, before = evaluator.environment.latest(node.name), evaluator.environment.previous(node.name)
    if newest is None or before is None:
        evaluator.note(f"no two values of {node.name}", node.column)
        return None
    return type(newest) is not type(before) or newest != before


_READERS: Final[Mapping[type, Callable[[_Evaluator, Any], Scalar]]] = {  # Any: each takes the type that is its key
    Literal: _literal,
    Name: _name,
    Negative: _negative,
    Absolute: _absolute,
    Not: _not,
    Arithmetic: _arithmetic,
    Comparison: _comparison,
    Logic: _logic,
    OverWindow: _over_window,
    Changed: _changed,
}
