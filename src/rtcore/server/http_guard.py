"""What stands before a route: who asks, and whether that one asks too often."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from enum import Enum
from typing import Final
from urllib.parse import quote

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from rtcore.errors import AuthenticationError, ErrorCode, RequestError
from rtcore.server.admission import address_key
from rtcore.server.authentication import bearer_token
from rtcore.server.http_context import HttpContext, client_address
from rtcore.values.identity import NOBODY, Identity

__all__ = ["Audience", "Handler", "RouteRule", "client_name", "guard", "require_role"]

Handler = Callable[[HttpContext, Request, Identity], Awaitable[Response]]

_READING: Final = ("GET", "HEAD")


class Audience(Enum):
    """Who may ask."""

    EVERYONE = "everyone"
    """Whoever reaches the port, as often as they like: for probes."""
    ADMITTED = "admitted"
    """Whoever has a valid token, or everyone where no authentication is configured."""
    METRICS = "metrics"
    """As `ADMITTED`, unless the settings make metrics public."""
    ADMIN = "admin"
    """Whoever has the role `admin`."""


@frozen
class RouteRule:
    """One route."""

    method: str
    path: str
    audience: Audience
    handler: Handler


def require_role(identity: Identity, roles: Collection[str]) -> None:
    """
    Return if the identity has one of the roles.

    Raises:
        RequestError: `access.denied`, with the roles.
    """
    if identity.roles.isdisjoint(roles):
        raise RequestError(ErrorCode.DENIED, f"needs one of the roles {', '.join(sorted(roles))}")


def guard(context: HttpContext, audience: Audience, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a route: `handler` behind authentication and rate."""

    async def endpoint(request: Request) -> Response:
        if audience is Audience.EVERYONE:
            return await handler(context, request, context.anonymous)
        identity = _identify(context, request, audience)
        if audience is Audience.ADMIN and "admin" not in identity.roles:
            raise RequestError(ErrorCode.DENIED, "the role admin is needed")
        if context.server.draining and request.method not in _READING:
            # What it changed would be gone in a moment, or its reply be cut: it belongs to what takes over.
            raise RequestError(ErrorCode.UNAVAILABLE, "the server is ending")
        return await handler(context, request, identity)

    return endpoint


def client_name(context: HttpContext, request: Request, identity: Identity) -> str:
    """The name under which a client's rate is counted and its idempotency keys are kept."""
    if identity.anonymous:
        return f"address:{address_key(client_address(request, context.proxies))}"
    # Users are told apart by their workspace too: two workspaces may have a user of the same name. Either name may hold
    # a slash, so that stands for itself alone where it parts them.
    return f"user:{quote(identity.workspace or '', safe='')}/{quote(identity.user, safe='')}"


def _identify(context: HttpContext, request: Request, audience: Audience) -> Identity:
    try:
        identity = _authenticate(context, request, audience)
    except RequestError:
        # Guessing has its price too: a refused token counts against the address that it came from.
        context.rates.take(client_name(context, request, context.anonymous))
        raise
    context.rates.take(client_name(context, request, identity))
    return identity


def _authenticate(context: HttpContext, request: Request, audience: Audience) -> Identity:
    values = request.headers.getlist("authorization")
    if context.authenticator is None:
        return context.anonymous
    if audience is Audience.METRICS and context.metrics_public and not values:
        return NOBODY  # what the figures show of one workspace or to one role is not for whoever reaches the port
    if not values:
        raise RequestError(ErrorCode.AUTHENTICATION_REQUIRED, "a token is needed", field="Authorization")
    if len(values) > 1:
        raise AuthenticationError("the Authorization header comes twice")
    return context.authenticator.authenticate(bearer_token(values[0]))
