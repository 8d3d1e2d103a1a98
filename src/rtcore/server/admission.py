"""
Room for connections: how many there may be, in all, at one endpoint and from one address.

A connection holds a place from before its handshake is answered until its socket is gone. There is no queue: a client
that finds no room is told so at once and when to come back, which costs the server one small reply.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from attrs import define, field, frozen

from rtcore.errors import HandshakeRefused
from rtcore.server.waiting import header_seconds
from rtcore.values.limits import Limits

__all__ = ["ConnectionPool", "PoolStatistics", "address_key"]

_KEYS: Final = 4096
"""Addresses whose keys are remembered, some 200 bytes each: a client that comes back has the same."""
_ADDRESS_LENGTH: Final = 64
"""Longest address that is remembered, in characters: an IPv6 address and a zone. A zone could be of any length."""


@frozen(kw_only=True)
class PoolStatistics:
    """A snapshot of the pool."""

    active: int
    """Connections now."""
    total_created: int
    """Connections ever admitted."""
    maximum: int
    """Most connections at once so far."""
    refused: int
    """Connections refused for want of room."""
    limit: int
    """Most connections that there may be at once."""
    addresses: int
    """Distinct addresses that connections come from now."""
    endpoints: Mapping[str, tuple[int, int]]
    """Connections now, and most at once, of each endpoint that has a maximum of its own; by path."""


@define(eq=False)
class _Room:
    """One endpoint's own maximum."""

    limit: int
    active: int = 0


@define(eq=False)
class ConnectionPool:
    """
    Admits connections up to `limits.connections`, up to `limits.connections_per_address` from one address, and up to
    an endpoint's own maximum where it has one.
    """

    limits: Limits
    retry_after_seconds: float = 5.0
    """What a refused client is told to wait."""
    _active: int = field(default=0, init=False)
    _created: int = field(default=0, init=False)
    _maximum: int = field(default=0, init=False)
    _refused: int = field(default=0, init=False)
    _addresses: dict[str, int] = field(factory=dict, init=False)
    _rooms: dict[str, _Room] = field(factory=dict, init=False)

    def limit_path(self, path: str, connections: int) -> None:
        """Give one endpoint a maximum of its own, before its first connection comes."""
        self._rooms[path] = _Room(connections)

    def admit(self, address: str, path: str = "") -> None:
        """
        Take a place for one more connection, until `release`.

        Args:
            address: IP address of the client; other text is counted as it is.
            path: Path of the endpoint.

        Raises:
            HandshakeRefused: 503 if there is no room at all or at this endpoint, 429 if this address has had its share;
                both with `Retry-After`.
        """
        key = address_key(address)
        limits = self.limits
        if self._active >= limits.connections:
            raise self._refuse(503, f"no room: connections={limits.connections} are open")
        room = self._rooms.get(path)
        if room is not None and room.active >= room.limit:
            raise self._refuse(503, f"no room at this endpoint: connections={room.limit} are open")
        share = limits.connections_per_address
        held = self._addresses.get(key, 0)
        if share and held >= share:
            raise self._refuse(429, f"connections_per_address={share} are open from this address")
        self._addresses[key] = held + 1
        if room is not None:
            room.active += 1
        self._active += 1
        self._created += 1
        if self._active > self._maximum:
            self._maximum = self._active

    def release(self, address: str, path: str = "") -> None:
        """Give one place back that was taken for this address at this endpoint."""
        key = address_key(address)
        self._active -= 1
        held = self._addresses.pop(key) - 1
        if held:
            self._addresses[key] = held
        room = self._rooms.get(path)
        if room is not None:
            room.active -= 1

    def statistics(self) -> PoolStatistics:
        """A snapshot."""
        return PoolStatistics(
            active=self._active,
            total_created=self._created,
            maximum=self._maximum,
            refused=self._refused,
            limit=self.limits.connections,
            addresses=len(self._addresses),
            endpoints={path: (room.active, room.limit) for path, room in self._rooms.items()},
        )

    def _refuse(self, status: int, message: str) -> HandshakeRefused:
        self._refused += 1
        headers = (("Retry-After", header_seconds(self.retry_after_seconds)),)
        return HandshakeRefused(status, message, headers=headers)


def address_key(address: str) -> str:
    """
    What an address is counted under: an IPv4 address as it is, also inside IPv6, of an IPv6 address its /64.

    One subscriber is given a whole /64, so counting single addresses would count nothing (RFC 6177).
    """
    return _remembered_key(address) if len(address) <= _ADDRESS_LENGTH else _key_of(address)


def _key_of(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


_remembered_key = lru_cache(maxsize=_KEYS)(_key_of)
