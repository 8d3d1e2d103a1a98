"""
A condition as a tree: what `parsing` makes of its text, and `evaluation` asks for a value.

Nodes are values without behaviour. They name fields by text, which is looked up in samples: there is nothing in the
language that reads an attribute of a Python object or calls one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Final

from attrs import field, frozen

from rtcore.features.alerts.window_functions import WindowFunction

__all__ = [
    "COMPARISONS",
    "Absolute",
    "Arithmetic",
    "Changed",
    "Comparison",
    "Expression",
    "FieldNeeds",
    "Kind",
    "Literal",
    "Logic",
    "Name",
    "Negative",
    "Not",
    "OverWindow",
    "field_needs",
    "kind_of",
    "parts_of",
]

COMPARISONS: Final = ("<", "<=", ">", ">=", "==", "!=")


class Kind(Enum):
    """What a value is, as far as it can be told before there is one."""

    NUMBER = "a number"
    TEXT = "text"
    TRUTH = "true or false"
    ANY = "a value"
    """A field may hold any of these."""


@frozen
class Literal:
    """A number, a text, true or false."""

    value: float | str | bool
    column: int = field(eq=False)


@frozen
class Name:
    """The newest value of a field."""

    name: str
    column: int = field(eq=False)


@frozen
class Negative:
    """A number with its sign turned."""

    operand: Expression
    column: int = field(eq=False)


@frozen
class Absolute:
    """A number without its sign."""

    operand: Expression
    column: int = field(eq=False)


@frozen
class Not:
    """True for false and false for true."""

    operand: Expression
    column: int = field(eq=False)


@frozen
class Arithmetic:
    """Two numbers and one of `+ - * / %`."""

    sign: str
    left: Expression
    right: Expression
    column: int = field(eq=False)
    """Of the sign."""


@frozen
class Comparison:
    """Two values and one of `COMPARISONS`."""

    sign: str
    left: Expression
    right: Expression
    column: int = field(eq=False)


@frozen
class Logic:
    """Two conditions and `and` or `or`."""

    word: str
    left: Expression
    right: Expression
    column: int = field(eq=False)


@frozen
class OverWindow:
    """What became of a field over the time before now."""

    function: WindowFunction
    name: str
    seconds: float
    parameter: float
    """What the function takes besides; 0 where it takes nothing."""
    column: int = field(eq=False)


@frozen
class Changed:
    """Whether a field's newest value differs from the one before."""

    name: str
    column: int = field(eq=False)


Expression = Literal | Name | Negative | Absolute | Not | Arithmetic | Comparison | Logic | OverWindow | Changed

_TRUTHS: Final = (Not, Comparison, Logic, Changed)
_NUMBERS: Final = (Negative, Absolute, Arithmetic)


def kind_of(node: Expression) -> Kind:
    """What the value of a node will be, if it has one."""
    if isinstance(node, OverWindow):
        return Kind.TRUTH if node.function.tells_truth else Kind.NUMBER
    if isinstance(node, Literal):
        return _kind_of_literal(node.value)
    if isinstance(node, _TRUTHS):
        return Kind.TRUTH
    return Kind.NUMBER if isinstance(node, _NUMBERS) else Kind.ANY


def _kind_of_literal(value: float | str | bool) -> Kind:
    if isinstance(value, bool):
        return Kind.TRUTH
    return Kind.TEXT if isinstance(value, str) else Kind.NUMBER


def parts_of(node: Expression) -> Iterator[Expression]:
    """A node and all below it, from left to right."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        if isinstance(current, Negative | Absolute | Not):
            pending.append(current.operand)
        elif isinstance(current, Arithmetic | Comparison | Logic):
            pending += [current.right, current.left]


@frozen
class FieldNeeds:
    """What must be remembered of a field for a condition."""

    seconds: float = 0.0
    """The longest window over it; 0: its newest value is enough."""


def field_needs(node: Expression) -> Mapping[str, FieldNeeds]:
    """What a condition needs of each field that it names, in the order in which it names them."""
    needs: dict[str, FieldNeeds] = {}
    for part in parts_of(node):
        if isinstance(part, Name | Changed):
            needs.setdefault(part.name, FieldNeeds())
        elif isinstance(part, OverWindow):
            before = needs.get(part.name, FieldNeeds())
            needs[part.name] = FieldNeeds(max(before.seconds, part.seconds))
    return needs
