"""
The OpenAPI document of the HTTP side.

It is written by hand, beside the routes, and held true by tests: one compares its paths and methods with the routes,
one sends generated requests, good and bad, and checks each answer against what the document allows.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtcore.server.openapi_schemas import CHANNEL_SCHEMA, component_schemas, reference
from rtcore.server.openapi_writer import ERROR_STATUSES, Document, OperationWriter, error_response, path_parameter
from rtcore.server.rest.rest_module import RestModule
from rtcore.values.events import Json
from rtcore.values.limits import Limits

__all__ = ["openapi_document"]

def openapi_document(
    *, version: str, limits: Limits, authentication: bool, metrics_public: bool, rest: Sequence[RestModule] = ()
) -> Document:
    """
    The document for one server.

    Args:
        version: rtcore's version.
        limits: Bounds that appear in schemas.
        authentication: Whether tokens are needed.
        metrics_public: Whether statistics and metrics need none nevertheless.
        rest: What features add.
    """
    writer = OperationWriter(authentication, metrics_public)
    measured = writer.measured
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rtcore",
            "version": version,
            "description": (
                "The HTTP side of an rtcore server; WebSocket messages are described in docs/protocol.md. Every GET "
                "answers HEAD too. A request that is no valid HTTP/1.1, or whose head is too large, is answered 400, "
                "414, 431, 501 or 505, an unknown path 404, another method 405, all with the same error body."
            ),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "paths": {
            "/healthz": writer.get("Whether the process answers", "health", "Status"),
            "/readyz": writer.get("Whether new clients should be sent here", "readiness", "Status", busy="Status"),
            "/metrics": writer.exposition(measured),
            "/openapi.json": writer.get("This document", "document", None),
            "/api/v1/realtime/stats": writer.get(
                "What the hub and the server are doing", "statistics", "RealtimeStatistics", (400,), access=measured
            ),
            "/api/v1/system/metrics": writer.get(
                "The machine, with the WebSocket figures", "systemMetrics", "SystemMetrics", (400,), access=measured
            ),
            "/api/v1/publish": writer.post(
                "Publish an event", "publish", "Publication", "Outcome", (409, 422, 503), keyed=True
            ),
            "/api/v1/publish/batch": writer.post(
                "Publish several events: all are checked before the first is published",
                "publishBatch",
                "PublicationBatch",
                "Outcomes",
                (409, 422, 503),
                keyed=True,
            ),
            "/api/v1/channels/{name}/history": {
                "parameters": [path_parameter("name", CHANNEL_SCHEMA)],
                **writer.get(
                    "Events of the past",
                    "history",
                    "HistoryPage",
                    (400, 404, 422),
                    access="required",
                    parameters=_history_parameters(limits),
                ),
            },
            "/api/v1/revoke": writer.post(
                "Take a token, or all of a user's, out of service (role admin)",
                "revoke",
                "Revocation",
                "Revoked",
                (404, 503),
            ),
            **{path: item for module in rest for path, item in module.paths(writer, limits).items()},
        },
        "components": {
            "schemas": {
                **component_schemas(limits),
                **{name: schema for module in rest for name, schema in module.schemas(limits).items()},
            },
            "responses": {f"Error{status}": error_response(status) for status in ERROR_STATUSES},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _history_parameters(limits: Limits) -> list[Json]:
    whole: Document = {"type": "integer", "maximum": 10**18 - 1}
    position: Document = {"type": "string", "pattern": r"^[a-z0-9]{1,16}-\d{1,18}(\.\d{1,18}\.\d{1,18})?$"}
    given: list[tuple[str, str, Document]] = [
        ("position", "Everything after a position that the server gave.", position),
        ("since", "The same as `position`.", position),
        ("offset", "Everything from this offset on.", {**whole, "minimum": 0}),
        ("timestamp", "Everything published at or after this time.", {"type": "string", "format": "date-time"}),
        ("seconds", "Everything of the last so many seconds.", {"type": "number", "exclusiveMinimum": 0}),
        ("last", "The newest so many events that pass the filter.", {**whole, "minimum": 1}),
        ("limit", "Most events of the page.", {"type": "integer", "minimum": 1, "maximum": limits.replay_events}),
    ]
    exclusive = " At most one of position, since, offset, timestamp, seconds and last."
    parameters: list[Json] = [
        {
            "name": name,
            "in": "query",
            "description": description + (exclusive if name != "limit" else ""),
            "schema": schema,
        }
        for name, description, schema in given
    ]
    parameters.append(
        {
            "name": "where",
            "in": "query",
            "description": 'A filter, as in the WebSocket\'s `subscribe`, such as `{"task_id":"t1"}`.',
            "content": {"application/json": {"schema": reference("Filter")}},
        }
    )
    return parameters
