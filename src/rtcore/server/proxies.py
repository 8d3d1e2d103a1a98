"""
Whom a request comes from when proxies stand between.

A proxy appends the address that it saw to `X-Forwarded-For`. Only the entries that trusted proxies appended can be
believed, so the list is read from its end, and the first address that is not a trusted proxy's is the client's:
whatever stands before it, the client may have written itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import Final, Protocol

__all__ = ["ProxyTrust", "RequestHeaders"]

_ENTRIES: Final = 32
"""Most entries of `X-Forwarded-For` that are looked at; no chain of proxies is longer."""
_PEERS: Final = 1024
"""Addresses for which it is remembered whether they are a trusted proxy's; of proxies themselves there are a few."""
_ADDRESS_LENGTH: Final = 64
"""Longest address that is remembered, in characters: an IPv6 address and a zone. A zone could be of any length."""


class RequestHeaders(Protocol):
    """What is asked of a request head."""

    def get(self, name: str) -> str | None:
        """The first value of a header, by its name in lower case."""

    def get_all(self, name: str) -> Sequence[str]:
        """All values of a header, in order."""


class ProxyTrust:
    """
    The proxies whose word is taken.

    Args:
        networks: Networks such as `10.0.0.0/8`, or single addresses.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)
        self._within = partial(_is_within, self._networks)
        self._remembered_within = lru_cache(maxsize=_PEERS)(self._within)

    def client_address(self, peer: str, headers: RequestHeaders) -> str:
        """
        The address to count a request under: that of the peer, or the one that its trusted proxies name.

        Args:
            peer: Address of the socket's other end; text that is no IP address, as of a memory stream, stays.
            headers: The request's.
        """
        if not self._trusts(peer):
            return peer
        entries = ",".join(headers.get_all("x-forwarded-for")).split(",")[-_ENTRIES:]
        address = peer
        for entry in reversed(entries):
            candidate = _bare_address(entry.strip())
            if candidate is None:
                break  # what a trusted proxy did not understand, it did not vouch for
            address = candidate
            if not self._trusts(candidate):
                break
        return address

    def is_secure(self, peer: str, headers: RequestHeaders) -> bool:
        """Whether a trusted proxy says that the client speaks TLS with it."""
        if not self._trusts(peer):
            return False
        values = headers.get_all("x-forwarded-proto")
        return bool(values) and values[-1].rpartition(",")[2].strip().lower() in ("https", "wss")

    def _trusts(self, address: str) -> bool:
        if not self._networks:
            return False
        return self._remembered_within(address) if len(address) <= _ADDRESS_LENGTH else self._within(address)


def _is_within(networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...], address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in networks)


def _bare_address(entry: str) -> str | None:
    """The address of an entry without port and brackets, in its usual form; None when it is not one."""
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        return str(ipaddress.ip_address(entry))
    except ValueError:
        return None
