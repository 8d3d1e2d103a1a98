"""
The one converter between plain tables and `Settings`.

Nothing is coerced: text is not a number and a boolean is not a whole number, because a setting that was meant otherwise
should be told so. Environment and flags, which have only text, are parsed by `settings_text` before they come here. All
faults are collected, and each gets one line with its path.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import types
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

import attrs
from cattrs import (
    AttributeValidationNote,
    BaseValidationError,
    Converter,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from rtcore.errors import SettingsError
from rtcore.server.settings import Settings
from rtcore.values.rules import Rule, bound_of, show_setting
from rtcore.values.secret import HIDDEN, Secret

__all__ = ["check_types", "fields_of", "is_table", "settings_table", "step", "structure_settings", "without_none"]

_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")

_WORDS: Final[dict[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    Secret: "text",
}


def without_none(kind: Any) -> Any:
    """`X` for `X | None`; every other type as it is."""
    if get_origin(kind) in (Union, types.UnionType):
        rest = [argument for argument in get_args(kind) if argument is not type(None)]
        return rest[0] if len(rest) == 1 else kind
    return kind


def fields_of(kind: type) -> tuple[attrs.Attribute[Any], ...]:
    """The fields of an attrs class, with their types resolved."""
    return tuple(attrs.fields(attrs.resolve_types(kind)))


def step(path: str, name: str | int) -> str:
    """The path of a field, key or item below `path`."""
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if _PLAIN_NAME.fullmatch(name) else f"{path}[{json.dumps(name)}]"


def structure_settings(table: Mapping[str, object], labels: Mapping[str, str] | None = None) -> Settings:
    """
    Turn a plain table into settings.

    Args:
        table: Nested tables as TOML has them.
        labels: Path to where its value came from, such as `RTCORE_PORT`; added to a fault in
            it, or on the way to it.

    Raises:
        SettingsError: With one line per fault.
    """
    try:
        return _CONVERTER.structure(table, Settings)
    except BaseValidationError as error:
        lines = [_labelled(path, message, labels or {}) for path, message in _faults(error, "$")]
        raise SettingsError("\n".join(lines)) from None  # the group's text repeats values, secrets among them


def check_types(settings: Settings) -> None:
    """
    Hold settings that were built in code to the rules of those from a file: a limit of `"80"` or of NaN, for instance.

    Raises:
        SettingsError: With one line per fault.
    """
    structure_settings(_plain(settings))


def _plain(value: Any) -> Any:
    """A value as a file would give it; secrets stay wrapped, and what is wrong stays as wrong as it is."""
    if attrs.has(type(value)) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, frozenset)):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def settings_table(settings: Settings) -> dict[str, Any]:
    """Settings as a nested table of JSON values, with every secret hidden: for reports and logs."""
    table: dict[str, Any] = _CONVERTER.unstructure(settings)
    return table


def _labelled(path: str, message: str, labels: Mapping[str, str]) -> str:
    label = labels.get(path) or next((labels[name] for name in labels if _one_in_the_other(path, name)), None)
    return f"{path}: {message}" + (f" (from {label})" if label else "")


def _one_in_the_other(path: str, other: str) -> bool:
    return other.startswith((f"{path}.", f"{path}[")) or path.startswith((f"{other}.", f"{other}["))


# Faults


def _faults(error: BaseException, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            yield from _faults(inner, _inner_path(inner, path))
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [field.name for field in fields_of(error.cl)]
        for name in sorted(map(str, error.extra_fields)):
            yield step(path, name), _unknown(name, known)
    elif isinstance(error, KeyError):
        yield path, "required, but not given"
    else:
        yield path, str(error)


def _inner_path(error: BaseException, path: str) -> str:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return step(path, note.name)
        if isinstance(note, IterableValidationNote):
            return step(path, note.index)
    return path


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.6)
    return "unknown setting" + (f'; did you mean "{near[0]}"?' if near else "")


# Structuring


def _expectation(kind: Any, validator: object) -> str:
    if isinstance(validator, Rule):
        return validator.expectation
    kind = without_none(kind)
    bound = bound_of(validator)
    words = _WORDS.get(kind) or _words_of_compound(kind)
    return f"{words} {bound[0]} {bound[1]:g}" if bound else words


def _words_of_compound(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(json.dumps(choice.value) for choice in kind)}"
    if get_origin(kind) in (tuple, frozenset):
        return "a list"
    return "a table"


def is_table(kind: Any) -> bool:
    """Whether values of a type are tables: settings with fields, or names of the reader's own choice."""
    origin = get_origin(kind)
    return attrs.has(kind) or (isinstance(origin, type) and issubclass(origin, Mapping))


