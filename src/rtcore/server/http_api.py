"""The HTTP application: its routes, and who may use which."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rtcore.errors import HubClosed, RequestError
from rtcore.server.figures import ServerPort
from rtcore.server.http_context import (
    HttpContext,
    HubPort,
    OriginPort,
    RevocationPort,
    SystemPort,
    TokenAuthenticator,
)
from rtcore.server.http_errors import (
    ErrorAnswers,
    JSONResponse,
    answer_http_exception,
    answer_unexpected_error,
)
from rtcore.server.http_guard import Audience, RouteRule, guard
from rtcore.server.http_history import history
from rtcore.server.http_origins import OriginMiddleware
from rtcore.server.http_publish import publish, publish_batch
from rtcore.server.http_rates import LedgerPort, RequestRates
from rtcore.server.http_revoke import revoke
from rtcore.server.http_statistics import health, readiness, realtime_statistics, system_metrics
from rtcore.server.idempotency import IdempotencyStore
from rtcore.server.openapi import openapi_document
from rtcore.server.prometheus import FiguresCollector, make_registry, metrics_handler
from rtcore.server.proxies import ProxyTrust
from rtcore.server.rest.rest_module import RestModule
from rtcore.values.events import Json
from rtcore.values.identity import ANONYMOUS, Identity
from rtcore.values.limits import Limits

__all__ = ["ROUTES", "build_app", "served_paths"]


ROUTES: Final = (
    RouteRule("GET", "/healthz", Audience.EVERYONE, health),
    RouteRule("GET", "/readyz", Audience.EVERYONE, readiness),
    RouteRule("GET", "/api/v1/realtime/stats", Audience.METRICS, realtime_statistics),
    RouteRule("GET", "/api/v1/system/metrics", Audience.METRICS, system_metrics),
    RouteRule("POST", "/api/v1/publish", Audience.ADMITTED, publish),
    RouteRule("POST", "/api/v1/publish/batch", Audience.ADMITTED, publish_batch),
    RouteRule("GET", "/api/v1/channels/{name}/history", Audience.ADMITTED, history),
    RouteRule("POST", "/api/v1/revoke", Audience.ADMIN, revoke),
)
"""All routes but those of features, and `/metrics` and `/openapi.json`, which are made for each application."""

_METRICS: Final = "/metrics"
_OPENAPI: Final = "/openapi.json"


def served_paths(rest: Sequence[RestModule]) -> list[str]:
    """All paths of the application, with those of features; names in braces stand for one part of a path."""
    return [*(rule.path for rule in chain(ROUTES, *(module.rules for module in rest))), _METRICS, _OPENAPI]


def build_app(
    hub: HubPort,
    server: ServerPort,
    *,
    system: SystemPort,
    version: str,
    limits: Limits | None = None,
    authenticator: TokenAuthenticator | None = None,
    anonymous: Identity = ANONYMOUS,
    revocations: RevocationPort | None = None,
    origins: OriginPort | None = None,
    proxies: ProxyTrust | None = None,
    ledger: LedgerPort | None = None,
    metrics_public: bool = False,
    rest: Sequence[RestModule] = (),
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> Starlette:
    """
    The ASGI application.

    Args:
        hub: Where events go and come from.
        server: The server around the application.
        system: The machine.
        version: rtcore's version, for the documents.
        limits: Bounds of requests.
        authenticator: Verifies tokens; None: nobody needs one.
        anonymous: Who asks without a token, where none is needed.
        revocations: Takes tokens out of service; None: there are none.
        origins: Which pages may ask; None: none.
        proxies: Whose word on a client's address is taken; None: nobody's.
        ledger: Where rate violations are counted.
        metrics_public: Whether statistics and metrics need no token where others do.
        rest: What features add.
        clock: Unix seconds.
        monotonic: A steady clock, in seconds, for rates and idempotency keys.
    """
    limits = limits or Limits()
    context = HttpContext(
        hub=hub,
        server=server,
        system=system,
        limits=limits,
        rates=RequestRates(limits, ledger=ledger, monotonic=monotonic, clock=clock),
        idempotency=IdempotencyStore(
            maximum_keys=limits.idempotency_keys,
            maximum_bytes=limits.idempotency_bytes,
            seconds=limits.idempotency_seconds,
            clock=monotonic,
        ),
        authenticator=authenticator,
        anonymous=anonymous,
        revocations=revocations,
        metrics_public=metrics_public,
        proxies=proxies or ProxyTrust(),
        clock=clock,
    )
    rules = _rules(context, version, rest)
    routes = [Route(rule.path, guard(context, rule.audience, rule.handler), methods=[rule.method]) for rule in rules]
    pages = Middleware(
        OriginMiddleware,
        origins=origins,
        proxies=context.proxies,
        methods={method for route in routes for method in route.methods or ()},
        open_paths=_open_paths(context, rules),
    )
    answers = ErrorAnswers(server.retry_after)
    app = Starlette(
        routes=routes,
        middleware=[pages],
        exception_handlers={
            RequestError: answers.request_error,
            HubClosed: answers.hub_closed,
            HTTPException: answer_http_exception,
            Exception: answer_unexpected_error,
        },
    )
    app.router.redirect_slashes = False  # a path with a slash too many is another path, and there is nothing at it
    return app


def _rules(context: HttpContext, version: str, rest: Sequence[RestModule]) -> list[RouteRule]:
    document = openapi_document(
        version=version,
        limits=context.limits,
        authentication=context.authenticator is not None,
        metrics_public=context.metrics_public,
        rest=rest,
    )
    collector = FiguresCollector(
        hub=context.hub.statistics,
        server=context.server.statistics,
        draining=lambda: context.server.draining,
        version=version,
    )
    return [
        *ROUTES,
        *(rule for module in rest for rule in module.rules),
        RouteRule("GET", _METRICS, Audience.METRICS, metrics_handler(make_registry(collector))),
        RouteRule("GET", _OPENAPI, Audience.EVERYONE, partial(_describe, document)),
    ]


def _open_paths(context: HttpContext, rules: Iterable[RouteRule]) -> frozenset[str] | None:
    """What `OriginMiddleware` is told; the paths for everyone, which hold nothing of anybody's, are not among them."""
    if context.authenticator is None:
        return None
    return frozenset(rule.path for rule in rules if rule.audience is Audience.METRICS and context.metrics_public)


async def _describe(document: dict[str, Json], context: HttpContext, request: Request, identity: Identity) -> Response:
    return JSONResponse(document)
