"""
Request heads, in both implementations, against the regular expressions that first stated the grammar.

The oracle goes line by line with one expression each, in the order in which a head is refused; the twins take a whole
head at once. Whatever bytes come, all three must say the same: the same parts, or the same status in the same words.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from rtcore.errors import HandshakeRefused
from rtcore.values.limits import Limits

Load = Callable[[str], ModuleType]
Outcome = tuple[Any, ...]

LIMITS = Limits(request_head_bytes=1000, request_line_bytes=200, request_headers=10)
WIDE = Limits()
SMALL = b"GET /a?b HTTP/1.1\r\nHost: a.b:80\r\nX-y:\tc d \r\n\r\n"

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([!-~]+) HTTP/([0-9])\.([0-9])")
HEADER_LINE = re.compile(rb"(" + TOKEN + rb"):([\t -~\x80-\xff]*)")
HOST = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?", re.ASCII)
TARGET = re.compile(r"(?:https?://[^/?#\"<>]+)?(/[^?#\"<>]*)?(?:\?([^#\"<>]*))?", re.ASCII | re.IGNORECASE)
SINGLE = ("authorization", "content-length", "host", "origin", "sec-websocket-key", "sec-websocket-version")


def expected(data: bytes, limits: Limits) -> Outcome:
    """What the grammar says, line by line."""
    try:
        return oracle(data, limits)
    except HandshakeRefused as refused:
        return refused.status, str(refused), refused.headers, refused.code


def oracle(data: bytes, limits: Limits) -> Outcome:
    if not data.endswith(b"\r\n\r\n"):
        raise HandshakeRefused(400, "request head has no end")
    lines = data[:-4].split(b"\r\n")
    if len(lines[0]) > limits.request_line_bytes:
        raise HandshakeRefused(414, f"request line exceeds request_line_bytes={limits.request_line_bytes}")
    if len(data) > limits.request_head_bytes:
        raise HandshakeRefused(431, f"request head exceeds request_head_bytes={limits.request_head_bytes}")
    match = REQUEST_LINE.fullmatch(lines[0])
    if match is None:
        raise HandshakeRefused(400, "malformed request line")
    method, target, major, minor = (part.decode("ascii") for part in match.groups())
    if major != "1" or minor not in ("0", "1"):
        raise HandshakeRefused(505, f"HTTP/{major}.{minor} is not spoken here: only HTTP/1.1 and 1.0")
    if len(lines) - 1 > limits.request_headers:
        raise HandshakeRefused(431, f"{len(lines) - 1} headers exceed request_headers={limits.request_headers}")
    headers = tuple(oracle_header(line, limits) for line in lines[1:])
    oracle_checks(headers, minor)
    path, query = oracle_target(method, target)
    return method, target, path, query, f"1.{minor}", headers


def oracle_header(line: bytes, limits: Limits) -> tuple[str, str]:
    if len(line) > limits.request_line_bytes:
        raise HandshakeRefused(431, f"header exceeds request_line_bytes={limits.request_line_bytes}")
    match = HEADER_LINE.fullmatch(line)
    if match is None:
        raise HandshakeRefused(400, "malformed header line")
    return match[1].decode("ascii").lower(), match[2].strip(b" \t").decode("latin-1")


def oracle_checks(headers: tuple[tuple[str, str], ...], minor: str) -> None:
    names = [name for name, _ in headers]
    for name in SINGLE:
        if names.count(name) > 1:
            raise HandshakeRefused(400, f"more than one {name} header")
    host = next((value for name, value in headers if name == "host"), None)
    if host is None and minor == "1":
        raise HandshakeRefused(400, "no host header")
    if host is not None and not HOST.fullmatch(host):
        raise HandshakeRefused(400, "malformed host header")


def oracle_target(method: str, target: str) -> tuple[str, str]:
    if target == "*" and method == "OPTIONS":
        return "*", ""
    match = TARGET.fullmatch(target)
    if match is None or not (target.startswith("/") or "://" in target):
        raise HandshakeRefused(400, "malformed request target")
    return match[1] or "/", match[2] or ""


def outcome(module: ModuleType, data: bytes, limits: Limits) -> Outcome:
    """What a twin says."""
    try:
        head = module.parse_request_head(data, limits)
    except HandshakeRefused as refused:
        return refused.status, str(refused), refused.headers, refused.code
    return head.method, head.target, head.path, head.query, head.version, head.headers


@pytest.fixture
def module(load_twin: Load) -> ModuleType:
    return load_twin("request_head")


def test_every_byte_in_every_place_is_judged_by_the_grammar(module: ModuleType) -> None:
    """Replaced, and put in between: no byte is let through, or refused, anywhere but where the grammar says."""
    for position in range(len(SMALL)):
        for octet in range(256):
            piece = bytes([octet])
            for data in (
                SMALL[:position] + piece + SMALL[position + 1 :],
                SMALL[:position] + piece + SMALL[position:],
            ):
                assert outcome(module, data, WIDE) == expected(data, WIDE), data


def test_a_head_that_is_cut_anywhere_is_judged_by_the_grammar(module: ModuleType) -> None:
    for position in range(len(SMALL) + 1):
        for data in (SMALL[:position], SMALL[position:], SMALL[:position] + b"\r\n\r\n"):
            assert outcome(module, data, WIDE) == expected(data, WIDE), data


METHODS = [b"GET", b"POST", b"OPTIONS", b"get", b"G-T!", b"", b"G(T"]
TARGETS = [b"/", b"/a", b"/a?", b"/a?b?c", b"?a://b", b"*", b"http://a", b"HTTPS://a/b?c", b"a", b"/#", b"/a?<", b"//a"]
VERSIONS = [b"HTTP/1.1"] * 5 + [
    b"HTTP/1.0",
    b"HTTP/1.2",
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"http/1.1",
    b"HTTP/1.10",
    b"HTTP/1.",
]
NAMES = [
    b"host",
    b"Origin",
    b"ORIGIN",
    b"X",
    b"Cookie",
    b"Sec-WebSocket-Key",
    b"Content-Length",
    b"n" * 70,
    b"A b",
    b"",
    b"X-_~",
]
VALUES = [
    b"a",
    b" a ",
    b"\t",
    b"",
    b"a:80",
    b"[::1]:80",
    b"[::1",
    b"a:123456",
    b"a:",
    b"\xe9",
    b"a,b",
    b"a\x00",
    b"v" * 199,
]


def random_head(chance: random.Random) -> bytes:
    """A head that is mostly right, and wrong in one place or two."""
    lines = [b" ".join((chance.choice(METHODS), chance.choice(TARGETS), chance.choice(VERSIONS)))]
    if chance.random() < 0.8:
        lines.append(b"Host: " + chance.choice(VALUES))
    lines += [chance.choice(NAMES) + b":" + chance.choice(VALUES) for _ in range(chance.choice([0, 1, 2, 4, 12]))]
    data = bytearray(b"\r\n".join((*lines, b"", b"")))
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        position = chance.randrange(len(data))
        data[position : position + chance.randrange(2)] = chance.choice(
            [b"\r", b"\n", b"\r\n", b" ", b":", b"\x00", b"\x7f", bytes([chance.randrange(256)])]
        )
    return bytes(data)


@pytest.mark.parametrize("seed", range(10))
def test_random_heads_are_judged_by_the_grammar(module: ModuleType, seed: int) -> None:
    chance = random.Random(seed)
    statuses = set()
    for _ in range(2000):
        data = random_head(chance)
        limits = chance.choice([LIMITS, WIDE])
        said = outcome(module, data, limits)
        assert said == expected(data, limits), data
        statuses.add(said[0])
    assert {"GET", 400, 414, 431, 505} - statuses <= {414}


def test_bounds_are_exact(module: ModuleType) -> None:
    """The shortcut for heads that are no longer than a line may be must not blur what a line or a head may be."""
    for surplus in (-1, 0, 1):
        for data in (
            b"GET /" + b"a" * (186 + surplus) + b" HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX:" + b"a" * (198 + surplus) + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: aaaaaaaaa\r\n" * (9 + surplus) + b"\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X:" + b"a" * 190 + b"\r\n") * 5 + b"a" * (1 + surplus) + b":\r\n\r\n",
        ):
            for limits in (
                LIMITS,
                Limits(request_head_bytes=256, request_line_bytes=200, request_headers=9),
                Limits(request_head_bytes=256, request_line_bytes=1000),
            ):
                assert outcome(module, data, limits) == expected(data, limits), data


@pytest.mark.parametrize("length", [1, 63, 64, 65, 3000])
def test_a_name_may_be_as_long_as_its_line(module: ModuleType, length: int) -> None:
    data = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"Nn" * length + b": x\r\n\r\n"
    assert outcome(module, data, WIDE) == expected(data, WIDE)


def test_limits_may_be_wider_than_any_machine_number(module: ModuleType) -> None:
    limits = Limits(request_head_bytes=1 << 70, request_line_bytes=1 << 70, request_headers=1 << 70)
    assert outcome(module, SMALL, limits) == expected(SMALL, WIDE)


def test_headers_are_found_by_name(module: ModuleType) -> None:
    head = module.RequestHead("GET", "/", "/", "", "1.1", (("a", "1"), ("b", ""), ("a", "2")))
    assert (head.get("a"), head.get("b"), head.get("c")) == ("1", "", None)
    assert (head.get_all("a"), head.get_all("b"), head.get_all("c")) == (("1", "2"), ("",), ())
    read = module.parse_request_head(b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB:\r\na: 2\r\n\r\n", WIDE)
    assert (read.get("a"), read.get_all("a"), read.get_all("b"), read.get("c")) == ("1", ("1", "2"), ("",), None)


def test_what_is_no_bytes_is_refused(module: ModuleType) -> None:
    for function in (module.whole_head_bytes, lambda data: module.parse_request_head(data, WIDE)):
        for data in (None, "GET / HTTP/1.1\r\n\r\n"):
            with pytest.raises((TypeError, AttributeError)):
                function(data)


def expected_length(data: bytes) -> int:
    """Where a head ends, line by line; 0 where it is not whole, or not plain."""
    start = 0
    while (newline := data.find(b"\n", start)) >= 0:
        line = data[start : newline + 1]
        if not line.endswith(b"\r\n"):
            return 0
        if line == b"\r\n":
            return newline + 1 if start else 0
        start = newline + 1
    return 0


@pytest.mark.parametrize("seed", range(5))
def test_the_end_of_a_whole_head_is_its_first_empty_line(module: ModuleType, seed: int) -> None:
    chance = random.Random(seed)
    ends = 0
    for _ in range(3000):
        data = b"".join(
            chance.choices([b"\r\n", b"a\r\n", b"\r", b"\n", b"b", b"\x00"], [5, 5, 1, 1, 2, 1], k=chance.randrange(9))
        )
        length = module.whole_head_bytes(data)
        assert length == expected_length(data), data
        ends += length > 0
    assert ends > 100
