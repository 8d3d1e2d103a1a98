"""
Fields of the commands and bodies that features and profiles add: declared once, read strictly.

    @frozen(kw_only=True)
    class Decide:
        approval_id: str = wire(text(64))
        decision: str = wire(one_of("approve", "reject"))
        reason: str | None = wire(text(1000), default=None)

Nothing is coerced, a key that the class does not have is refused, and `null` stands for a field that is left out. The
first fault becomes a `RequestError` with the path of its field, the limit, and what came: see `show`. Of `text`, which
may be a token or a key, no more is repeated than its length.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Final, TypeVar, cast

import attrs
from cattrs import ClassValidationError, Converter
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, override

from rtcore.errors import ErrorCode, RequestError
from rtcore.protocol.command_fields import NAME_SHOWN, fault, read_channel_name, read_text, read_time, within
from rtcore.values.events import Json
from rtcore.values.shown import show

__all__ = [
    "Reader",
    "any_json",
    "channel_name",
    "first_fault",
    "flag",
    "items",
    "nested",
    "number",
    "one_of",
    "read_object",
    "table",
    "text",
    "timestamp",
    "whole_number",
    "wire",
]

_T = TypeVar("_T")
Reader = Callable[[object], _T]
"""From a JSON value to a field's; raises `RequestError` with a path relative to the value."""

_READER: Final = "rtcore.reader"
_NAME: Final = "rtcore.name"
_NULL: Final = "rtcore.null"
_CONVERTER: Final = Converter(forbid_extra_keys=True)


def wire(
    read: Reader[Any],  # Any: as the type of the field, which attrs does not tell its specifiers
    *,
    name: str | None = None,
    default: object = attrs.NOTHING,
    factory: Callable[[], object] | None = None,
    null: bool = False,
) -> Any:  # Any: attrs field specifiers are typed so
    """
    A field that comes from a client.

    Args:
        read: What it may be.
        name: Its name on the wire; None: that of the attribute.
        default: Its value where it is left out or null; by default it must be there.
        factory: Makes the default, where it is not immutable.
        null: Whether null is a value like another, and not as though the field were left out.
    """
    metadata = {_READER: read, _NAME: name, _NULL: null}
    if factory is not None:
        return attrs.field(factory=factory, metadata=metadata)
    return attrs.field(default=default, metadata=metadata)


def text(most: int, *, least: int = 1) -> Reader[str]:
    """Text of `least` to `most` characters."""

    def read(value: object) -> str:
        given = read_text(value)
        if not least <= len(given) <= most:
            fault(f"expected {least} to {most} characters, got {len(given)}", _length_code(len(given), most))
        return given

    return read


def one_of(*choices: str) -> Reader[str]:
    """One of a few words."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in choices:
            return value
        return fault(f"expected one of {', '.join(choices)}, got {show(value)}")

    return read


def whole_number(least: int, most: int) -> Reader[int]:
    """A whole number from `least` to `most`; `1.0` is none."""

    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        return fault(f"expected a whole number from {least} to {most}, got {show(value)}")

    return read


def number(least: float, most: float = math.inf) -> Reader[float]:
    """A finite number from `least` to `most`."""
    greatest = min(most, sys.float_info.max)
    bounds = f"of at least {least:.15g}" if most == math.inf else f"from {least:.15g} to {most:.15g}"

    def read(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= greatest:
            return float(value)
        return fault(f"expected a number {bounds}, got {show(value)}")

    return read


def flag(value: object) -> bool:
    """True or false."""
    return value if isinstance(value, bool) else fault(f"expected true or false, got {_show_unless_text(value)}")


def timestamp(value: object) -> float:
    """An RFC 3339 time, as Unix seconds."""
    seconds = read_time(value)
    return fault(f"expected an RFC 3339 timestamp, got {show(value)}") if seconds is None else seconds


def channel_name(value: object) -> str:
    """A name that a channel may have."""
    return read_channel_name(value)


def any_json(value: object) -> Json:
    """Whatever JSON can say; its size and depth are bounded with the message."""
    return cast("Json", value)


def items(read: Reader[_T], most: int, *, least: int = 1) -> Reader[tuple[_T, ...]]:
    """An array of `least` to `most` values that each are read alike."""

    def read_all(value: object) -> tuple[_T, ...]:
        if not isinstance(value, list):
            fault(f"expected an array, got {_show_unless_text(value)}")
        if not least <= len(value) <= most:
            fault(f"expected {least} to {most} entries, got {len(value)}", _length_code(len(value), most))
        return tuple(within(f"[{index}]", partial(read, each)) for index, each in enumerate(value))

    return read_all


def table(read: Reader[_T], most: int) -> Reader[dict[str, _T]]:
    """An object of at most `most` values by names of the client's choice, each read alike."""

    def read_all(value: object) -> dict[str, _T]:
        if not isinstance(value, dict):
            fault(f"expected an object, got {show(value, secret=True)}")
        if len(value) > most:
            fault(f"expected at most {most} entries, got {len(value)}", ErrorCode.TOO_LARGE)
        return {name: within(f".{name[:NAME_SHOWN]}", partial(read, each)) for name, each in value.items()}

    return read_all


