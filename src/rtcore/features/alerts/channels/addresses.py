"""
Which addresses a notification may go to.

A name is resolved once, every address that it has is checked, and the connection goes to a checked address itself: a
name that answers differently a moment later (DNS rebinding) gains nothing. Since the check is on what the system's
resolver made of a name, spellings such as `127.1`, `0x7f000001` and `2130706433` are what they resolve to.

Public is what the registries say: of IPv4 all but the special-purpose blocks, of IPv6 the global unicast block without
its special-purpose ones. An IPv4 address inside an IPv6 one counts as itself. The lists are written out here because
Python's `is_global` differs from version to version and calls multicast global.

Source: RFC 6890 and the IANA IPv4 and IPv6 Special-Purpose Address Registries.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import trio
from attrs import Factory, field, frozen

from rtcore.errors import DeliveryFailed

__all__ = ["AddressPolicy", "Resolver", "resolve"]

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Takes a name and a port; returns addresses as text. Raises OSError where there are none."""

_NOT_PUBLIC_4: Final = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this network; the system takes 0.0.0.0 for itself
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared by carriers (CGNAT)
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local; where clouds keep their metadata
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
_PUBLIC_6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    map(
        ip_network,
        (
            "2001::/23",  # Teredo, ORCHID, benchmarks
            "2001:db8::/32",
            "2002::/16",  # 6to4: an IPv4 address of anybody's choice
            "3fff::/20",
        ),
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")


@frozen(kw_only=True)
class AddressPolicy:
    """Where connections may go."""

    allow_private: bool = False
    """Whether every address will do."""
    allowed_networks: tuple[str, ...] = ()
    """Networks besides the public ones."""
    resolver: Resolver = field(default=Factory(lambda: resolve), repr=False)
    """What makes addresses of a name."""

    def allows(self, address: str) -> bool:
        """Whether a connection may go to an address."""
        if self.allow_private:
            return True
        parsed = _unwrapped(ip_address(address.partition("%")[0]))
        networks = map(ip_network, self.allowed_networks)
        return any(parsed.version == each.version and parsed in each for each in networks) or _is_public(parsed)

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """
        The addresses of a name, all of them checked.

        Raises:
            DeliveryFailed: The name has none, or one to which connections may not go.
        """
        try:
            addresses = await self.resolver(host, port)
        except (OSError, UnicodeError):
            addresses = ()
        if not addresses:
            raise DeliveryFailed(f'the name "{host}" cannot be resolved', transient=True)
        for address in addresses:
            if not self.allows(address):
                raise DeliveryFailed(
                    f'"{host}" is {address}, which is not a public address; see allowed_networks', transient=False
                )
        return addresses


async def resolve(host: str, port: int) -> Sequence[str]:
    """What the system makes of a name."""
    found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for: mapped (RFC 4291) or behind a NAT64 (RFC 6052)."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)
