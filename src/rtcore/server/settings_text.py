"""Text of the environment and of flags, read as the type of the setting that it is for."""

from __future__ import annotations

import json
import re
from typing import Any, Final, get_args, get_origin

from rtcore.server.settings_converter import is_table, without_none

__all__ = ["parse_text"]

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:e[+-]?[0-9]{1,3})?", re.ASCII | re.I
)
_BOOLEANS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def parse_text(text: str, kind: Any) -> object:
    """
    The value that a text stands for, as TOML would have it.

    Text that does not fit its type comes back as it is, and the converter, which is strict, names the fault. `none`
    stands for nothing where a setting may be nothing.
    """
    inner = without_none(kind)
    if inner is not kind and text.strip().lower() == "none":
        return None
    if inner is bool:
        return _BOOLEANS.get(text.strip().lower(), text)
    if inner is int:
        return int(text) if _WHOLE.fullmatch(text.strip()) else text
    if inner is float:
        return float(text) if _NUMBER.fullmatch(text.strip()) else text
    if get_origin(inner) in (tuple, frozenset):
        return _list(text, get_args(inner)[0])
    if is_table(inner):
        found = _json(text, dict)
        return text if found is None else found
    return text


def _list(text: str, item: Any) -> object:
    """With commas; or as JSON, which looks like TOML: `["admin"]` must not become one role with such a name."""
    found = _json(text, list)
    if found is not None or text.lstrip().startswith("["):
        return text if found is None else found
    return [parse_text(part.strip(), item) for part in text.split(",") if part.strip()]


def _json(text: str, kind: type) -> object | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, kind) else None