def read_object(value: object, kind: type[_T], *, path: str = "") -> _T:
    """
    Read an object as an attrs class whose fields are declared with `wire`.

    Args:
        value: What JSON gave.
        kind: The class.
        path: Where the object stands, such as `data`; the body itself has no path.

    Raises:
        RequestError: What is wrong first, with the path of the field.
    """
    try:
        return _read(value, kind)
    except RequestError as error:
        field = f"{path}{error.field or ''}".removeprefix(".")
        message = f"{field}: {error.message}" if field else error.message
        raise RequestError(error.code, message, field=field or None) from error


def nested(kind: type[_T]) -> Reader[_T]:
    """An object that is read as another such class."""
    return partial(_read, kind=kind)


def _read(value: object, kind: type[_T]) -> _T:
    if not isinstance(value, dict):
        fault(f"expected an object, got {show(value, secret=True)}")
    structure, names, left_out = _structure(cast("Hashable", kind))
    given = {name: each for name, each in value.items() if each is not None or name not in left_out}
    try:
        return cast("_T", structure(given, kind))
    except ClassValidationError as error:
        raise first_fault(error, names) from error


@cache
def _structure(kind: Any) -> tuple[Callable[[Any, Any], object], Mapping[str, str], frozenset[str]]:
    """How a class is read, the names of its fields on the wire, and those that a null leaves out."""
    fields: Sequence[attrs.Attribute[Any]] = attrs.fields(kind)
    names = {field.name: field.metadata[_NAME] or field.name for field in fields}
    overrides: dict[str, Any] = {  # Any: the names of attributes cannot be told from those of the function's options
        field.name: override(rename=names[field.name], struct_hook=_hook(field.metadata[_READER])) for field in fields
    }
    left_out = frozenset(names[field.name] for field in fields if not field.metadata[_NULL])
    return make_dict_structure_fn(kind, _CONVERTER, _cattrs_forbid_extra_keys=True, **overrides), names, left_out


def _hook(read: Reader[Any]) -> Callable[[Any, Any], Any]:
    return lambda value, _: read(value)


def first_fault(error: ClassValidationError, wire_names: Mapping[str, str]) -> RequestError:
    """
    The first of a class's faults, with its path relative to the object.

    Args:
        error: What cattrs raised.
        wire_names: Names on the wire by attribute, where they differ.
    """
    with_attribute, others = error.group_exceptions()
    if not with_attribute:
        other = others[0]
        if isinstance(other, ForbiddenExtraKeysError):
            return RequestError(ErrorCode.MALFORMED, "unknown field", field=f".{min(other.extra_fields)[:NAME_SHOWN]}")
        raise other  # no reader does this: it would be a fault of ours, not of the client
    cause, note = with_attribute[0]
    path = f".{wire_names.get(note.name, note.name)}"
    if isinstance(cause, RequestError):
        return RequestError(cause.code, cause.message, field=path + (cause.field or ""))
    if isinstance(cause, KeyError):
        return RequestError(ErrorCode.MALFORMED, "missing", field=path)
    raise cause


def _show_unless_text(value: object) -> str:
    """For where no text was expected: it might be a token. A number in quotes, or of a query, is shown."""
    return show(value, secret=isinstance(value, str))


def _length_code(length: int, most: int) -> ErrorCode:
    return ErrorCode.TOO_LARGE if length > most else ErrorCode.MALFORMED
