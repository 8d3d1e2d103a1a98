"""`GET /api/v1/dashboard/stats` and `GET /api/v1/dashboard/data`: metric streams for whoever polls."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from rtcore.features.metric_streams.documents import dashboard_data, dashboard_statistics
from rtcore.features.metric_streams.metric_streams import MetricStreams
from rtcore.features.metric_streams.stream import NAME_LENGTH, StreamState
from rtcore.server.figures import EndpointFigures
from rtcore.server.http_bodies import read_parameters
from rtcore.server.http_context import HttpContext
from rtcore.server.http_errors import JSONResponse
from rtcore.server.http_guard import Audience, RouteRule
from rtcore.server.openapi_schemas import reference
from rtcore.server.openapi_writer import Document, OperationWriter
from rtcore.server.rest.rest_module import RestModule
from rtcore.values.events import Json
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

__all__ = ["rest_module"]

_STATS: Final = "/api/v1/dashboard/stats"
_DATA: Final = "/api/v1/dashboard/data"


def rest_module(streams: MetricStreams) -> RestModule:
    """The HTTP side of metric streams."""
    return RestModule(
        rules=(
            RouteRule("GET", _STATS, Audience.METRICS, partial(_statistics, streams)),
            RouteRule("GET", _DATA, Audience.METRICS, partial(_data, streams)),
        ),
        paths=_paths,
        schemas=_schemas,
    )


async def _statistics(streams: MetricStreams, context: HttpContext, request: Request, identity: Identity) -> Response:
    """How the streams are that the asker may read."""
    read_parameters(request, ())
    dashboards = context.server.statistics().dialects.get("dashboard", EndpointFigures(connections=0, maximum=0))
    clients: dict[str, Json] = {"connected": dashboards.connections, "maximum": dashboards.maximum}
    document = dashboard_statistics(streams, streams.streams(identity), context.clock())
    return JSONResponse({"clients": clients, **document})


async def _data(streams: MetricStreams, context: HttpContext, request: Request, identity: Identity) -> Response:
    """The newest samples of the streams that the asker may read."""
    read_parameters(request, ())
    names = streams.streams(identity)
    await streams.fresh(names)
    return JSONResponse(dashboard_data(streams, names, context.limits.metric_data_bytes, context.clock()))


# What the OpenAPI document says


def _paths(writer: OperationWriter, limits: Limits) -> Document:
    return {
        _STATS: writer.get(
            "How the metric streams are", "dashboardStatistics", "DashboardStatistics", (400,), access=writer.measured
        ),
        _DATA: writer.get(
            "The newest sample of each metric stream", "dashboardData", "DashboardData", (400,), access=writer.measured
        ),
    }


def _schemas(limits: Limits) -> Document:
    return {
        "DashboardStatistics": _object(
            {
                "clients": _object({"connected": _COUNT, "maximum": _COUNT})
                | {"description": "Of the endpoints for dashboards; those of all are in /api/v1/realtime/stats."},
                **_COUNTS,
                "streams": {"type": "array", "items": reference("MetricStream")},
                "timestamp": _TIME,
            }
        ),
        "MetricStream": _object(
            {
                "stream": _NAME,
                "state": _STATE,
                "interval_seconds": {"type": ["number", "null"], "exclusiveMinimum": 0},
                "watched": {"type": "boolean"},
                "samples": _COUNT,
                "failures": _COUNT,
                "sampled_at": _or_null(_TIME),
                "failing_since": _or_null(_TIME),
                "message": _TEXT_OR_NULL,
            }
        ),
        "DashboardData": _object(
            {
                "availableStreams": {"type": "array", "items": _NAME},
                "overview": {
                    "type": "object",
                    "description": "Counts, and headline figures, which are null while there is no sample.",
                    "properties": _COUNTS,
                    "required": list(_COUNTS),
                },
                "streams": {"type": "object", "additionalProperties": reference("MetricSample")},
                "timestamp": _TIME,
            }
        ),
        "MetricSample": _object(
            {
                "data": {"type": ["object", "null"], "description": "Figures, as the stream has them."},
                "timestamp": _or_null(_TIME),
                "state": _STATE,
                "message": _TEXT_OR_NULL,
            }
        ),
    }


_COUNT: Final[Document] = {"type": "integer", "minimum": 0}
_TIME: Final[Document] = {"type": "string", "format": "date-time"}
_NAME: Final[Document] = {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH}
_STATE: Final[Document] = {"enum": [state.value for state in StreamState]}
_TEXT_OR_NULL: Final[Document] = {"type": ["string", "null"]}
_COUNTS: Final[Document] = {
    "health": {"enum": ["ok", "degraded"]},
    **dict.fromkeys(("stream_count", "running_count", "failing_count", "watched_count"), _COUNT),
}


def _or_null(schema: Document) -> Document:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: Document) -> Document:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
