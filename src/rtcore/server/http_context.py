"""What the HTTP application is given: everything it touches, by the little that it needs of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import field, frozen
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from rtcore.hub.access import AccessRules
from rtcore.hub.filters import MATCH_ALL, Filter
from rtcore.hub.results import HistoryPage, PublishOutcome, Range
from rtcore.hub.statistics import HubStatistics
from rtcore.server.figures import ServerPort
from rtcore.server.http_rates import RequestRates
from rtcore.server.idempotency import IdempotencyStore
from rtcore.server.proxies import ProxyTrust
from rtcore.values.events import Json, Lane
from rtcore.values.identity import ANONYMOUS, Identity
from rtcore.values.limits import Limits
from rtcore.values.positions import Since

__all__ = [
    "HttpContext",
    "HubPort",
    "OriginPort",
    "RevocationPort",
    "SystemPort",
    "TokenAuthenticator",
    "client_address",
    "client_secure",
]


class HubPort(Protocol):
    """What the HTTP side needs of a hub."""

    access: AccessRules

    def publish(
        self, channel: str, type: str, data: Json, *, lane: Lane | None = None, key: str | None = None
    ) -> PublishOutcome:
        """See `Hub.publish`."""

    def history(
        self,
        channel: str,
        *,
        since: Since | None = None,
        where: Filter = MATCH_ALL,
        ranges: Sequence[Range] = (),
        limit: int | None = None,
    ) -> HistoryPage:
        """See `Hub.history`."""

    def statistics(self) -> HubStatistics:
        """See `Hub.statistics`."""


class TokenAuthenticator(Protocol):
    """Turns a token into an identity."""

    def authenticate(self, token: str) -> Identity:
        """Raises AuthenticationError if the token does not open this door."""


class RevocationPort(Protocol):
    """Takes tokens and users out of service; returns how many connections that ended."""

    def revoke_token(self, token_id: str) -> int: ...

    def revoke_user(self, user: str) -> int: ...


class SystemPort(Protocol):
    """Looks at the machine."""

    async def document(self) -> dict[str, Json]:
        """The figures of now, as JSON."""


class OriginPort(Protocol):
    """Which pages may ask. Both raise HandshakeRefused when they may not."""

    def check(self, origin: str | None, host: str | None, *, secure: bool, token_needed: bool) -> None:
        """For a request with an `Origin`."""

    def check_host(self, host: str | None, *, token_needed: bool) -> None:
        """For one without: a page's own GET has none."""


class _ProxyHeaders:
    """Headers as `ProxyTrust` asks for them."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def get(self, name: str) -> str | None:
        return self._headers.get(name)

    def get_all(self, name: str) -> Sequence[str]:
        return self._headers.getlist(name)


def client_address(connection: HTTPConnection, proxies: ProxyTrust) -> str:
    """The address that a request counts for; `unknown` where there is none, as on memory streams."""
    if connection.client is None:
        return "unknown"
    return proxies.client_address(connection.client.host, _ProxyHeaders(connection.headers))


def client_secure(connection: HTTPConnection, proxies: ProxyTrust) -> bool:
    """Whether the client speaks TLS, with this server or with a trusted proxy."""
    if connection.scope.get("scheme") == "https":
        return True
    return connection.client is not None and proxies.is_secure(
        connection.client.host, _ProxyHeaders(connection.headers)
    )


@frozen(kw_only=True, eq=False)
class HttpContext:
    """The dependencies of the routes; one per application."""

    hub: HubPort
    server: ServerPort
    system: SystemPort
    limits: Limits
    rates: RequestRates
    idempotency: IdempotencyStore
    authenticator: TokenAuthenticator | None = None
    """None: nobody needs a token."""
    anonymous: Identity = ANONYMOUS
    """Who asks without a token, where none is needed."""
    revocations: RevocationPort | None = None
    metrics_public: bool = False
    """Whether statistics and metrics need no token where others do."""
    proxies: ProxyTrust = field(factory=ProxyTrust)
    """Whose word on the client's address is taken."""
    clock: Callable[[], float] = field(default=time.time)
    """Unix seconds."""
