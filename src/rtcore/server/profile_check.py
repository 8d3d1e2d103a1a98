"""
What can be wrong with endpoints that are each well written: with one another, with the HTTP side, with what there is
to be said at them.

That depends on the features of the hub, so it is looked at with its registry: when a server is made, and by
`rtcore check` with the hub that `rtcore serve` would make.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import attrs
from starlette.routing import compile_path

from rtcore.errors import SettingsError
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.dialect import RTCORE, Dialect
from rtcore.hub.registry import FeatureRegistry
from rtcore.server.http_api import served_paths
from rtcore.server.profile_settings import ProfileSettings, all_profiles
from rtcore.server.rest.modules import rest_modules
from rtcore.server.settings import Settings
from rtcore.server.settings_converter import step
from rtcore.values.commands import COMMANDS, REPLIES
from rtcore.values.events import RESERVED_TYPES, check_event_type

__all__ = ["ECHO_PATH", "check_endpoint_path", "check_profiles"]

ECHO_PATH: Final = "/echo"
_ANSWERS: Final = (RESERVED_TYPES - COMMANDS.keys()) | REPLIES
"""What the server says; a reply may be called as what only clients say, such as `ack`."""


def check_profiles(settings: Settings, registry: FeatureRegistry) -> None:
    """
    Refuse endpoints that could not work, or would be in the way of something else.

    Args:
        settings: Of the server.
        registry: Of the hub that is served.

    Raises:
        SettingsError: With one line per fault.
    """
    faults = [*_path_faults(settings, registry)]
    for name, given in settings.profiles.items():
        profile = all_profiles({name: given}).get(name)
        if profile is not None:
            faults += _profile_faults(profile, step("$.profiles", name), settings, registry)
    if faults:
        raise SettingsError("\n".join(faults))


def check_endpoint_path(path: str, registry: FeatureRegistry) -> None:
    """
    Refuse a path at which there is something over HTTP: that would not be heard of any more.

    Raises:
        SettingsError: If it is one.
    """
    taken = _http_path(path, registry)
    if taken is not None:
        raise SettingsError(f"endpoints: {_taken(path, taken)}")


# Paths


def _path_faults(settings: Settings, registry: FeatureRegistry) -> Iterator[str]:
    found: dict[str, str] = {ECHO_PATH: "$.echo"} if settings.echo else {}
    profiles = all_profiles(settings.profiles)
    # What is set comes after what is built in: the reader's own setting is what is to be mended.
    ours = sorted(profiles, key=lambda name: name in settings.profiles)
    paths = [("$.path", settings.path), *((f"{step('$.profiles', name)}.path", profiles[name].path) for name in ours)]
    for place, path in paths:
        served = _http_path(path, registry)
        if served is not None:
            yield f"{place}: {_taken(path, served)}"
        elif path in found:
            yield f'{place}: expected a path of its own, got "{path}", which is that of {found[path]}'
        found[path] = place


def _http_path(path: str, registry: FeatureRegistry) -> str | None:
    """What is at a path over HTTP; at `/` it stays, since there requests that are no WebSocket go on to it."""
    served = served_paths(rest_modules(registry)) if path != "/" else ()
    return next((each for each in served if compile_path(each)[0].match(path)), None)


def _taken(path: str, served: str) -> str:
    return f'expected a path at which nothing is over HTTP, got "{path}", where {served} is'


# What is said


def _profile_faults(
    profile: ProfileSettings, place: str, settings: Settings, registry: FeatureRegistry
) -> Iterator[str]:
    dialects = {"rtcore": RTCORE, **registry.dialects}
    dialect = dialects.get(profile.dialect)
    if dialect is None:
        yield f'{place}.dialect: expected one of {", ".join(sorted(dialects))}, got "{profile.dialect}"'
    else:
        yield from _command_faults(profile, place, dialect, registry)
    if profile.authentication == "required" and settings.authentication is None:
        yield f"{place}.authentication: required, but no authentication is configured"
    for type, name in profile.events.items():
        try:
            check_event_type(type, settings.limits.type_length)
        except ValueError as error:
            yield f"{step(f'{place}.events', type)}: {error}"
        if name in RESERVED_TYPES:
            yield f"{step(f'{place}.events', type)}: {_reserved(name)}"
    for type, name in profile.replies.items():
        fault = _reply_fault(type, name, registry.replies)
        if fault is not None:
            yield f"{step(f'{place}.replies', type)}: {fault}"


def _reply_fault(type: str, name: str, of_features: Collection[str] | None) -> str | None:
    if type == "error":
        return "expected another reply, since errors are called so everywhere"
    if of_features is not None and type not in REPLIES and type not in of_features:
        return _unknown(type, {*REPLIES, *of_features}, kind="reply")
    return _reserved(name) if name in _ANSWERS and name != type else None


def _reserved(name: str) -> str:
    return f'expected a name that no other message of the server has, got "{name}"'


def _command_faults(
    profile: ProfileSettings, place: str, dialect: Dialect, registry: FeatureRegistry
) -> Iterator[str]:
    rules: Mapping[str, CommandRule[Any]] = {**registry.commands, **dialect.commands}
    for name, command in profile.commands.items():
        if command not in rules and command not in COMMANDS:
            yield f"{step(f'{place}.commands', name)}: {_unknown(command, {*rules, *COMMANDS})}"
    for command in profile.schedules:
        fault = _schedule_fault(command, rules)
        if fault is not None:
            yield f"{step(f'{place}.schedules', command)}: {fault}"


def _schedule_fault(command: str, rules: Mapping[str, CommandRule[Any]]) -> str | None:
    rule = rules.get(command)
    if rule is None and command not in COMMANDS:
        return _unknown(command, rules)
    needed = [] if rule is None else [each.name for each in attrs.fields(rule.value) if each.default is attrs.NOTHING]
    if needed:
        return f"expected a command that needs no data; {command} needs {', '.join(needed)}"
    if rule is None or inspect.iscoroutinefunction(rule.handler):
        return f"expected a command of a feature that is answered at once; {command} cannot be scheduled"
    return None


def _unknown(name: str, known: Collection[str], *, kind: str = "command") -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f'expected a {kind} that there is, got "{name}"' + (f'; did you mean "{near[0]}"?' if near else "")
