"""
Which web pages may use the HTTP side, and how browsers are told.

A request with an `Origin` comes from a page. A page that is not allowed is refused before anything is done for it,
also where the browser would have sent the request without asking first; one that is allowed is told so in the headers
that browsers look for.

Source: WHATWG Fetch, section 3.2 (HTTP CORS protocol).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rtcore.errors import ErrorCode, HandshakeRefused, RequestError
from rtcore.server.http_context import OriginPort, client_secure
from rtcore.server.http_errors import error_response
from rtcore.server.proxies import ProxyTrust

__all__ = ["OriginMiddleware"]

_HEADERS: Final = "authorization, content-type, idempotency-key"
_REMEMBERED_SECONDS: Final = 600
_PROBES: Final = ("/healthz", "/readyz")
"""They tell nobody anything, and load balancers ask by whatever name they like."""

_EXPOSED: Final = "allow, idempotent-replayed, retry-after, www-authenticate"


class OriginMiddleware:
    """
    Refuses requests of pages that are not allowed, and answers the questions that browsers ask for the others.

    Args:
        app: Answers the requests of pages that are allowed, and of whoever is none.
        origins: Which pages may ask; None: none.
        proxies: Whose word on a client's address is taken.
        methods: Those that there are at any path; the path itself tells which of them it knows.
        open_paths: Where requests without a token are answered although others need one; None: nobody needs one.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        origins: OriginPort | None,
        proxies: ProxyTrust,
        methods: Collection[str],
        open_paths: Collection[str] | None,
    ) -> None:
        self._app = app
        self._origins = origins
        self._proxies = proxies
        self._open_paths = open_paths
        self._preflight = {
            "access-control-allow-methods": ", ".join(sorted(methods)),
            "access-control-allow-headers": _HEADERS,
            "access-control-max-age": str(_REMEMBERED_SECONDS),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        origin = connection.headers.get("origin")
        try:
            self._check(connection, origin)
        except HandshakeRefused as refused:
            field = "Host" if origin is None else "Origin"
            await error_response(RequestError(ErrorCode.DENIED, str(refused), field=field))(scope, receive, send)
            return
        if origin is None:
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(
                    {"access-control-allow-origin": origin, "access-control-expose-headers": _EXPOSED, "vary": "Origin"}
                )
            await send(message)

        if scope["method"] == "OPTIONS" and "access-control-request-method" in connection.headers:
            await Response(status_code=204, headers=self._preflight)(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _check(self, connection: HTTPConnection, origin: str | None) -> None:
        host = connection.headers.get("host")
        if origin is not None:
            if self._origins is None:
                raise HandshakeRefused(403, "no page may ask here")
            secure, token_needed = client_secure(connection, self._proxies), self._needs_token(connection)
            self._origins.check(origin, host, secure=secure, token_needed=token_needed)
        elif self._origins is not None and connection.scope["path"] not in _PROBES:
            self._origins.check_host(host, token_needed=self._needs_token(connection))

    def _needs_token(self, connection: HTTPConnection) -> bool:
        if self._open_paths is None:
            return False
        # What comes with a token is judged by it, also where it need not have come.
        return connection.scope["path"] not in self._open_paths or "authorization" in connection.headers