def _takes(kind: Any, value: object) -> bool:
    """Whether the value is of the shape that a type is structured from."""
    if is_table(kind):
        return isinstance(value, Mapping)
    if get_origin(kind) in (tuple, frozenset):
        return isinstance(value, (list, tuple))
    return True


def _field_hook(attribute: attrs.Attribute[Any]) -> Callable[[Any, Any], Any]:
    kind = attribute.type
    expectation = _expectation(kind, attribute.validator)
    is_secret = without_none(kind) is Secret
    hidden = is_secret or is_table(without_none(kind))  # a secret may stand where a table of secrets should

    def structure(value: Any, _kind: Any) -> Any:
        try:
            if value is not None and not _takes(without_none(kind), value):
                raise ValueError
            result = _CONVERTER.structure(value, kind)  # type: ignore[arg-type]  # resolved above, never None
            _validate(attribute, value, result)
        except BaseValidationError:
            raise  # its own members name their paths
        except (ValueError, TypeError):
            shown = Secret(value) if is_secret and isinstance(value, str) else value
            raise ValueError(f"expected {expectation}, got {show_setting(shown, secret=hidden)}") from None
        return result

    return structure


def _validate(attribute: attrs.Attribute[Any], value: Any, result: Any) -> None:
    """Hold a structured value to its field's rule; of a list or table, each part that is wrong is named."""
    rule = attribute.validator
    if rule is None:
        return
    final = attribute.converter(result) if callable(attribute.converter) else result
    if isinstance(rule, Rule) and not rule.passes(final):
        # Of what becomes a set, only the list that was given has indexes.
        faults = list(rule.parts(value if isinstance(value, (list, tuple)) else final))
        if faults:
            raise IterableValidationError("", [_at(place, words) for place, words in faults], object)
    rule(None, attribute, final)


def _at(place: str | int, words: str) -> ValueError:
    error = ValueError(words)
    error.add_note(IterableValidationNote("", place, object))
    return error


def _class_hook(kind: type) -> Callable[[Any, Any], Any]:
    overrides = {field.name: override(struct_hook=_field_hook(field)) for field in fields_of(kind)}
    function: Callable[[Any, Any], Any] = make_dict_structure_fn(
        kind,
        _CONVERTER,
        _cattrs_forbid_extra_keys=True,
        **overrides,  # type: ignore[arg-type]  # cattrs types its own options and the fields' as one
    )

    def structure(value: Any, target: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError(f"expected a table, got {show_setting(value, secret=True)}")
        return function(dict(value), target)

    return structure


def _strict(kind: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _kind: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"expected {_WORDS[kind]}, got {show_setting(value)}")
        return value

    return structure


def _number(value: Any, _kind: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"expected a number, got {show_setting(value)}")
    return float(value)


def _path(value: Any, _kind: Any) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"expected a path, got {show_setting(value)}")
    return Path(value)


def _secret(value: Any, _kind: Any) -> Secret:
    if not isinstance(value, (str, Secret)):
        raise ValueError(f"expected text, got {show_setting(value, secret=True)}")
    return value if isinstance(value, Secret) else Secret(value)


def _choice(value: Any, kind: Any) -> Any:
    if value not in get_args(kind) or not isinstance(value, str):
        raise ValueError(f"expected one of {', '.join(map(json.dumps, get_args(kind)))}, got {show_setting(value)}")
    return value


def _member(value: Any, kind: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError(f"expected {_words_of_compound(kind)}, got {show_setting(value)}")
    return kind(value)


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _is_list(kind: Any) -> bool:
    return get_origin(kind) in (tuple, frozenset)


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True)
    for kind in (bool, int, str):
        converter.register_structure_hook(kind, _strict(kind))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(Path, _path)
    converter.register_structure_hook(Secret, _secret)
    converter.register_structure_hook_func(_is_literal, _choice)
    converter.register_structure_hook_func(lambda kind: isinstance(kind, type) and issubclass(kind, Enum), _member)
    converter.register_structure_hook_factory(attrs.has, _class_hook)
    converter.register_unstructure_hook(Secret, lambda _secret: HIDDEN)
    converter.register_unstructure_hook(Path, str)
    converter.register_unstructure_hook_func(_is_list, lambda items: sorted(map(str, items)))
    return converter


_CONVERTER: Final = _make_converter()
