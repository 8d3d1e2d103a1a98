"""`GET /api/v1/channels/{name}/history`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.filters import MATCH_ALL, Filter, compile_filter
from rtcore.hub.results import HistoryPage
from rtcore.protocol.envelope import encode_event
from rtcore.protocol.json_codec import json_dumps, json_loads
from rtcore.server.http_bodies import read_parameters, whole_parameter
from rtcore.server.http_context import HttpContext
from rtcore.values.channels import check_channel_name
from rtcore.values.events import Json, parse_timestamp
from rtcore.values.identity import Identity
from rtcore.values.positions import (
    FromOffset,
    FromPosition,
    FromTimestamp,
    LastEvents,
    Position,
    Since,
    WithinSeconds,
)
from rtcore.values.shown import show

__all__ = ["HISTORY_PARAMETERS", "history"]


async def history(context: HttpContext, request: Request, identity: Identity) -> Response:
    """Events of the past, in the form of the WebSocket's `history` reply."""
    channel = request.path_params["name"]
    try:
        check_channel_name(channel)
    except ValueError as error:
        raise RequestError(ErrorCode.UNKNOWN_CHANNEL, str(error), field="name") from error
    context.hub.access.check_read(identity, channel, field="name")
    parameters = read_parameters(request, HISTORY_PARAMETERS)
    limit, most = parameters.get("limit"), context.limits.replay_events
    count = None if limit is None else whole_parameter("limit", limit, 1, most, setting="replay_events")
    where = _read_where(parameters["where"], context) if "where" in parameters else MATCH_ALL
    page = context.hub.history(channel, since=_read_since(parameters), where=where, limit=count)
    return Response(_encode(page), media_type="application/json")


def _encode(page: HistoryPage) -> bytes:
    around = {
        "channel": page.channel,
        "recovered": page.recovered,
        "missing": page.missing,
        "position": str(page.position),
        "more": page.more,
    }
    # Events have their JSON already; it only needs a place.
    return json_dumps(around)[:-1] + b',"events":[' + b",".join(map(encode_event, page.events)) + b"]}"


def _read_where(text: str, context: HttpContext) -> Filter:
    try:
        value = json_loads(text.encode(), context.limits.json_depth)
    except RequestError as error:
        raise RequestError(error.code, error.message, field="where") from error
    if not isinstance(value, dict):
        raise _wrong("where", "a JSON object", value)
    return compile_filter(value, context.limits, field="where")


def _read_since(parameters: dict[str, str]) -> Since | None:
    given = [name for name in _SINCE if name in parameters]
    if len(given) > 1:
        raise RequestError(ErrorCode.MALFORMED, f"{given[0]} and {given[1]} exclude each other", field=given[1])
    return _SINCE[given[0]](given[0], parameters[given[0]]) if given else None


def _from_position(name: str, text: str) -> Since:
    try:
        return FromPosition(Position.parse(text))
    except ValueError as error:
        problem = f"not a position of this server: {show(text)}"
        raise RequestError(ErrorCode.INVALID_POSITION, problem, field=name) from error


def _from_offset(name: str, text: str) -> Since:
    return FromOffset(whole_parameter(name, text, 0))


def _from_timestamp(name: str, text: str) -> Since:
    try:
        return FromTimestamp(parse_timestamp(text))
    except (ValueError, OverflowError) as error:
        raise _wrong(name, "an RFC 3339 timestamp, such as 2025-01-15T12:00:00Z", text) from error


_NUMBER: Final = re.compile(r"(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)


def _within_seconds(name: str, text: str) -> Since:
    seconds = float(text) if _NUMBER.fullmatch(text) else math.nan  # `float` also takes `1_0`, and digits of any script
    if not 0 < seconds < math.inf:
        raise _wrong(name, "a number over 0", text)
    return WithinSeconds(seconds)


def _last_events(name: str, text: str) -> Since:
    return LastEvents(whole_parameter(name, text, 1))


def _wrong(name: str, expected: str, got: Json) -> RequestError:
    return RequestError(ErrorCode.MALFORMED, f"expected {expected}, got {show(got)}", field=name)


_SINCE: Final[dict[str, Callable[[str, str], Since]]] = {
    "since": _from_position,
    "position": _from_position,
    "offset": _from_offset,
    "timestamp": _from_timestamp,
    "seconds": _within_seconds,
    "last": _last_events,
}

HISTORY_PARAMETERS: Final = (*_SINCE, "where", "limit")
"""Names of the query parameters."""
