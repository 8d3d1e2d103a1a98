"""Which pages may connect."""

from __future__ import annotations

import itertools

import pytest

from rtcore.errors import HandshakeRefused
from rtcore.server.origins import Origin, OriginPolicy, parse_host, parse_origin
from rtcore.server.settings import Settings

NAMED = OriginPolicy(bound_host="rt.example")
LISTED = OriginPolicy(["https://App.example", "http://dev.example:3000"], bound_host="0.0.0.0")


def passes(
    policy: OriginPolicy, origin: str | None, host: str | None, secure: bool = False, token_needed: bool = True
) -> bool:
    try:
        policy.check(origin, host, secure=secure, token_needed=token_needed)
    except HandshakeRefused:
        return False
    return True


def test_refusal_is_a_403_that_repeats_nothing_of_the_request() -> None:
    """The page's owner reads it in his console."""
    for token_needed in (True, False):
        with pytest.raises(HandshakeRefused, match="the server's origins setting") as caught:
            NAMED.check("http://evil.example", "evil.example:1", secure=False, token_needed=token_needed)
        assert caught.value.status == 403
        assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    ("origin", "host", "secure", "allowed"),
    [
        (None, "rt.example", False, True),
        (None, None, False, True),
        ("http://rt.example", "rt.example", False, True),
        ("http://RT.Example", "rt.example:80", False, True),
        ("http://rt.example:80", "rt.example.", False, True),
        ("https://rt.example", "rt.example", True, True),
        ("https://rt.example", "rt.example:443", True, True),
        ("https://rt.example:8443", "rt.example:8443", True, True),
        ("http://[2001:DB8::0:1]:8080", "[2001:db8::1]:8080", False, True),
        ("https://rt.example", "rt.example", False, False),
        ("http://rt.example", "rt.example", True, False),
        ("http://rt.example:81", "rt.example", False, False),
        ("http://rt.example", "rt.example:8080", False, False),
        ("http://evil.example", "rt.example", False, False),
        ("http://rt.example.evil.example", "rt.example", False, False),
        ("http://evil-rt.example", "rt.example", False, False),
        ("null", "rt.example", False, False),
        ("", "rt.example", False, False),
        ("rt.example", "rt.example", False, False),
        ("http://", "rt.example", False, False),
        ("http://rt.example/", "rt.example", False, False),
        ("http://rt.example@evil.example", "rt.example", False, False),
        ("http://rt.example http://evil.example", "rt.example", False, False),
        ("file://", "rt.example", False, False),
        ("http://rt.example", None, False, False),
        ("http://rt.example", "", False, False),
        ("null", "null", False, False),
    ],
)
def test_same_origin_is_scheme_host_and_port(origin: str | None, host: str | None, secure: bool, allowed: bool) -> None:
    """Default ports, case and forms of an address do not matter; all else does. Source: RFC 6454, section 5."""
    assert passes(NAMED, origin, host, secure) is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.example", True),
        ("https://APP.example:443", True),
        ("http://app.example", False),
        ("https://sub.app.example", False),
        ("http://dev.example:3000", True),
        ("http://dev.example", False),
    ],
)
def test_listed_origins_pass_whatever_the_host(origin: str, allowed: bool) -> None:
    """They are compared as origins, not as text."""
    assert passes(LISTED, origin, "rt.example") is allowed


def test_star_lets_every_page_in() -> None:
    """Told so, the server asks nothing."""
    policy = OriginPolicy(["*"])
    assert passes(policy, "https://evil.example", "anything")
    assert passes(policy, "null", None, token_needed=False)
    policy.check_host("anything", token_needed=False)


