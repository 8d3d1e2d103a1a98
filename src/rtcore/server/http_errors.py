"""
How an error looks over HTTP: one table from codes to statuses, one JSON shape.

    {"error": {"code": "...", "message": "...", "transient": false, "retry_after": null, "field": null}}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from rtcore.errors import ErrorCode, RequestError
from rtcore.protocol.json_codec import json_answer
from rtcore.server.waiting import header_seconds

__all__ = [
    "HTTP_STATUS",
    "ErrorAnswers",
    "JSONResponse",
    "answer_http_exception",
    "answer_unexpected_error",
    "error_response",
    "patient",
    "refusal_body",
]

HTTP_STATUS: Final[Mapping[ErrorCode, int]] = MappingProxyType(
    {
        ErrorCode.MALFORMED: 400,
        ErrorCode.UNKNOWN_TYPE: 400,
        ErrorCode.UNKNOWN_CHANNEL: 404,
        ErrorCode.INVALID_FILTER: 422,
        ErrorCode.INVALID_POSITION: 422,
        ErrorCode.CONFLICT: 409,
        ErrorCode.NOT_FOUND: 404,
        ErrorCode.METHOD_NOT_ALLOWED: 405,
        ErrorCode.UNSUPPORTED_MEDIA_TYPE: 415,
        ErrorCode.AUTHENTICATION_REQUIRED: 401,
        ErrorCode.AUTHENTICATION_FAILED: 401,
        ErrorCode.TOKEN_EXPIRED: 401,
        ErrorCode.TOKEN_REVOKED: 401,
        ErrorCode.DENIED: 403,
        ErrorCode.RATE: 429,
        ErrorCode.TOO_LARGE: 413,
        ErrorCode.TOO_DEEP: 400,
        ErrorCode.TOO_MANY_CHANNELS: 422,
        ErrorCode.BUSY: 503,
        ErrorCode.UNAVAILABLE: 503,
        ErrorCode.TIMEOUT: 408,
        ErrorCode.INTERNAL: 500,
    }
)
"""The status of every code that a client may see; a test holds it complete."""

_REFUSALS: Final[Mapping[int, tuple[ErrorCode, str]]] = MappingProxyType(
    {
        400: (ErrorCode.MALFORMED, "the request is not valid HTTP/1.1, or asks for an upgrade on a used connection"),
        404: (ErrorCode.NOT_FOUND, "there is nothing at this path"),
        405: (ErrorCode.METHOD_NOT_ALLOWED, "the method is not allowed at this path; see the Allow header"),
        414: (ErrorCode.TOO_LARGE, "the request target is longer than limits.request_line_bytes"),
        431: (ErrorCode.TOO_LARGE, "the request head is larger than limits.request_head_bytes or request_headers"),
        500: (ErrorCode.INTERNAL, "the request failed on the server"),
        501: (ErrorCode.MALFORMED, "the transfer coding is not supported"),
        503: (ErrorCode.BUSY, "limits.http_connections are open"),
        505: (ErrorCode.MALFORMED, "only HTTP/1.0 and HTTP/1.1 are spoken here"),
    }
)

_CHALLENGED = frozenset(code for code, status in HTTP_STATUS.items() if status == 401)


class JSONResponse(Response):
    """A reply whose content is plain JSON values."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """The content as UTF-8 JSON; `LocalProtocolError`, which is answered 500, if it cannot carry it."""
        return json_answer(content)


def error_response(error: RequestError, *, status: int | None = None) -> Response:
    """The reply to a request that was not carried out, with the headers that its status calls for."""
    headers = {}
    if error.retry_after is not None:
        headers["retry-after"] = header_seconds(error.retry_after)
    if error.code is ErrorCode.AUTHENTICATION_REQUIRED:
        headers["www-authenticate"] = 'Bearer realm="rtcore"'
    elif error.code in _CHALLENGED:
        # Source: RFC 6750, section 3.1.
        headers["www-authenticate"] = 'Bearer realm="rtcore", error="invalid_token"'
    return JSONResponse(_document(error), status_code=status or HTTP_STATUS[error.code], headers=headers)


def patient(error: RequestError, retry_after: Callable[[], float]) -> RequestError:
    """The error; where it is answered 503 and says nothing of when to come again, with what `retry_after` says."""
    if error.retry_after is None and HTTP_STATUS[error.code] == 503:
        error.retry_after = retry_after()
    return error


def refusal_body(status: int, retry_after: float | None = None, *, problem: str | None = None) -> bytes:
    """The JSON body for a request that was refused by its head alone; `problem`: what is wrong, where that is known."""
    code, message = _REFUSALS.get(status, (ErrorCode.MALFORMED, HTTPStatus(status).phrase))
    return json_answer(_document(RequestError(code, problem or message, retry_after=retry_after)))


class ErrorAnswers:
    """
    Starlette's handlers for what the routes raise.

    Args:
        retry_after: Seconds that a client is told to wait that is answered 503.
    """

    def __init__(self, retry_after: Callable[[], float]) -> None:
        self._retry_after = retry_after

    async def request_error(self, request: Request, error: Exception) -> Response:
        """For `RequestError`."""
        assert isinstance(error, RequestError)
        return error_response(patient(error, self._retry_after))

    async def hub_closed(self, request: Request, error: Exception) -> Response:
        """For `HubClosed`: the server is on its way out."""
        ending = RequestError(ErrorCode.UNAVAILABLE, "the server is ending")
        return error_response(patient(ending, self._retry_after))


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's handler for what its router raises: 404, and 405 with its Allow header."""
    assert isinstance(error, HTTPException)
    # Starlette names the methods of one route, but a path may have a route for each of its methods.
    headers = {"allow": ", ".join(_allowed(request))} if error.status_code == 405 else error.headers
    return Response(
        refusal_body(error.status_code), status_code=error.status_code, headers=headers, media_type="application/json"
    )


def _allowed(request: Request) -> list[str]:
    """The methods of all routes at the request's path."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in routes for method in route.methods})


async def answer_unexpected_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for everything else; the error itself goes to the log, never to the client."""
    return Response(refusal_body(500), status_code=500, media_type="application/json")


def _document(error: RequestError) -> dict[str, object]:
    return {
        "error": {
            "code": error.code.value,
            "message": error.message,
            "transient": error.transient,
            "retry_after": error.retry_after,
            "field": error.field,
        }
    }
