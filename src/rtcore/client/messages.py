"""JSON messages of `rtcore.v1`, from the client's side: the one place of the client that reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rtcore.client.events import DroppedNotice, DroppedRange, ReceivedEvent, dropped_notice
from rtcore.errors import AuthenticationError, ErrorCode, RemoteProtocolError, RequestError
from rtcore.hub.results import Batch, PublishOutcome
from rtcore.protocol.json_codec import json_dumps, json_loads
from rtcore.values.events import Json, Lane, format_timestamp, parse_timestamp
from rtcore.values.positions import (
    FromOffset,
    FromPosition,
    FromTimestamp,
    LastEvents,
    Position,
    Since,
    WithinSeconds,
)

__all__ = [
    "Message",
    "batch_to_wire",
    "decode_dropped",
    "decode_error",
    "decode_event",
    "decode_message",
    "decode_outcome",
    "encode_message",
    "field_of",
    "object_of",
    "since_to_wire",
]

Message = dict[str, Any]  # Any: JSON from a peer, whose fields are checked one by one as they are read

_AUTHENTICATION_CODES: Final = frozenset(
    {ErrorCode.AUTHENTICATION_FAILED, ErrorCode.TOKEN_EXPIRED, ErrorCode.TOKEN_REVOKED}
)
_DEPTH: Final = 256  # well above what any server lets through in an event, and below what could exhaust the stack
_LANES: Final = {lane.name.lower(): lane for lane in Lane}


def encode_message(kind: str, data: Mapping[str, Json], identifier: str | None = None) -> str:
    """
    One message as JSON text.

    Raises:
        RequestError: `request.malformed` if `data` holds what JSON cannot carry.
    """
    message: dict[str, object] = {"type": kind, "data": data}
    if identifier is not None:
        message["id"] = identifier
    return json_dumps(message, field="data").decode()


def decode_message(text: str | bytes) -> Message:
    """
    A message of the server: an object with a `type`.

    Raises:
        RemoteProtocolError: If it is anything else.
    """
    try:
        message = json_loads(text.encode() if isinstance(text, str) else text, _DEPTH)
    except RequestError as error:
        raise RemoteProtocolError(f"the server sent a message that is no good: {error.message}") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise RemoteProtocolError("the server sent a message without a type")
    return message


def field_of(message: object, name: str, kind: type[Any] | tuple[type[Any], ...]) -> Any:
    """
    A field that must be there and of the given kind; `bool` passes for no number.

    Raises:
        RemoteProtocolError: If it is not, or `message` is no object: an entry of a list may be anything.
    """
    value = message.get(name) if isinstance(message, dict) else None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RemoteProtocolError(f"the server sent a message whose `{name}` is missing or of the wrong type")
    return value


def object_of(message: Message) -> Message:
    """The `data` of a message, which must be an object."""
    data: Message = field_of(message, "data", dict)
    return data


def decode_event(message: Message, *, repaired: bool = False) -> ReceivedEvent:
    """
    An event message.

    Raises:
        RemoteProtocolError: If it is no object, or a field is missing or of the wrong type.
    """
    channel: str = field_of(message, "channel", str)
    key = message.get("key")
    conflated = message.get("conflated", 0)
    return ReceivedEvent(
        channel=channel,
        type=field_of(message, "type", str),
        data=message.get("data"),
        timestamp=_seconds(field_of(message, "timestamp", str)),
        offset=field_of(message, "offset", int),
        position="" if repaired else field_of(message, "position", str),
        key=key if isinstance(key, str) else None,
        conflated=conflated if isinstance(conflated, int) else 0,
        repaired=repaired,
    )


def decode_dropped(data: Message, now: float) -> DroppedNotice:
    """The `data` of a `dropped` message."""
    types: dict[str, int] = field_of(data, "types", dict)
    for name in types:
        field_of(types, name, int)
    ranges = [_range(entry) for entry in field_of(data, "ranges", list)]
    count: int = field_of(data, "count", int)
    return dropped_notice(field_of(data, "channel", str), types, ranges, count, now, field_of(data, "position", str))


def decode_error(data: Message) -> RequestError:
    """
    The `data` of an `error` message as the exception that the caller gets.

    A code that this version does not know becomes `server.internal` if the server calls it transient, otherwise
    `request.malformed`; the message then names it.
    """
    name, text = field_of(data, "code", str), field_of(data, "message", str)
    try:
        code = ErrorCode(name)
    except ValueError:
        code = ErrorCode.INTERNAL if data.get("transient") is True else ErrorCode.MALFORMED
        text = f"{text} ({name})"
    if code in _AUTHENTICATION_CODES:
        return AuthenticationError(text, code=code)
    retry_after, field = data.get("retry_after"), data.get("field")
    return RequestError(
        code,
        text,
        retry_after=float(retry_after) if isinstance(retry_after, (int, float)) and retry_after >= 0 else None,
        field=field if isinstance(field, str) else None,
    )


def decode_outcome(data: Message) -> PublishOutcome:
    """The `data` of a `published` message."""
    try:
        position = Position.parse(field_of(data, "position", str))
    except ValueError as error:
        raise RemoteProtocolError("the server sent a position of an unknown form") from error
    counts = {name: field_of(data, name, int) for name in ("offset", "matched", "queued", "dropped")}
    return PublishOutcome(channel=field_of(data, "channel", str), epoch=position.epoch, **counts)


def since_to_wire(since: Since | Position | str | Mapping[str, Json]) -> Json:
    """A place in the past as the wire has it; text and mappings are passed on as they are."""
    match since:
        case Position():
            return str(since)
        case FromPosition(position):
            return {"position": str(position)}
        case FromOffset(offset):
            return {"offset": offset}
        case FromTimestamp(timestamp):
            return {"timestamp": format_timestamp(timestamp)}
        case WithinSeconds(seconds):
            return {"seconds": seconds}
        case LastEvents(count):
            return {"last": count}
        case str():
            return since
    return dict(since)


def batch_to_wire(batch: Batch | bool) -> Json:
    """A batch window as the wire has it."""
    return {"events": batch.events, "seconds": batch.seconds} if isinstance(batch, Batch) else batch


def _range(entry: object) -> DroppedRange:
    lane = _LANES.get(field_of(entry, "lane", str))
    if lane is None:
        raise RemoteProtocolError("the server sent a `dropped` message with a range of an unknown lane")
    first, last = field_of(entry, "from", int), field_of(entry, "to", int)
    return DroppedRange(lane=lane, first=first, last=last, count=field_of(entry, "count", int))


def _seconds(timestamp: str) -> float:
    try:
        return parse_timestamp(timestamp)
    except ValueError as error:
        raise RemoteProtocolError("the server sent a timestamp that is not RFC 3339") from error
