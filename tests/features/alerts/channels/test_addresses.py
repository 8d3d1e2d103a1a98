"""Where connections may go: nothing inside, however it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from rtcore.errors import DeliveryFailed
from rtcore.features.alerts.channels.addresses import AddressPolicy, resolve

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
INSIDE = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1",
    "64:ff9b::a00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1",
    "3fff::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "4000::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_allowed(address: str) -> None:
    assert AddressPolicy().allows(address)


@pytest.mark.parametrize("address", INSIDE)
def test_address_that_is_not_public_is_refused_unless_all_are_allowed(address: str) -> None:
    assert not AddressPolicy().allows(address)
    assert AddressPolicy(allow_private=True).allows(address)


def test_network_can_be_allowed_by_itself() -> None:
    """Also for the forms of IPv6 that stand for its addresses; others stay outside."""
    policy = AddressPolicy(allowed_networks=("10.0.0.0/24", "fd00::/8"))
    assert [policy.allows(each) for each in ("10.0.0.7", "::ffff:10.0.0.7", "fd00::1")] == [True, True, True]
    assert [policy.allows(each) for each in ("10.0.1.7", "::ffff:10.0.1.7", "fc00::1")] == [False, False, False]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "0", "localhost", "::1",
     "::ffff:127.0.0.1", "0:0:0:0:0:ffff:7f00:1"],
)  # fmt: skip
async def test_spelling_of_this_machine_is_refused_whatever_the_system_makes_of_it(host: str) -> None:
    """What is checked is the address that would be connected to; a spelling that no resolver takes is nobody."""
    with pytest.raises(DeliveryFailed, match=r"not a public address|cannot be resolved"):
        await AddressPolicy().addresses(host, 80)


async def test_name_is_refused_if_one_of_its_addresses_is_inside(make_policy: Callable[..., AddressPolicy]) -> None:
    with pytest.raises(DeliveryFailed, match=r'"a.test" is 10.0.0.1, which is not a public address') as caught:
        await make_policy("8.8.8.8", "10.0.0.1").addresses("a.test", 80)
    assert not caught.value.transient
    assert await make_policy("8.8.8.8", "1.1.1.1").addresses("a.test", 80) == ("8.8.8.8", "1.1.1.1")


@pytest.mark.parametrize("host", ["a" * 300 + ".example", "\u00e4" * 100])
async def test_name_that_cannot_be_resolved_may_be_later(host: str) -> None:
    async def nobody(host: str, port: int) -> Sequence[str]:
        if host.isascii():
            raise OSError("no such name")
        raise UnicodeError("label too long")

    with pytest.raises(DeliveryFailed, match="cannot be resolved") as caught:
        await AddressPolicy(resolver=nobody).addresses(host, 80)
    assert caught.value.transient


async def test_name_of_this_machine_resolves() -> None:
    assert "127.0.0.1" in await resolve("127.0.0.1", 80)
