"""
Which pages may connect.

A browser sends a page's origin with every WebSocket handshake, and no rule of its own keeps a strange page from opening
one to a server on the user's machine or network, with the user's reach. So a request with an `Origin` passes if that is
the server's own or one of the settings; a request without one comes from no page and passes.

"The server's own" means what the request's `Host` says, and a page can choose that: its owner points a name of his at
127.0.0.1 (DNS rebinding), and to the browser page and server are then one origin. What needs no token, on a server with
keys or without, must therefore be asked for by a `Host` that cannot be rebound: a loopback name, the address that the
server listens on, the host of a listed origin, or, for a server that listens on all addresses, any address in numbers.

Source: RFC 6455, section 10.2; RFC 6454, sections 4 and 6.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from attrs import frozen

from rtcore.errors import HandshakeRefused
from rtcore.server.settings import Settings, is_loopback

__all__ = ["Origin", "OriginPolicy", "parse_host", "parse_origin"]

_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::([0-9]{1,5}))?", re.ASCII)
_WILDCARDS: Final = frozenset({"0.0.0.0", "::", "*"})
_VERDICTS: Final = 1024
"""Verdicts remembered: one for each page's origin and name of the server that are in use at once."""
_REMEMBERED_LENGTH: Final = 512
"""Longest origin and host together that are remembered, in characters; names have 253 at most (RFC 1035)."""


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


@frozen
class _Rule:
    """What settings allow; judges by what is given alone, so that its verdicts can be remembered."""

    everyone: bool
    listed: frozenset[Origin]
    hosts: frozenset[str | None]
    wildcard: bool

    def fault(self, origin: str | None, host: str | None, secure: bool, token_needed: bool) -> str | None:
        """Why a handshake may not go on; None if it may."""
        if origin is None or self.everyone:
            return None
        asked = parse_origin(origin)
        if asked is not None and asked in self.listed:
            return None
        fault = self.host_fault(host, token_needed)
        if fault is not None:
            return fault
        own = None if host is None else parse_origin(f"{'https' if secure else 'http'}://{host}")
        if asked is None or own is None or asked != own:
            return "origin is not allowed: add it to the server's origins setting"
        return None

    def host_fault(self, host: str | None, token_needed: bool) -> str | None:
        """Why a host may be one that a page has made up; None if it cannot be."""
        if token_needed or self.everyone:  # a page that rebinds a name has no token
            return None
        parsed = None if host is None else parse_host(host)
        if parsed is None or not self._is_known(parsed[0]):
            return (
                "host is not known: where no token is needed, use a loopback name, "
                "or add it to the server's origins setting"
            )
        return None

    def _is_known(self, host: str) -> bool:
        return _is_local_name(host) or host in self.hosts or (self.wildcard and _is_address(host))


class OriginPolicy:
    """
    The rule for one server.

    Args:
        listed: Origins that may connect besides the server's own; `*`: every one.
        bound_host: What the server listens on.
    """

    def __init__(self, listed: Iterable[str] = (), *, bound_host: str = "127.0.0.1") -> None:
        names = frozenset(listed)
        origins = frozenset(origin for name in names if (origin := parse_origin(name)) is not None)
        self._rule = _Rule(
            everyone="*" in names,
            listed=origins,
            hosts=frozenset({_plain_host(bound_host), *(origin.host for origin in origins)}),
            wildcard=bound_host in _WILDCARDS,
        )
        self._remembered_fault = lru_cache(maxsize=_VERDICTS)(self._rule.fault)

    @classmethod
    def of(cls, settings: Settings) -> OriginPolicy:
        """The rule that settings ask for."""
        return cls(settings.origins, bound_host=settings.host)

    def check(self, origin: str | None, host: str | None, *, secure: bool, token_needed: bool) -> None:
        """
        Return if a handshake may go on.

        Args:
            origin: The `Origin` header; None where there is none.
            host: The `Host` header.
            secure: Whether the client speaks TLS, with the server or with a trusted proxy.
            token_needed: Whether what it asks for needs a token.

        Raises:
            HandshakeRefused: With 403. The message is for the owner of the page and repeats nothing of the request.
        """
        if origin is None:
            return
        remember = len(origin) + len(host or "") <= _REMEMBERED_LENGTH
        fault = (self._remembered_fault if remember else self._rule.fault)(origin, host, secure, token_needed)
        if fault is not None:
            raise HandshakeRefused(403, fault)

    def check_host(self, host: str | None, *, token_needed: bool) -> None:
        """
        Return if `Host` is one that no page can have made up.

        For plain HTTP requests too, since a browser sends no `Origin` with a page's GET to its own origin.

        Args:
            host: The `Host` header.
            token_needed: Whether what is asked for needs a token.

        Raises:
            HandshakeRefused: With 403, where no token is needed and the name may be anybody's.
        """
        fault = self._rule.host_fault(host, token_needed)
        if fault is not None:
            raise HandshakeRefused(403, fault)
