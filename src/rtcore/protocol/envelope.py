"""
The envelope of `rtcore.v1`: what every message has around its data.

Both ways a message is one JSON object `{"type", "data", "timestamp"?, "id"?}`. Reading is tolerant of the envelope (a
key that this version does not know is passed over, so that clients may be newer than the server) while the data of each
command is strict. Writing keeps one order of keys. The position of an event stands last: the text up to it is made once
per event and shared by everybody, and only who was overtaken needs a position of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol, cast

from attrs import evolve

from rtcore._fast import encode_event_text, encode_message, format_timestamp
from rtcore.errors import ErrorCode, RequestError
from rtcore.protocol.json_codec import json_answer, json_dumps, json_fragment, json_loads
from rtcore.values.events import Event, Json, Lane
from rtcore.values.hot import value
from rtcore.values.limits import Limits
from rtcore.values.positions import Position
from rtcore.values.shown import show

__all__ = [
    "REQUEST_ID_LENGTH",
    "IncomingMessage",
    "LaneRange",
    "RequestId",
    "decode_envelope",
    "decode_message",
    "decode_object",
    "dropped_data",
    "embedded_event",
    "encode_dropped",
    "encode_error",
    "encode_event",
    "encode_event_body",
    "encode_reply",
    "renamed",
    "request_id",
]

RequestId = str | int
"""What a client may put into `id`: text, or a whole number of 64 bits."""

REQUEST_ID_LENGTH: Final = 128
"""Longest `id`, in characters: it is sent back with the reply, so it must not be worth a message of its own."""

_INTEGER_BITS = 64


@value
class IncomingMessage:
    """One message from a client, its data not yet looked at."""

    type: str
    data: dict[str, Json]
    id: RequestId | None = None


class LaneRange(Protocol):
    """Offsets `first` to `last`, both included, of one lane."""

    @property
    def lane(self) -> Lane: ...
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...


def decode_message(text: bytes, limits: Limits) -> IncomingMessage:
    """
    Read a client's message.

    Raises:
        RequestError: If it is not JSON, too deep, not an object, or its envelope is wrong; names the field.
    """
    return decode_envelope(decode_object(text, limits), limits)


def decode_object(text: bytes, limits: Limits) -> dict[str, Json]:
    """
    Read a JSON object of at most `limits.json_depth` levels.

    Raises:
        RequestError: If it is not JSON, too deep, or not an object.
    """
    message = json_loads(text, limits.json_depth)
    if not isinstance(message, dict):
        raise RequestError(ErrorCode.MALFORMED, f"expected an object, got {show(message, secret=True)}")
    return message


def request_id(message: Mapping[str, Json]) -> RequestId | None:
    """The `id` that a reply to this message carries; None where there is none or it is not acceptable."""
    given = message.get("id")
    if given is None:
        return None
    if isinstance(given, str):
        return given if len(given) <= REQUEST_ID_LENGTH else None
    if isinstance(given, int) and not isinstance(given, bool):
        return given if given.bit_length() <= _INTEGER_BITS else None
    return None


def decode_envelope(message: Mapping[str, Json], limits: Limits) -> IncomingMessage:
    """
    Check type, data and id of a message; any other key is passed over.

    Raises:
        RequestError: `request.malformed`, with the field.
    """
    name = message.get("type")
    if not isinstance(name, str):
        raise _malformed("type", "missing" if "type" not in message else f"expected text, got {show(name)}")
    if not 0 < len(name) <= limits.type_length:
        raise _malformed("type", f"expected 1 to type_length={limits.type_length} characters, got {len(name)}")
    data = message.get("data")
    if data is None:
        data = {}
    elif not isinstance(data, dict):
        raise _malformed("data", f"expected an object, got {show(data, secret=True)}")
    identifier = request_id(message)
    if identifier is None and message.get("id") is not None:
        expected = f"text of up to {REQUEST_ID_LENGTH} characters or a whole number of 64 bits"
        raise _malformed("id", f"expected {expected}, got {show(message['id'])}")
    return IncomingMessage(name, data, identifier)


def encode_reply(
    type: str, data: Mapping[str, object] | Sequence[object], *, id: RequestId | None = None, timestamp: float
) -> bytes:
    """
    One message of the server's own.

    Args:
        type: Its type.
        data: Its data.
        id: The request's, for a reply.
        timestamp: Unix seconds.

    Raises:
        LocalProtocolError: If JSON cannot carry the data.
    """
    message: dict[str, object] = {"type": type}
    if id is not None:
        message["id"] = id
    message["data"] = data
    message["timestamp"] = format_timestamp(timestamp)
    return json_answer(message)


def encode_error(error: RequestError, *, id: RequestId | None = None, timestamp: float) -> bytes:
    """The `error` message for a request that was not carried out."""
    data = {
        "code": error.code.value,
        "message": error.message,
        "transient": error.transient,
        "retry_after": error.retry_after,
        "field": error.field,
    }
    return encode_reply("error", data, id=id, timestamp=timestamp)


def encode_event_body(channel: str, type: str, data: Json, timestamp: float, offset: int, key: str | None) -> bytes:
    """
    The JSON text of an event up to but without its position and closing brace.

    Args:
        channel: Channel name, checked.
        type: Event type, checked.
        data: What was published.
        timestamp: Unix seconds.
        offset: Number within the epoch.
        key: Conflation key, or None.

    Raises:
        RequestError: `request.malformed` if JSON cannot carry the data (field `data`) or the key (`data.key`).
    """
    if key is None:
        return encode_event_text(
            channel, type, json_dumps(data, field="data", path="$.data"), timestamp, offset
        )
    shown = json_dumps(key, field="data.key")  # first, since whatever the data is, this is to blame
    text = json_dumps(data, field="data", path="$.data")
    return b"".join((encode_event_text(channel, type, text, timestamp, offset), b',"key":', shown))


def encode_event(event: Event, position: Position | None = None, conflated: int = 0) -> bytes:
    """
    The whole JSON text of an event's message.

    Args:
        event: The event, with its body.
        position: What its receiver has had with it; by default everything up to it.
        conflated: Older events of the same key that it stands for.
    """
    body = event.body if not conflated else event.body + b',"conflated":%d' % conflated
    if position is None:
        return encode_message(body, f"{event.epoch}-{event.offset}".encode())
    return encode_message(body, str(position).encode())


def renamed(event: Event, type: str) -> Event:
    """The same event under another type; its body is not made a second time but for the beginning."""
    rest = event.body[len(b'{"type":') + len(json_dumps(event.type)) :]
    return evolve(event, type=type, body=b'{"type":' + json_dumps(type) + rest)


def embedded_event(event: Event) -> object:
    """A past event's message as a part of another one, such as `replayed`; its text is not made a second time."""
    return json_fragment(encode_event(event))


