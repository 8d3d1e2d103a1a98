"""
The OpenAPI document of the HTTP side.

It is written by hand, beside the routes, and held true by tests: one compares its paths and methods with the routes,
one sends generated requests, good and bad, and checks each answer against what the document allows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rtcore.server.http_errors import HTTP_STATUS
from rtcore.server.idempotency import KEY_LENGTH
from rtcore.server.openapi_schemas import CHANNEL_SCHEMA, component_schemas, reference
from rtcore.values.events import Json
from rtcore.values.limits import Limits

__all__ = ["openapi_document"]

Document = dict[str, Json]

_REASONS: Final = {
    400: "The request is malformed; `field` says where.",
    401: "A token is needed, or the one that came does not do.",
    403: "The identity, or the page that asks, is not allowed.",
    404: "There is nothing of this name.",
    408: "The body took too long.",
    409: "The Idempotency-Key came with another request before.",
    413: "The body, an event or the batch is too large.",
    415: "The body is not application/json.",
    422: "A filter, a position, or the number of channels is not acceptable.",
    429: "Too many requests; Retry-After says how long to wait.",
    500: "The request failed on the server.",
    503: "The server is ending, or out of room for a while.",
}
assert set(_REASONS) == set(HTTP_STATUS.values()) - {405}

_BODY_ERRORS: Final = (400, 408, 413, 415)


def openapi_document(*, version: str, limits: Limits, authentication: bool, metrics_public: bool) -> Document:
    """
    The document for one server.

    Args:
        version: rtcore's version.
        limits: Bounds that appear in schemas.
        authentication: Whether tokens are needed.
        metrics_public: Whether statistics and metrics need none nevertheless.
    """
    writer = _Writer(authentication)
    measured = "metrics" if metrics_public else "required"
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
                "parameters": [{"name": "name", "in": "path", "required": True, "schema": CHANNEL_SCHEMA}],
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
        },
        "components": {
            "schemas": component_schemas(limits),
            "responses": {f"Error{status}": _error_response(status) for status in _REASONS},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


class _Writer:
    """Writes path items."""

    def __init__(self, authentication: bool) -> None:
        self._authentication = authentication

    def get(
        self,
        summary: str,
        name: str,
        schema: str | None,
        errors: Iterable[int] = (),
        *,
        access: str = "open",
        busy: str | None = None,
        parameters: list[Json] | None = None,
    ) -> Document:
        """A path that is read; `busy` is the schema of its 503."""
        content: Json = {"application/json": {"schema": reference(schema) if schema else {"type": "object"}}}
        responses: Document = {"200": {"description": "The answer.", "content": content}}
        responses |= self._errors(errors, access)
        if busy is not None:
            busy_content: Json = {"application/json": {"schema": reference(busy)}}
            responses["503"] = {"description": "Not now.", "content": busy_content}
        item: Document = {"get": self._operation(summary, name, responses, access, parameters)}
        heads: Document = {status: _without_content(response) for status, response in responses.items()}
        item["head"] = self._operation(f"{summary}: the headers alone", f"{name}Head", heads, access, parameters)
        return item

    def post(
        self, summary: str, name: str, body: str, schema: str, errors: Iterable[int], *, keyed: bool = False
    ) -> Document:
        """A path that is written to; `keyed`: whether it takes an Idempotency-Key."""
        ok: Document = {
            "description": "Done.",
            "content": {"application/json": {"schema": reference(schema)}},
        }
        if keyed:
            ok["headers"] = {
                "Idempotent-Replayed": {
                    "description": "`true` where this is the reply of an earlier request.",
                    "schema": {"const": "true"},
                }
            }
        responses: Document = {"200": ok, **self._errors((*_BODY_ERRORS, *errors), "required")}
        parameters: list[Json] = [_idempotency_key()] if keyed else []
        operation = self._operation(summary, name, responses, "required", parameters)
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": reference(body)}},
        }
        return {"post": operation}

    def exposition(self, access: str) -> Document:
        """The path that Prometheus scrapes."""
        item = self.get("Figures for Prometheus", "metrics", None, access=access)
        for operation in item.values():
            assert isinstance(operation, dict)
            responses = operation["responses"]
            assert isinstance(responses, dict)
            responses["200"] = {"description": "The figures, in the form that Accept asks for."}
        get = item["get"]
        assert isinstance(get, dict)
        assert isinstance(get["responses"], dict)
        get["responses"]["200"]["content"] = {  # type: ignore[index, call-overload]  # built just above
            "text/plain": {"schema": {"type": "string"}},
            "application/openmetrics-text": {"schema": {"type": "string"}},
        }
        return item

    def _errors(self, errors: Iterable[int], access: str) -> Document:
        statuses = {*errors, 403, 500}
        if access != "open":
            statuses.add(429)
            if self._authentication:
                statuses.add(401)
        return {str(status): {"$ref": f"#/components/responses/Error{status}"} for status in sorted(statuses)}

    def _operation(
        self, summary: str, name: str, responses: Document, access: str, parameters: list[Json] | None
    ) -> Document:
        operation: Document = {"summary": summary, "operationId": name, "responses": responses}
        if parameters:
            operation["parameters"] = parameters
        if self._authentication and access != "open":
            operation["security"] = [{"token": []}, {}] if access == "metrics" else [{"token": []}]
        return operation


def _without_content(response: Json) -> Json:
    assert isinstance(response, dict)
    if "$ref" in response:
        return {"description": _REASONS[int(str(response["$ref"])[-3:])]}
    return {"description": response["description"]}


def _error_response(status: int) -> Document:
    response: Document = {
        "description": _REASONS[status],
        "content": {"application/json": {"schema": reference("Error")}},
    }
    if status == 429:
        response["headers"] = {"Retry-After": _header("Seconds to wait.", {"type": "integer", "minimum": 1})}
    if status == 401:
        response["headers"] = {"WWW-Authenticate": _header("A Bearer challenge.", {"type": "string"})}
    return response


def _header(description: str, schema: Document) -> Document:
    return {"description": description, "required": True, "schema": schema}


def _idempotency_key() -> Document:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A request with the same key and body is carried out once; later ones get the same reply.",
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH, "pattern": "^[!-~]+$"},
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
