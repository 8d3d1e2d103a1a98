"""
Where settings come from: defaults, then a TOML file, then the environment, then flags; the later wins.

Environment variables are `RTCORE_` and the path in capitals, with two underscores for each step:
`RTCORE_LIMITS__MESSAGES_PER_SECOND=50`. Their text, and that of flags, is read as the type of the setting they name; a
list has commas between its items, and a table may be given as JSON.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import attrs

from rtcore.errors import SettingsError
from rtcore.server.settings import Settings, check_conflicts
from rtcore.server.settings_converter import fields_of, is_table, step, structure_settings, without_none
from rtcore.server.settings_text import parse_text

__all__ = ["ENVIRONMENT_PREFIX", "OTHER_VARIABLES", "load_settings", "read_settings"]

ENVIRONMENT_PREFIX: Final = "RTCORE_"

OTHER_VARIABLES: Final = frozenset(
    {"RTCORE_BUILD_EXTENSIONS", "RTCORE_CYTHON_SANITIZE", "RTCORE_CYTHON_TRACE", "RTCORE_EXTENSIONS"}
    | {"RTCORE_SETTINGS", "RTCORE_TOKEN", "RTCORE_URL"}
)
"""Variables of rtcore that are no settings of the server: of its build, its extensions, its command line and client."""

_FILE_BYTES: Final = 1024 * 1024
"""Largest settings file, in bytes: more is a mistake in its name."""


def load_settings(
    file: Path | None = None, environ: Mapping[str, str] | None = None, overrides: Mapping[str, object] | None = None
) -> Settings:
    """
    Read settings from all their sources.

    Args:
        file: TOML file; paths in it are relative to its directory.
        environ: Environment variables; those that do not begin with `RTCORE_` are ignored. None: no environment.
        overrides: Dotted path to value, as flags give them: text is parsed, other values must be of the right type,
            None is a flag that was not given.

    Raises:
        SettingsError: With one line per fault, over all sources.
    """
    settings = read_settings(file, environ, overrides)
    check_conflicts(settings)
    return settings


def read_settings(
    file: Path | None = None, environ: Mapping[str, str] | None = None, overrides: Mapping[str, object] | None = None
) -> Settings:
    """As `load_settings`, for whoever has `check_settings` say what is wrong between values, with everything else."""
    table: dict[str, Any] = {} if file is None else _anchored(_read(file), Settings, file.parent)
    labels: dict[str, str] = {}
    for path, value, label in (*_from_environment(environ or {}), *_from_overrides(overrides or {})):
        _set(table, path, value)
        labels["$" + "".join(step("", name) for name in path)] = label
    return structure_settings(table, labels)


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            content = stream.read(_FILE_BYTES + 1)
        if len(content) > _FILE_BYTES:
            raise SettingsError(f"{file}: larger than {_FILE_BYTES} bytes")
        return tomllib.loads(content.decode())
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: not UTF-8 at byte {error.start}") from None  # the error holds the whole file
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: not TOML: {error}") from None  # likewise, and a secret may be in it


def _anchored(value: Any, kind: Any, folder: Path) -> Any:
    """The value with each path in it relative to `folder`; what does not fit its type is left for the converter."""
    kind = without_none(kind)
    if kind is Path and isinstance(value, str) and value:
        return folder / value
    if isinstance(value, dict):
        return {name: _anchored(item, _below(kind, name), folder) for name, item in value.items()}
    return value


def _below(kind: Any, name: str) -> Any:
    """The type of a field or key below a type; None where there is none."""
    kind = without_none(kind)
    if isinstance(kind, type) and attrs.has(kind):
        return next((field.type for field in fields_of(kind) if field.name == name), None)
    return get_args(kind)[1] if is_table(kind) else None


def _kind_at(path: tuple[str, ...]) -> Any:
    kind: Any = Settings
    for name in path:
        kind = _below(kind, name)
    return kind


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], object, str]]:
    # Sorted, so that a table given as JSON comes before what is set inside it.
    for name in sorted(environ):
        if name.startswith(ENVIRONMENT_PREFIX) and name not in OTHER_VARIABLES:
            path = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
            yield path, parse_text(environ[name], _kind_at(path)), name


def _from_overrides(overrides: Mapping[str, object]) -> Iterator[tuple[tuple[str, ...], object, str]]:
    for name, value in overrides.items():
        if value is None:
            continue
        path = tuple(name.split("."))
        parsed = parse_text(value, _kind_at(path)) if isinstance(value, str) else value
        yield path, parsed, f"flag {name}"


def _set(table: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for name in path[:-1]:
        inner = table.setdefault(name, {})
        if inner is None:
            inner = table[name] = {}
        if not isinstance(inner, dict):
            return  # what stands there is no table, and the converter says so
        table = inner
    table[path[-1]] = value
