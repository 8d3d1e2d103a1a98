"""`GET /api/v1/activity` and `GET /api/v1/activity/export`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.activity.activities import Activities, ActivitySearch
from rtcore.features.activity.activity import Activity
from rtcore.features.activity.export import csv_lines, json_lines
from rtcore.features.activity.settings import ActivitySettings
from rtcore.protocol.wire_fields import read_object
from rtcore.server.http_bodies import as_number, read_parameters
from rtcore.server.http_context import HttpContext
from rtcore.server.http_errors import JSONResponse
from rtcore.server.http_guard import Audience, RouteRule
from rtcore.server.openapi_schemas import reference
from rtcore.server.openapi_writer import Document, OperationWriter
from rtcore.server.rest.rest_module import RestModule
from rtcore.values.events import Json
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits
from rtcore.values.shown import show

__all__ = ["rest_module"]

_SEARCH: Final = ("category", "type", "actor", "related", "text", "since", "until", "before", "limit")
_LISTS: Final = ("category", "type")
_NUMBERS: Final = ("before", "limit")
_FORMATS: Final[Mapping[str, tuple[str, Callable[[Iterable[Activity]], Iterator[bytes]]]]] = {
    "csv": ("text/csv", csv_lines),
    "jsonl": ("application/x-ndjson", json_lines),
}


def rest_module(activities: Activities) -> RestModule:
    """The routes of a timeline."""

    async def search(context: HttpContext, request: Request, identity: Identity) -> Response:
        wanted = _read_search(read_parameters(request, _SEARCH))
        return JSONResponse(activities.page(wanted, identity, field="limit"))

    async def export(context: HttpContext, request: Request, identity: Identity) -> Response:
        parameters = read_parameters(request, (*_SEARCH, "format"))
        name = parameters.pop("format", "jsonl")
        if name not in _FORMATS:
            problem = f"format: expected one of {', '.join(_FORMATS)}, got {show(name)}"
            raise RequestError(ErrorCode.MALFORMED, problem, field="format")
        media_type, lines = _FORMATS[name]
        found = activities.export(_read_search(parameters), identity, field="limit")
        return Response(
            b"".join(lines(found)),
            media_type=media_type,
            headers={"Content-Disposition": f'attachment; filename="activity.{name}"'},
        )

    return RestModule(
        rules=(
            RouteRule("GET", "/api/v1/activity", Audience.ADMITTED, search),
            RouteRule("GET", "/api/v1/activity/export", Audience.ADMITTED, export),
        ),
        paths=partial(_paths, activities.settings),
        schemas=_schemas,
    )


def _read_search(parameters: Mapping[str, str]) -> ActivitySearch:
    given: dict[str, Json] = dict(parameters)
    for name in _LISTS:
        if name in parameters:
            given[name] = list(parameters[name].split(","))
    for name in _NUMBERS:
        if name in parameters:
            given[name] = as_number(parameters[name])
    return read_object(given, ActivitySearch)


# For the OpenAPI document


def _paths(settings: ActivitySettings, writer: OperationWriter, limits: Limits) -> Document:
    export = writer.get(
        "Activities as a file: JSON lines or CSV",
        "exportActivities",
        None,
        (400, 413),
        access="required",
        parameters=[
            *_parameters(settings.exported),
            _parameter("format", "What to make of them; by default jsonl.", {"enum": list(_FORMATS)}),
        ],
    )
    content: Document = {kind: {"schema": {"type": "string"}} for kind, _ in _FORMATS.values()}
    export["get"]["responses"]["200"]["content"] = content  # type: ignore[index, call-overload]  # built just above
    return {
        "/api/v1/activity": writer.get(
            "What happened, newest first",
            "searchActivities",
            "ActivityPage",
            (400, 413),
            access="required",
            parameters=_parameters(settings.page),
        ),
        "/api/v1/activity/export": export,
    }


def _parameters(most: int) -> list[Json]:
    text: Document = {"type": "string", "minLength": 1, "maxLength": 200}
    time: Document = {"type": "string", "format": "date-time"}
    whole: Document = {"type": "integer", "minimum": 1}
    given: list[tuple[str, str, Document]] = [
        ("category", "One or more categories, with commas between.", {"type": "string"}),
        ("type", "One or more types, with commas between.", {"type": "string"}),
        ("actor", "Who did it.", text),
        ("related", "An id of something that it has to do with.", text),
        ("text", "A part of title, type, actor or an id.", text),
        ("since", "Not before this time.", time),
        ("until", "Before this time.", time),
        ("before", "With a smaller sequence number: the next page.", whole),
        ("limit", "Most activities; by default as many as there may be.", {**whole, "maximum": most}),
    ]
    return [_parameter(*each) for each in given]


def _parameter(name: str, description: str, schema: Document) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _schemas(limits: Limits) -> Document:
    text: Json = {"type": "string"}
    maybe: Json = {"type": ["string", "null"]}
    properties: Document = {
        "sequence": {"type": "integer", "minimum": 1},
        "timestamp": {"type": "string", "format": "date-time"},
        "category": text,
        "type": text,
        "actor": maybe,
        "title": text,
        "related": {"type": "object", "additionalProperties": text},
        "channel": maybe,
        "offset": {"type": ["integer", "null"]},
    }
    return {
        "Activity": {"type": "object", "properties": properties, "required": list(properties)},
        "ActivityPage": {
            "type": "object",
            "properties": {
                "activities": {"type": "array", "items": reference("Activity")},
                "more": {"type": "boolean"},
            },
            "required": ["activities", "more"],
        },
    }
