"""
A filter's conditions, made ready: what runs for each event, once per distinct filter.

Conditions come in canonical form (see `rtcore.hub.filter_conditions`) and are not checked again. Each becomes one
object that finds its value and judges it; what is cheap and settles most events is asked first.

Nothing here raises, whatever the data: before it is judged, a value is made plain, which is what JSON has of it: text,
a number, true, false, null, or nothing that a condition could hold for. So no code of the data's own classes runs.

Patterns are sorted by what they cost. Names without a star are one look into a set; `task.*`, `*.failed` and
`task.*.failed` compare ends; what has something between two stars is searched for, all such patterns at once, in
a time that depends on the name alone.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

__all__ = ["FilterProgram", "passing"]

_DATA = 0
_TYPE = 1
_CHANNEL = 2

_WORD_BITS = 64
_TABLE = 128  # names are ASCII; a character beyond it is looked up elsewhere

_NOTHING = object()
"""What no condition holds for: a field that is not there, an object, an array."""


class FilterProgram:
    """
    Judges events.

    Args:
        conditions: Pairs of a field (`type`, `channel`, or a path into the data with a leading dot) and its condition:
            `("in", ...)`, `("like", ...)` or `("range", ...)`, with pairs of a kind and a value, or of a bound's name
            and the bound. Patterns with something between two stars have at most 64 other characters in one condition.

    Raises:
        ValueError: If they have more.
    """

    __slots__ = ("_steps",)

    def __init__(self, conditions: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        self._steps = tuple(sorted([_Step(name, condition) for name, condition in conditions], key=_cost_of))

    def matches(self, event_type: str, channel: str, data: object) -> bool:
        """Whether an event passes: all conditions must hold; never raises, whatever its data."""
        for step in self._steps:  # noqa: SIM110  # a generator in `all(...)` would cost more than most conditions
            if not step.passes(event_type, channel, data):
                return False
        return True


def passing(programs: list[FilterProgram | None], event_type: str, channel: str, data: object) -> list[int]:
    """
    Which of many filters an event passes, by their places; in one call, since a hub may hold thousands.

    Args:
        programs: The filters; None lets everything pass.
        event_type: The event's type.
        channel: Its channel.
        data: Its data.
    """
    places: list[int] = []
    for place, program in enumerate(programs):
        if program is None or program.matches(event_type, channel, data):
            places.append(place)
    return places


class _Step:
    """One condition: where its value is found, and what must hold for it."""

    __slots__ = ("_check", "_path", "_source", "cost")

    def __init__(self, name: str, condition: tuple[object, ...]) -> None:
        self._check = _check_for(condition)
        self._path: tuple[str, ...] = ()
        self._source = _DATA
        self.cost = self._check.cost
        if name == "type":
            self._source = _TYPE
        elif name == "channel":
            self._source = _CHANNEL
        else:
            self._path = tuple(name[1:].split("."))
            self.cost = len(self._path)

    def passes(self, event_type: str, channel: str, data: object) -> bool:
        value = data
        if self._source == _TYPE:
            value = event_type
        elif self._source == _CHANNEL:
            value = channel
        else:
            for key in self._path:
                if type(value) is dict:
                    fields = value
                    value = fields.get(key, _NOTHING)
                else:
                    value = _field(value, key)
        return self._check.holds(value if type(value) is str else _plain(value))


def _cost_of(step: _Step) -> int:
    return step.cost


def _field(value: object, key: str) -> object:
    """A field of an object that has a class of its own, without its methods; nothing where there is no object."""
    return dict.get(value, key, _NOTHING) if isinstance(value, dict) else _NOTHING


def _plain(value: object) -> object:
    """A scalar as JSON has it: without its own class, which may compare as it likes; all else is nothing."""
    kind = type(value)
    if kind is str or kind is int or kind is float or kind is bool or value is None:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return _NOTHING


class _Check:
    """What must hold for a plain value."""

    __slots__ = ("cost",)

    def __init__(self) -> None:
        self.cost = 0

    def holds(self, value: object) -> bool:
        return False


class _OneText(_Check):
    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        _Check.__init__(self)
        self._text = text

    def holds(self, value: object) -> bool:
        return value == self._text


class _OneNumber(_Check):
    __slots__ = ("_number",)

    def __init__(self, number: float) -> None:
        _Check.__init__(self)
        self._number = number

    def holds(self, value: object) -> bool:
        return (type(value) is int or type(value) is float) and value == self._number


class _OneOf(_Check):
    """A set of values; `True` is not 1 in it, and a text longer than all of them is not even hashed."""

    __slots__ = ("_longest", "_numbers", "_singletons", "_texts")

    def __init__(self, values: Sequence[object]) -> None:
        _Check.__init__(self)
        texts = [value for value in values if isinstance(value, str)]
        self._texts = frozenset(texts)
        self._longest = max(map(len, texts), default=0)
        self._singletons = tuple([value for value in values if value is None or isinstance(value, bool)])
        self._numbers = frozenset(
            [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        )

    def holds(self, value: object) -> bool:
        if type(value) is str:
            text = value
            return len(text) <= self._longest and text in self._texts
        if type(value) is int or type(value) is float:
            return value in self._numbers
        for singleton in self._singletons:  # noqa: SIM110  # a generator in `any(...)` would cost more
            if value is singleton:
                return True
        return False


class _TextRange(_Check):
    __slots__ = ("_above", "_below", "_least", "_most")

    def __init__(self, bounds: dict[str, str]) -> None:
        _Check.__init__(self)
        self._above = bounds.get("gt")
        self._least = bounds.get("gte")
        self._below = bounds.get("lt")
        self._most = bounds.get("lte")

    def holds(self, value: object) -> bool:
        if type(value) is not str:
            return False
        text = value
        return (
            (self._least is None or text >= self._least)
            and (self._above is None or text > self._above)
            and (self._most is None or text <= self._most)
            and (self._below is None or text < self._below)
        )


class _NumberRange(_Check):
    __slots__ = ("_above", "_below", "_least", "_most")

    def __init__(self, bounds: dict[str, float]) -> None:
        _Check.__init__(self)
        self._above = bounds.get("gt")
        self._least = bounds.get("gte")
        self._below = bounds.get("lt")
        self._most = bounds.get("lte")

    def holds(self, value: object) -> bool:
        if type(value) is not int and type(value) is not float:
            return False
        number = value
        return (
            (self._least is None or number >= self._least)
            and (self._above is None or number > self._above)
            and (self._most is None or number <= self._most)
            and (self._below is None or number < self._below)
        )


class _Patterns(_Check):
    """Names, and patterns of names; one of them must fit."""

    __slots__ = ("_ends", "_names", "_prefixes", "_search", "_suffixes")

    def __init__(self, patterns: Sequence[str]) -> None:
        _Check.__init__(self)
        cut = [pattern.split("*") for pattern in patterns]
        searched = [pattern for pattern, pieces in zip(patterns, cut, strict=True) if any(pieces[1:-1])]
        starred = [pieces for pieces in cut if len(pieces) > 1 and not any(pieces[1:-1])]
        self._names = frozenset([pieces[0] for pieces in cut if len(pieces) == 1])
        self._prefixes = tuple([pieces[0] for pieces in starred if not pieces[-1]])
        self._suffixes = tuple([pieces[-1] for pieces in starred if pieces[-1] and not pieces[0]])
        self._ends = tuple([(pieces[0], pieces[-1]) for pieces in starred if pieces[0] and pieces[-1]])
        self._search = _Search(searched) if searched else None
        self.cost = 1 if self._ends or searched else 0

    def holds(self, value: object) -> bool:
        if type(value) is not str:
            return False
        text = value
        if self._names and text in self._names:
            return True
        if self._prefixes and text.startswith(self._prefixes):
            return True
        if self._suffixes and text.endswith(self._suffixes):
            return True
        for ends in self._ends:
            first, last = ends
            if text.startswith(first) and text.endswith(last) and len(text) >= len(first) + len(last):
                return True
        return self._search is not None and self._search.fits(text)


class _Search:
    """
    Patterns with something between two stars, all at once: one step for each character of a name, whatever they are.

    Each character of the patterns has a bit in a word, set while it is the last that the name so far has fitted; the
    bit of one before a star stays set. So a step is a shift, for what comes next in each pattern, a mask, for those
    that the name's character fits, and what stays. Source: Baeza-Yates and Gonnet, "A new approach to text searching".

    Args:
        patterns: Of at most 64 characters in all, stars not counted.

    Raises:
        ValueError: If there are more.
    """

    __slots__ = ("_begin", "_beyond", "_ends", "_free", "_inner", "_masks", "_stay")

    def __init__(self, patterns: Sequence[str]) -> None:
        length = sum([len(pattern.replace("*", "")) for pattern in patterns])
        if length > _WORD_BITS:
            raise ValueError(f"{length} characters of patterns to search for exceed {_WORD_BITS}")
        masks = [0] * _TABLE
        self._beyond: dict[str, int] = {}
        self._begin = self._free = self._inner = self._stay = self._ends = 0
        bit = 1
        for pattern in patterns:
            first, free = bit, pattern[0] == "*"
            for character in pattern:
                if character == "*":
                    self._stay |= bit >> 1 if bit > first else 0
                    continue
                if ord(character) < _TABLE:
                    masks[ord(character)] |= bit
                else:
                    self._beyond[character] = self._beyond.get(character, 0) | bit
                bit <<= 1
            self._begin |= first
            self._free |= first if free else 0
            self._inner |= (bit - 1) & ~(2 * first - 1)
            self._ends |= bit >> 1
        self._masks = array("Q", masks)

    def fits(self, text: str) -> bool:
        state = 0
        start = self._begin
        for character in text:
            code = ord(character)
            mask = self._masks[code] if code < _TABLE else self._beyond.get(character, 0)
            state = ((((state << 1) & self._inner) | start) & mask) | (state & self._stay)
            start = self._free
        return (state & self._ends) != 0


def _check_for(condition: tuple[Any, ...]) -> _Check:
    kind = condition[0]
    operands = condition[1:]
    if kind == "range":
        bounds = dict(operands)
        return _TextRange(bounds) if isinstance(operands[0][1], str) else _NumberRange(bounds)
    values = [operand[1] for operand in operands]
    if kind == "like":
        return _Patterns(values)
    if len(values) == 1 and isinstance(values[0], str):
        return _OneText(values[0])
    if len(values) == 1 and values[0] is not None and not isinstance(values[0], bool):
        return _OneNumber(values[0])
    return _OneOf(values)
