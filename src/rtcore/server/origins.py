"""
Which pages may connect.

A browser sends a page's origin with every WebSocket handshake, and no rule of its own keeps a strange page from opening
one to a server on the user's machine or network, with the user's reach. So a request with an `Origin` passes if that is
the server's own or one of the settings; a request without one comes from no page and passes.

"The server's own" means what the request's `Host` says, and a page can choose that: its owner points a name of his at
127.0.0.1 (DNS rebinding), and to the browser page and server are then one origin. Where nobody needs a token, `Host`
must therefore be a name that cannot be rebound: a loopback name, the address that the server listens on, the host of a
listed origin, or, for a server that listens on all addresses, any address in numbers.

Source: RFC 6455, section 10.2; RFC 6454, sections 4 and 6.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from rtcore.errors import HandshakeRefused
from rtcore.server.settings import Settings, is_loopback

__all__ = ["Origin", "OriginPolicy", "parse_host", "parse_origin"]

_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::([0-9]{1,5}))?", re.ASCII)
_WILDCARDS: Final = frozenset({"0.0.0.0", "::", "*"})


@frozen
class Origin:
    """Scheme, host and port, in the one form that compares."""

    scheme: str
    host: str
    port: int


def parse_host(value: str) -> tuple[str, int | None] | None:
    """
    Host and port of a `Host` header; None where the value is not a host.

    The host is in lower case and without a final dot, an IPv6 address without brackets and in its shortest form. The
    port is None where none is given.
    """
    match = _HOST.fullmatch(value)
    if match is None or int(match[2] or 1) not in range(1, 65536):
        return None
    host = _plain_host(match[1])
    return None if host is None else (host, int(match[2]) if match[2] else None)


def parse_origin(value: str) -> Origin | None:
    """An origin; None where the value is not one, as `null` is not."""
    scheme, separator, rest = value.partition("://")
    scheme = scheme.lower()
    if not separator or not scheme:
        return None
    parsed = parse_host(rest)
    if parsed is None:
        return None
    host, port = parsed
    return Origin(scheme, host, port or _PORTS.get(scheme, 0))


def _plain_host(text: str) -> str | None:
    host = text.lower().removesuffix(".")
    if host.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            return None
    return host or None


def _is_local_name(host: str) -> bool:
    # Browsers resolve `localhost` and all below it without asking anybody (RFC 6761, section 6.3).
    return is_loopback(host) or host.endswith(".localhost")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class OriginPolicy:
    """
    The rule for one server.

    Args:
        listed: Origins that may connect besides the server's own; `*`: every one.
        bound_host: What the server listens on.
        authentication: Whether a token is needed.
    """

    def __init__(
        self, listed: Iterable[str] = (), *, bound_host: str = "127.0.0.1", authentication: bool = False
    ) -> None:
        names = frozenset(listed)
        self._everyone = "*" in names
        self._listed = frozenset(origin for name in names if (origin := parse_origin(name)) is not None)
        self._hosts = frozenset({_plain_host(bound_host), *(origin.host for origin in self._listed)})
        self._wildcard = bound_host in _WILDCARDS
        self._authentication = authentication

    @classmethod
    def of(cls, settings: Settings) -> OriginPolicy:
        """The rule that settings ask for."""
        return cls(settings.origins, bound_host=settings.host, authentication=settings.authentication is not None)

    def check(self, origin: str | None, host: str | None, *, secure: bool) -> None:
        """
        Return if a handshake may go on.

        Args:
            origin: The `Origin` header; None where there is none.
            host: The `Host` header.
            secure: Whether the client speaks TLS, with the server or with a trusted proxy.

        Raises:
            HandshakeRefused: With 403. The message is for the owner of the page and repeats nothing of the request.
        """
        if origin is None or self._everyone:
            return
        asked = parse_origin(origin)
        if asked is not None and asked in self._listed:
            return
        self.check_host(host)
        own = None if host is None else parse_origin(f"{'https' if secure else 'http'}://{host}")
        if asked is None or own is None or asked != own:
            raise HandshakeRefused(403, "origin is not allowed: add it to the server's origins setting")

    def check_host(self, host: str | None) -> None:
        """
        Return if `Host` is one that no page can have made up.

        For plain HTTP requests too, since a browser sends no `Origin` with a page's GET to its own origin.

        Raises:
            HandshakeRefused: With 403, where no token is needed and the name may be anybody's.
        """
        if self._authentication or self._everyone:
            return
        parsed = None if host is None else parse_host(host)
        if parsed is None or not self._is_known(parsed[0]):
            raise HandshakeRefused(
                403,
                "host is not known: without authentication, use a loopback name or add to the server's origins setting",
            )

    def _is_known(self, host: str) -> bool:
        return _is_local_name(host) or host in self._hosts or (self._wildcard and _is_address(host))
