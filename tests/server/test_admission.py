"""Room for connections."""

from __future__ import annotations

import pytest

from rtcore.errors import HandshakeRefused
from rtcore.server import admission
from rtcore.server.admission import ConnectionPool, address_key
from rtcore.values.limits import Limits


def refusal(pool: ConnectionPool, address: str) -> HandshakeRefused:
    with pytest.raises(HandshakeRefused) as caught:
        pool.admit(address)
    return caught.value


def test_pool_counts_what_it_admits() -> None:
    """Active, ever, most at once, refused, limit."""
    pool = ConnectionPool(Limits(connections=3))
    for address in ("10.0.0.1", "10.0.0.1", "10.0.0.2"):
        pool.admit(address)
    assert pool.statistics().addresses == 2
    pool.release("10.0.0.2")
    assert pool.statistics().active == 2
    pool.release("::ffff:10.0.0.1")
    pool.release("10.0.0.1")
    pool.admit("memory")
    statistics = pool.statistics()
    assert (statistics.active, statistics.total_created, statistics.maximum) == (1, 4, 3)
    assert (statistics.refused, statistics.limit, statistics.addresses) == (0, 3, 1)
    pool.release("memory")
    assert pool.statistics().active == 0
    assert pool.statistics().addresses == 0


def test_full_pool_refuses_with_503_and_when_to_come_back() -> None:
    """Whole seconds, rounded up; one that leaves makes room for one."""
    pool = ConnectionPool(Limits(connections=1), retry_after_seconds=1.2)
    pool.admit("10.0.0.1")
    refused = refusal(pool, "10.0.0.2")
    assert (refused.status, refused.headers) == (503, (("Retry-After", "2"),))
    assert "connections=1" in str(refused)
    pool.release("10.0.0.1")
    pool.admit("10.0.0.2")
    assert pool.statistics().refused == 1


def test_one_address_has_its_share_and_no_more() -> None:
    """429: the others still find room."""
    pool = ConnectionPool(Limits(connections=10, connections_per_address=2))
    pool.admit("10.0.0.1")
    pool.admit("::ffff:10.0.0.1")
    refused = refusal(pool, "10.0.0.1")
    assert (refused.status, refused.headers) == (429, (("Retry-After", "5"),))
    assert "10.0.0.1" not in str(refused)
    pool.admit("10.0.0.2")
    pool.release("10.0.0.1")
    pool.admit("10.0.0.1")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("memory", "memory"),
        ("", ""),
    ],
)
def test_addresses_of_one_subscriber_count_as_one(address: str, key: str) -> None:
    """An IPv6 subscriber has a /64 to himself. Source: RFC 6177."""
    assert address_key(address) == key


def test_an_address_with_a_long_zone_is_counted_and_not_remembered() -> None:
    """A zone may be any text, and what is remembered must not be of any length."""
    before = admission._remembered_key.cache_info().currsize
    for number in range(5):
        assert address_key(f"fe80::{number}%" + "z" * 8000) == "fe80::/64"
    assert admission._remembered_key.cache_info().currsize == before


def test_an_endpoint_may_have_a_maximum_of_its_own() -> None:
    """One that is full takes no room from the others, and a place that comes back is there again."""
    pool = ConnectionPool(Limits(connections=3), retry_after_seconds=2)
    pool.limit_path("/dashboard/ws", 1)
    pool.admit("10.0.0.1", "/dashboard/ws")
    with pytest.raises(HandshakeRefused) as caught:
        pool.admit("10.0.0.2", "/dashboard/ws")
    assert (caught.value.status, caught.value.headers) == (503, (("Retry-After", "2"),))
    assert str(caught.value) == "no room at this endpoint: connections=1 are open"
    pool.admit("10.0.0.2", "/ws")
    pool.release("10.0.0.2", "/ws")
    pool.release("10.0.0.1", "/dashboard/ws")
    pool.admit("10.0.0.3", "/dashboard/ws")
    assert (pool.statistics().active, pool.statistics().refused) == (1, 1)