@pytest.mark.parametrize(
    ("bound", "host", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("127.0.0.1", "localhost:8080", True),
        ("127.0.0.1", "app.localhost", True),
        ("127.0.0.1", "[::1]:8080", True),
        ("127.0.0.1", "rebound.example:8080", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "192.168.1.4:8080", False),
        ("192.168.1.4", "192.168.1.4:8080", True),
        ("rt.lan", "RT.lan:8080", True),
        ("rt.lan", "evil.example", False),
        ("0.0.0.0", "192.168.1.4:8080", True),
        ("::", "[2001:db8::1]", True),
        ("0.0.0.0", "rebound.example", False),
    ],
)
def test_rebound_name_is_refused_where_no_token_is_needed(bound: str, host: str, allowed: bool) -> None:
    """To the browser page and server are one origin; only the name tells that the page is not the server's own."""
    policy = OriginPolicy(bound_host=bound)
    assert passes(policy, f"http://{host}", host, token_needed=False) is allowed
    assert passes(policy, None, host, token_needed=False)
    if allowed:
        policy.check_host(host, token_needed=False)
    else:
        with pytest.raises(HandshakeRefused, match="host is not known: where no token is needed"):
            policy.check_host(host, token_needed=False)


def test_host_is_not_asked_where_a_token_is_needed() -> None:
    """A page that rebinds a name has no token."""
    policy = OriginPolicy(bound_host="127.0.0.1")
    policy.check_host("any.example", token_needed=True)
    assert passes(policy, "http://any.example", "any.example")


def test_listed_origin_makes_its_host_known() -> None:
    """A server behind a proxy on the same machine is reached by the proxy's name."""
    policy = OriginPolicy(["https://rt.example"])
    policy.check_host("rt.example", token_needed=False)
    with pytest.raises(HandshakeRefused):
        policy.check_host(None, token_needed=False)


def test_policy_comes_from_settings() -> None:
    """Host and list."""
    policy = OriginPolicy.of(Settings(host="192.168.1.4", origins=("https://rt.example",)))
    for host in ("192.168.1.4", "rt.example"):
        policy.check_host(host, token_needed=False)
    with pytest.raises(HandshakeRefused):
        policy.check_host("any.example", token_needed=False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a.example", ("a.example", None)),
        ("A.example.:81", ("a.example", 81)),
        ("[::0001]:1", ("::1", 1)),
        ("a:0", None),
        ("a:65536", None),
        ("a:", None),
        ("a b", None),
        ("[::x]", None),
        ("[1.2.3.4]", None),
        (".", None),
        ("a/b", None),
    ],
)
def test_host_is_parsed_strictly(value: str, expected: tuple[str, int | None] | None) -> None:
    """What is not a host equals nothing."""
    assert parse_host(value) == expected


def test_origins_of_browser_extensions_are_origins() -> None:
    """They can be listed."""
    assert parse_origin("chrome-extension://abcdef") == Origin("chrome-extension", "abcdef", 0)
    assert passes(OriginPolicy(["chrome-extension://abcdef"]), "chrome-extension://abcdef", "x")


def test_a_verdict_is_remembered_for_its_origin_its_host_its_scheme_and_its_need_of_a_token_alone() -> None:
    remembering = OriginPolicy(bound_host="0.0.0.0")
    names = [None, "", "localhost", "localhost:80", "127.0.0.1:8080", "rt.example"]
    origins = [None, "null", *(f"{scheme}://{name}" for scheme in ("http", "https") for name in names if name)]
    for _ in range(2):
        for origin in origins:
            for host in names:
                for secure, token_needed in itertools.product((False, True), repeat=2):
                    question = (origin, host, secure, token_needed)
                    assert passes(remembering, *question) is passes(OriginPolicy(bound_host="0.0.0.0"), *question)


def test_long_names_are_judged_and_not_remembered() -> None:
    """A request head has room for 8 KiB in each: a thousand of them are no memory that a stranger should fill."""
    policy = OriginPolicy(bound_host="0.0.0.0")
    name = "a" * 600
    assert passes(policy, f"http://{name}", name)
    assert not passes(policy, f"https://{name}", name)
    assert policy._remembered_fault.cache_info().currsize == 0
