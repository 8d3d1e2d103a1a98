"""
Messages to commands: the boundary where a client's data gets its types.

One converter, built once, with the readers of `command_fields`. Keys that a command does not have are refused, and
`null` stands for a field that is left out. The first fault becomes a `RequestError` with the path of its field, such as
`data.since.positions.tasks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import eq
from typing import Any, Final, cast

from cattrs import ClassValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from rtcore.errors import ErrorCode, RequestError
from rtcore.protocol.command_fields import (
    fault,
    read_channel_name,
    read_channel_names,
    read_integer,
    read_lane,
    read_number,
    read_positions,
    read_since,
    read_text,
    within,
)
from rtcore.protocol.envelope import IncomingMessage
from rtcore.protocol.usual_commands import decode_usual
from rtcore.protocol.wire_fields import first_fault
from rtcore.values.commands import (
    COMMANDS,
    BatchRequest,
    ChannelName,
    Command,
    Heartbeat,
    OffsetRange,
    SinceRequest,
)
from rtcore.values.events import Json, Lane
from rtcore.values.limits import Limits
from rtcore.values.positions import Position
from rtcore.values.shown import show

__all__ = ["decode_any", "decode_command"]

Hook = Callable[[Any, Any], Any]  # Any: as cattrs types its hooks

_AS_IT_IS: Final = override(struct_hook=lambda value, _: value)
_OVERRIDES: Final = {
    # JSON of any kind: `where` is compiled with the limits, `data` is passed on.
    "where": _AS_IT_IS,
    "data": _AS_IT_IS,
    # `from` is no name for an attribute.
    "first": override(rename="from"),
    "last": override(rename="to"),
}
_WIRE_NAMES: Final = {name: rule.rename for name, rule in _OVERRIDES.items() if rule.rename}


def decode_command(message: IncomingMessage, limits: Limits) -> Command:
    """
    Give a message its type.

    Raises:
        RequestError: `request.unknown_type`, or what is wrong with its data, with the field.
    """
    return decode_usual(message.type, message.data, limits) or decode_any(message, limits)


def decode_any(message: IncomingMessage, limits: Limits) -> Command:
    """As `decode_command`, the long way, which knows every form and every fault."""
    wanted = COMMANDS.get(message.type)
    if wanted is None:
        raise RequestError(ErrorCode.UNKNOWN_TYPE, f"type: no such command: {show(message.type)}", field="type")
    if wanted is Heartbeat:
        return Heartbeat()
    _check_lengths(message.data, limits)
    given = {key: value for key, value in message.data.items() if value is not None or key == "data"}
    try:
        return _CONVERTER.structure(given, wanted)
    except RequestError as error:
        field = f"data{error.field or ''}"
        raise RequestError(error.code, f"{field}: {error.message}", field=field) from error


def _check_lengths(data: Mapping[str, Json], limits: Limits) -> None:
    """Refuse what is too long before it is walked through."""
    since = data.get("since")
    positions = since.get("positions") if isinstance(since, dict) else None
    for path, value, code, name in (
        ("data.channels", data.get("channels"), ErrorCode.TOO_MANY_CHANNELS, "channels_per_connection"),
        ("data.positions", data.get("positions"), ErrorCode.TOO_MANY_CHANNELS, "channels_per_connection"),
        ("data.since.positions", positions, ErrorCode.TOO_MANY_CHANNELS, "channels_per_connection"),
        ("data.ranges", data.get("ranges"), ErrorCode.TOO_LARGE, "replay_ranges"),
    ):
        most: int = getattr(limits, name)
        if isinstance(value, list | dict) and len(value) > most:
            raise RequestError(code, f"{path}: {len(value)} entries exceed {name}={most}", field=path)


def _object_hook(converter: Converter, kind: type, expected: str = "an object") -> Hook:
    """A hook for a class, whose faults are `RequestError` with a relative field."""
    # Any: the names of attributes cannot be told from those of the function's own options.
    overrides: dict[str, Any] = {name: rule for name, rule in _OVERRIDES.items() if name in kind.__annotations__}
    structure: Hook = make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=True, **overrides)

    def hook(value: object, _: object) -> object:
        if not isinstance(value, dict):
            fault(f"expected {expected}, got {show(value)}")
        try:
            return structure(value, kind)
        except ClassValidationError as error:
            raise first_fault(error, _WIRE_NAMES) from error

    return hook


def _ranges_hook(read_range: Hook) -> Hook:
    def hook(value: object, _: object) -> tuple[OffsetRange, ...]:
        if not isinstance(value, list) or not value:
            fault(f"expected an array of one or more ranges, got {'none' if value == [] else show(value)}")
        return tuple(within(f"[{i}]", partial(read_range, each, OffsetRange)) for i, each in enumerate(value))

    return hook


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True)

    def register(kind: object, hook: Hook) -> None:
        if isinstance(kind, type):
            converter.register_structure_hook(kind, hook)
        else:  # by equality, since a generic or a NewType would be dispatched by its origin
            converter.register_structure_hook_func(cast("Callable[[Any], bool]", partial(eq, kind)), hook)

    register(str, read_text)
    register(int, read_integer)
    register(float, read_number)
    register(Lane, read_lane)
    register(SinceRequest, read_since)
    register(ChannelName, read_channel_name)
    register(tuple[ChannelName, ...], read_channel_names)
    register(Mapping[ChannelName, Position], read_positions)
    register(tuple[OffsetRange, ...], _ranges_hook(_object_hook(converter, OffsetRange)))
    window = _object_hook(converter, BatchRequest, "true or an object")
    register(BatchRequest, lambda value, kind: BatchRequest() if value is True else window(value, kind))
    for command in set(COMMANDS.values()):
        register(command, _object_hook(converter, command))
    return converter


_CONVERTER: Final = _make_converter()
