"""The parts that every operation of the OpenAPI document is made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rtcore.server.http_errors import HTTP_STATUS
from rtcore.server.idempotency import KEY_LENGTH
from rtcore.server.openapi_schemas import reference
from rtcore.values.events import Json

__all__ = ["ERROR_STATUSES", "Document", "OperationWriter", "error_response", "path_parameter"]

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


ERROR_STATUSES: Final = tuple(_REASONS)
"""Statuses of errors, each a response `#/components/responses/ErrorSTATUS`."""


class OperationWriter:
    """Writes path items; `access` is `open`, `required` or `metrics`."""

    def __init__(self, authentication: bool, metrics_public: bool = False) -> None:
        self._authentication = authentication
        self.measured = "metrics" if metrics_public else "required"
        """The access of statistics and metrics."""

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
            responses["503"] = {"description": "Not now.", "headers": _retry_after(), "content": busy_content}
        item: Document = {"get": self._operation(summary, name, responses, access, parameters)}
        heads: Document = {status: _without_content(response) for status, response in responses.items()}
        item["head"] = self._operation(f"{summary}: the headers alone", f"{name}Head", heads, access, parameters)
        return item

    def post(
        self,
        summary: str,
        name: str,
        body: str,
        schema: str,
        errors: Iterable[int],
        *,
        keyed: bool = False,
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

    def delete(
        self, summary: str, name: str, schema: str, errors: Iterable[int], *, parameters: list[Json] | None = None
    ) -> Document:
        """A path whose thing can be removed."""
        content: Json = {"application/json": {"schema": reference(schema)}}
        responses: Document = {"200": {"description": "Done.", "content": content}, **self._errors(errors, "required")}
        return {"delete": self._operation(summary, name, responses, "required", parameters)}

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


def error_response(status: int) -> Document:
    response: Document = {
        "description": _REASONS[status],
        "content": {"application/json": {"schema": reference("Error")}},
    }
    if status in (429, 503):
        response["headers"] = _retry_after()
    if status == 401:
        response["headers"] = {"WWW-Authenticate": _header("A Bearer challenge.", {"type": "string"})}
    return response


def _retry_after() -> Document:
    return {"Retry-After": _header("Seconds to wait.", {"type": "integer", "minimum": 1})}


def _header(description: str, schema: Document) -> Document:
    return {"description": description, "required": True, "schema": schema}


def _idempotency_key() -> Document:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A request with the same key and body is carried out once; later ones get the same reply.",
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH, "pattern": "^[!-~]+$"},
    }


def path_parameter(name: str, schema: Document) -> Json:
    """A part of the path."""
    return {"name": name, "in": "path", "required": True, "schema": schema}
