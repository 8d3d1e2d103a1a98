"""Whom a request comes from, behind proxies."""

from __future__ import annotations

import pytest

from rtcore.protocol.header_grammar import parse_request_head
from rtcore.server.proxies import ProxyTrust, RequestHeaders
from rtcore.values.limits import Limits

TRUST = ProxyTrust(["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"])


def headers(*lines: str) -> RequestHeaders:
    text = "".join(f"{line}\r\n" for line in ("GET / HTTP/1.1", "Host: x", *lines, ""))
    return parse_request_head(text.encode(), Limits())


@pytest.mark.parametrize(
    ("peer", "lines", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["X-Forwarded-For: 198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["X-Forwarded-For: 198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["X-Forwarded-For: 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["X-Forwarded-For: 1.2.3.4, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["X-Forwarded-For: 1.2.3.4, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["X-Forwarded-For: 10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("10.0.0.1", ["X-Forwarded-For: 198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["X-Forwarded-For: [2001:DB9::1]:4711"], "2001:db9::1"),
        ("10.0.0.1", ["X-Forwarded-For: 2001:db9::1"], "2001:db9::1"),
        ("10.0.0.1", ["X-Forwarded-For: unknown"], "10.0.0.1"),
        ("10.0.0.1", ["X-Forwarded-For: 1.2.3.4, evil\\x, 10.2.2.2"], "10.2.2.2"),
        ("10.0.0.1", ["X-Forwarded-For: ,,,"], "10.0.0.1"),
        ("10.0.0.1", ["X-Forwarded-For: " + "10.3.3.3," * 500 + "10.2.2.2"], "10.3.3.3"),
        ("192.0.2.1", ["X-Forwarded-For: 198.51.100.1"], "198.51.100.1"),
        ("192.0.2.2", ["X-Forwarded-For: 198.51.100.1"], "192.0.2.2"),
        ("memory", ["X-Forwarded-For: 198.51.100.1"], "memory"),
    ],
)
def test_client_is_the_last_address_that_no_trusted_proxy_has(peer: str, lines: list[str], address: str) -> None:
    """What stands before it the client may have written itself, to be counted as somebody else."""
    assert TRUST.client_address(peer, headers(*lines)) == address


def test_nobody_is_trusted_by_default() -> None:
    """A header alone changes nothing."""
    lines = headers("X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https")
    assert ProxyTrust().client_address("10.0.0.1", lines) == "10.0.0.1"
    assert not ProxyTrust().is_secure("10.0.0.1", lines)


@pytest.mark.parametrize(
    ("peer", "lines", "secure"),
    [
        ("10.0.0.1", ["X-Forwarded-Proto: https"], True),
        ("10.0.0.1", ["X-Forwarded-Proto: http, WSS"], True),
        ("10.0.0.1", ["X-Forwarded-Proto: https, http"], False),
        ("10.0.0.1", ["X-Forwarded-Proto: http"], False),
        ("10.0.0.1", [], False),
        ("203.0.113.9", ["X-Forwarded-Proto: https"], False),
    ],
)
def test_trusted_proxy_says_whether_the_client_speaks_tls(peer: str, lines: list[str], secure: bool) -> None:
    """The origin of a page behind it has `https`, although the server itself sees none."""
    assert TRUST.is_secure(peer, headers(*lines)) is secure


def test_whom_to_trust_is_remembered_for_each_server_and_not_for_long_texts() -> None:
    one, other = ProxyTrust(["10.0.0.0/8"]), ProxyTrust(["192.0.2.0/24"])
    lines = headers("X-Forwarded-For: 198.51.100.1")
    for _ in range(2):
        assert one.client_address("10.0.0.1", lines) == "198.51.100.1"
        assert other.client_address("10.0.0.1", lines) == "10.0.0.1"
    before = one._remembered_within.cache_info().currsize
    zone = "fe80::1%" + "z" * 8000
    assert one.client_address(zone, lines) == zone
    assert one._remembered_within.cache_info().currsize == before
