"""
From the text of a condition to its tree.

    condition  = condition "or" condition | condition "and" condition | "not" condition
               | value ("<" | "<=" | ">" | ">=" | "==" | "!=") value | "(" condition ")" | name | true | false
    value      = value ("+" | "-" | "*" | "/" | "%") value | "-" value | "(" value ")" | number | text | name
               | "abs" "(" value ")" | "changed" "(" name ")" | function "(" name ["," number] "," duration ")"

from the loosest to the tightest: `or`, `and`, `not`, comparisons, `+ -`, `* / %`, the sign. Operators of one strength
group to the left; comparisons do not chain, because `a < b < c` is read in two ways by two readers.

What a condition may cost is settled here, not when it runs: its text, its nodes (brackets count as one, so they also
bound the depth of every walk) and the windows that it looks at are limited, each with a sample limit of its own. So an
evaluation has no budget to exceed. What can never have a value, such as `"a" + 1`, is refused here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from attrs import define, field

from rtcore.errors import ConditionError
from rtcore.features.alerts.expression import (
    COMPARISONS,
    Absolute,
    Arithmetic,
    Changed,
    Comparison,
    Expression,
    Kind,
    Literal,
    Logic,
    Name,
    Negative,
    Not,
    OverWindow,
    kind_of,
)
from rtcore.features.alerts.tokens import Token, TokenKind, tokenize
from rtcore.features.alerts.window_functions import WINDOW_FUNCTIONS, WindowFunction
from rtcore.values.limits import Limits

__all__ = ["FUNCTION_NAMES", "parse_condition"]

FUNCTION_NAMES: Final = (*WINDOW_FUNCTIONS, "abs", "changed")

_STRENGTHS: Final[Mapping[str, int]] = {
    "or": 1,
    "and": 2,
    **dict.fromkeys(COMPARISONS, 4),
    **dict.fromkeys("+-", 5),
    **dict.fromkeys("*/%", 6),
}
_NOT_STRENGTH: Final = 3
_SIGN_STRENGTH: Final = 7


def parse_condition(text: str, limits: Limits) -> Expression:
    """
    The tree of a condition.

    Raises:
        ConditionError: With the column of what is wrong.
    """
    if len(text) > limits.alert_condition_length:
        raise ConditionError(
            f"condition of {len(text)} characters exceeds alert_condition_length={limits.alert_condition_length}",
            limits.alert_condition_length + 1,
        )
    parser = _Parser(list(tokenize(text)), limits)
    return parser.condition()


@define(eq=False)
class _Parser:
    """Precedence climbing: one call a level of nesting."""

    tokens: list[Token]
    limits: Limits
    place: int = field(init=False, default=0)
    nodes: int = field(init=False, default=0)
    windows: int = field(init=False, default=0)

    def condition(self) -> Expression:
        """The whole text."""
        if self.current.kind is TokenKind.END:
            raise ConditionError("expected a condition, such as cpu_utilization > 0.8", 1)
        node = self.climb(0)
        if self.place < len(self.tokens) - 1:
            raise self.unexpected("expected an operator or the end")
        if kind_of(node) not in (Kind.TRUTH, Kind.ANY):
            raise ConditionError(f"expected a comparison, such as value > 0.8, got {kind_of(node).value}", 1)
        return node

    @property
    def current(self) -> Token:
        return self.tokens[self.place]

    def next(self) -> Token:
        token = self.current
        self.place += token.kind is not TokenKind.END
        return token

    def unexpected(self, expected: str) -> ConditionError:
        """Say what should be here, after what, and what is."""
        token = self.current
        after = f" after {self.tokens[self.place - 1].shown}" if self.place else ""
        lower = token.text.lower()
        hint = f'; write "{lower}" in small letters' if token.text != lower and lower in ("and", "or", "not") else ""
        return ConditionError(f"{expected}{after}, got {token.shown}{hint}", token.column)

    def count(self, column: int) -> None:
        """One node or bracket more."""
        self.nodes += 1
        if self.nodes > self.limits.alert_condition_nodes:
            raise ConditionError(
                f"condition has more than alert_condition_nodes={self.limits.alert_condition_nodes} "
                "names, values, operators and brackets",
                column,
            )

    def climb(self, strength: int) -> Expression:
        """An expression of operators that bind tighter than `strength`."""
        left = self.operand()
        while (token := self.current).kind in (TokenKind.SIGN, TokenKind.WORD):
            own = _STRENGTHS.get(token.text, 0)
            if own <= strength:
                break
            self.next()
            self.count(token.column)
            left = _join(token, left, self.climb(own))
            if token.text in COMPARISONS and self.current.text in COMPARISONS and self.current.kind is TokenKind.SIGN:
                raise ConditionError('comparisons do not chain; join two with "and"', self.current.column)
        return left

    def operand(self) -> Expression:
        token = self.current
        self.count(token.column)
        if token.kind is TokenKind.SIGN:
            return self.after_sign()
        if token.kind is TokenKind.WORD and token.text in ("true", "false"):
            return Literal(self.next().text == "true", token.column)
        if token.kind is TokenKind.WORD and token.text == "not":
            self.next()
            return Not(_need(Kind.TRUTH, self.climb(_NOT_STRENGTH), "not"), token.column)
        if token.kind is TokenKind.NUMBER:
            return Literal(self.next().number, token.column)
        if token.kind is TokenKind.TEXT:
            return Literal(self.next().text, token.column)
        if token.kind is TokenKind.NAME:
            return self.after_name(self.next())
        if token.kind is TokenKind.DURATION:
            raise ConditionError(
                f"{token.shown} is a duration, which stands only in a function over a window", token.column
            )
        raise self.unexpected("expected a value")

    def after_sign(self) -> Expression:
        token = self.current
        if token.text == "(":
            self.next()
            inner = self.climb(0)
            self.expect(")")
            return inner
        if token.text == "-":
            self.next()
            return Negative(_need(Kind.NUMBER, self.climb(_SIGN_STRENGTH), "-"), token.column)
        raise self.unexpected("expected a value")

    def expect(self, sign: str) -> None:
        if self.current.kind is not TokenKind.SIGN or self.current.text != sign:
            raise self.unexpected(f'expected "{sign}"')
        self.next()

    def after_name(self, name: Token) -> Expression:
        if self.current.kind is not TokenKind.SIGN or self.current.text != "(":
            return Name(name.text, name.column)
        function = WINDOW_FUNCTIONS.get(name.text)
        if function is None and name.text not in _CALLS:
            raise ConditionError(f'no function "{name.text}"; there are {", ".join(FUNCTION_NAMES)}', name.column)
        self.next()
        node = self.window_call(name, function) if function is not None else _CALLS[name.text](self, name)
        self.expect(")")
        return node

    def field_name(self, usage: str) -> str:
        if self.current.kind is not TokenKind.NAME:
            raise self.unexpected(f"expected a field, as in {usage},")
        return self.next().text

    def window_call(self, name: Token, function: WindowFunction) -> Expression:
        self.windows += 1
        if self.windows > self.limits.alert_condition_windows:
            raise ConditionError(
                f"more than alert_condition_windows={self.limits.alert_condition_windows} functions over a window",
                name.column,
            )
        field_name = self.field_name(function.usage)
        parameter = 0.0
        if function.parameter is not None:
            self.expect(",")
            parameter = self.parameter(function)
        self.expect(",")
        return OverWindow(function, field_name, self.window(function), parameter, name.column)

    def parameter(self, function: WindowFunction) -> float:
        token = self.current
        if token.kind is not TokenKind.NUMBER:
            raise self.unexpected(f"expected a number, as in {function.usage},")
        if not function.takes(token.number):
            open_ended = math.isinf(function.most)
            bounds = f"over {function.least:g}" if open_ended else f"from {function.least:g} to {function.most:g}"
            raise ConditionError(f"expected a number {bounds}, got {token.text}", token.column)
        return self.next().number

    def window(self, function: WindowFunction) -> float:
        token = self.current
        if token.kind is not TokenKind.DURATION:
            raise self.unexpected(f"expected a duration, as in {function.usage},")
        if not 0 < token.number <= self.limits.alert_window_seconds:
            raise ConditionError(
                f"expected a window over 0 and up to alert_window_seconds={self.limits.alert_window_seconds:g}, "
                f"got {token.text}",
                token.column,
            )
        return self.next().number


def _absolute(parser: _Parser, name: Token) -> Expression:
    return Absolute(_need(Kind.NUMBER, parser.climb(0), "abs"), name.column)


def _changed(parser: _Parser, name: Token) -> Expression:
    return Changed(parser.field_name("changed(field)"), name.column)


_CALLS: Final[Mapping[str, Callable[[_Parser, Token], Expression]]] = {"abs": _absolute, "changed": _changed}


def _need(kind: Kind, node: Expression, by: str) -> Expression:
    """The node, if its value can be what an operator needs."""
    if kind_of(node) not in (kind, Kind.ANY):
        raise ConditionError(f'"{by}" needs {kind.value}, got {kind_of(node).value}', node.column)
    return node


def _join(token: Token, left: Expression, right: Expression) -> Expression:
    sign = token.text
    if sign in ("and", "or"):
        return Logic(sign, _need(Kind.TRUTH, left, sign), _need(Kind.TRUTH, right, sign), token.column)
    if sign in ("==", "!="):
        kinds = {kind_of(left), kind_of(right)} - {Kind.ANY}
        if len(kinds) > 1:
            raise ConditionError(
                f'"{sign}" compares {kind_of(left).value} with {kind_of(right).value}, which are never equal',
                token.column,
            )
        return Comparison(sign, left, right, token.column)
    both = _need(Kind.NUMBER, left, sign), _need(Kind.NUMBER, right, sign)
    return Comparison(sign, *both, token.column) if sign in COMPARISONS else Arithmetic(sign, *both, token.column)