def dropped_data(
    channel: str,
    types: Mapping[str, int],
    ranges: Iterable[tuple[LaneRange, int]],
    position: Position,
    conflated: int = 0,
) -> dict[str, Json]:
    """
    What a `dropped` notice says.

    Args:
        channel: Whose events were dropped.
        types: How many of each kind.
        ranges: Where they stood, lane by lane, each with the number of events dropped in it.
        position: What is settled with this notice.
        conflated: Older events that the dropped ones stood for.
    """
    spans = [(each, count) for each, count in ranges]
    data: dict[str, Json] = {
        "channel": channel,
        "count": sum(count for _, count in spans),
        "types": dict(types),
        "ranges": [
            {"lane": each.lane.name.lower(), "from": each.first, "to": each.last, "count": count}
            for each, count in spans
        ],
    }
    if conflated:
        data["conflated"] = conflated
    data["position"] = str(position)
    return data


def encode_dropped(
    channel: str,
    types: Mapping[str, int],
    ranges: Iterable[tuple[LaneRange, int]],
    position: Position,
    conflated: int = 0,
    *,
    timestamp: float,
) -> bytes:
    """The `dropped` message; arguments as of `dropped_data`, and the time in Unix seconds."""
    data = dropped_data(channel, types, ranges, position, conflated)
    return encode_reply("dropped", cast("Mapping[str, object]", data), timestamp=timestamp)


def _malformed(field: str, message: str) -> RequestError:
    return RequestError(ErrorCode.MALFORMED, f"{field}: {message}", field=field)
