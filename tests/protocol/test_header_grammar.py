"""Request heads: what the grammar of RFC 9112 allows, and the status of what it does not."""

from __future__ import annotations

import random
import re

import pytest

from rtcore.errors import HandshakeRefused
from rtcore.protocol.header_grammar import HeadReader, RequestHead, parse_request_head, split_list
from rtcore.values.limits import Limits

LIMITS = Limits(request_head_bytes=1000, request_line_bytes=200, request_headers=10)
HEAD = b"GET /ws?a=1 HTTP/1.1\r\nHost: example.com\r\nX-One:  two  three \r\n\r\n"


def parse(data: bytes) -> RequestHead:
    return parse_request_head(data, LIMITS)


def head_of(*lines: bytes) -> bytes:
    return b"\r\n".join((*lines, b"", b""))


def refused_with(data: bytes) -> int:
    with pytest.raises(HandshakeRefused) as caught:
        parse(data)
    return caught.value.status


def test_a_head_is_taken_apart() -> None:
    head = parse(HEAD)
    assert (head.method, head.target, head.path, head.query, head.version) == ("GET", "/ws?a=1", "/ws", "a=1", "1.1")
    assert head.headers == (("host", "example.com"), ("x-one", "two  three"))
    assert head.get("x-one") == "two  three"
    assert head.get("x-two") is None
    assert head.get_all("host") == ("example.com",)


TARGETS = [
    ("GET", "/", "/", ""),
    ("GET", "/a/b", "/a/b", ""),
    ("GET", "/a?", "/a", ""),
    ("GET", "/a?b?c=/d", "/a", "b?c=/d"),
    ("GET", "/%20%zz", "/%20%zz", ""),
    ("GET", "/a|b{c}", "/a|b{c}", ""),
    ("GET", "//two", "//two", ""),
    ("GET", "http://example.com/a?b", "/a", "b"),
    ("GET", "http://example.com", "/", ""),
    ("GET", "HTTPS://example.com?b", "/", "b"),
    ("OPTIONS", "*", "*", ""),
]


@pytest.mark.parametrize(("method", "target", "path", "query"), TARGETS)
def test_a_target_has_a_path_and_a_query(method: str, target: str, path: str, query: str) -> None:
    """RFC 9112, section 3.2: the origin form, the absolute form and the asterisk."""
    head = parse(head_of(f"{method} {target} HTTP/1.1".encode(), b"Host: a"))
    assert (head.path, head.query) == (path, query)


REQUEST_LINES = [
    (b"GET / HTTP/2.0", 505),
    (b"PRI * HTTP/2.0", 505),
    (b"GET / HTTP/1.2", 505),
    (b"GET / HTTP/0.9", 505),
    (b"GET /", 400),
    (b"GET / http/1.1", 400),
    (b"GET / HTTP/1.1 ", 400),
    (b"GET / HTTP/1.10", 400),
    (b"GET / HTTP/1", 400),
    (b"GET  / HTTP/1.1", 400),
    (b"GET\t/ HTTP/1.1", 400),
    (b" GET / HTTP/1.1", 400),
    (b"G(T / HTTP/1.1", 400),
    (b"GET /a b HTTP/1.1", 400),
    (b"GET /\x00 HTTP/1.1", 400),
    (b"GET /\xff HTTP/1.1", 400),
    (b"GET /#a HTTP/1.1", 400),
    (b"GET ws HTTP/1.1", 400),
    (b"GET * HTTP/1.1", 400),
    (b"GET ?a HTTP/1.1", 400),
    (b"GET ftp://a/ HTTP/1.1", 400),
    (b"CONNECT example.com:80 HTTP/1.1", 400),
    (b"", 400),
    (b"GET /" + b"a" * 200 + b" HTTP/1.1", 414),
]


def test_http_1_0_needs_no_host() -> None:
    """Load balancers still check health with it; a WebSocket handshake with it is refused later."""
    head = parse_request_head(b"GET /healthz HTTP/1.0\r\n\r\n", Limits())
    assert (head.version, head.path) == ("1.0", "/healthz")


@pytest.mark.parametrize(("line", "status"), REQUEST_LINES)
def test_a_wrong_request_line_is_refused(line: bytes, status: int) -> None:
    assert refused_with(head_of(line, b"Host: a")) == status


HEADER_LINES = [
    (b"X : a", 400),
    (b"X", 400),
    (b": a", 400),
    (b"X\tY: a", 400),
    (b"X Y: a", 400),
    (b" X: a", 400),
    (b"\tfolded", 400),
    (b"X: a\rb", 400),
    (b"X: a\nb", 400),
    (b"X: a\x00b", 400),
    (b"X: a\x7fb", 400),
    (b"X\xe9: a", 400),
    (b"Host: b", 400),
    (b"X: " + b"a" * 200, 431),
]


@pytest.mark.parametrize(("line", "status"), HEADER_LINES)
def test_a_wrong_header_line_is_refused(line: bytes, status: int) -> None:
    """RFC 9112, section 5: no folding, no space before the colon, no bare CR or LF, no control characters."""
    assert refused_with(head_of(b"GET / HTTP/1.1", b"Host: a", line)) == status


@pytest.mark.parametrize(
    ("line", "value"),
    [(b"X:", ""), (b"X: \t ", ""), (b"X:a", "a"), (b"X:\ta\t", "a"), (b"X: a\tb", "a\tb"), (b"X: \xe9", "é")],
)
def test_spaces_around_a_value_are_not_part_of_it(line: bytes, value: str) -> None:
    assert parse(head_of(b"GET / HTTP/1.1", b"Host: a", line)).get("x") == value


@pytest.mark.parametrize("host", [b"a", b"a.b:80", b"127.0.0.1:", b"[::1]:80", b"xn--a_b"])
def test_a_host_is_a_name_or_an_address_with_or_without_port(host: bytes) -> None:
    assert parse(head_of(b"GET / HTTP/1.1", b"Host: " + host)).get("host") == host.decode()


@pytest.mark.parametrize("host", [b"", b"a b", b"a/b", b"a@b", b"a:b", b"a:123456", b"[::1", b"\xe9"])
def test_a_host_that_is_neither_is_refused(host: bytes) -> None:
    assert refused_with(head_of(b"GET / HTTP/1.1", b"Host: " + host)) == 400


def test_a_request_without_host_is_refused() -> None:
    """RFC 9112, section 3.2."""
    assert refused_with(head_of(b"GET / HTTP/1.1", b"X: a")) == 400
    assert refused_with(head_of(b"GET / HTTP/1.1")) == 400


@pytest.mark.parametrize(
    "name",
    ["Host", "Sec-WebSocket-Key", "sec-websocket-version", "Origin", "Authorization", "Content-Length"],
)
def test_a_header_that_may_come_once_is_refused_twice(name: str) -> None:
    line = f"{name}: 1".encode()
    lines = [b"GET / HTTP/1.1", line, line.upper()] + ([] if name == "Host" else [b"Host: a"])
    assert refused_with(head_of(*lines)) == 400


def test_too_many_headers_are_refused() -> None:
    lines = [b"X: a"] * 9
    assert len(parse(head_of(b"GET / HTTP/1.1", b"Host: a", *lines)).headers) == 10
    assert refused_with(head_of(b"GET / HTTP/1.1", b"Host: a", *lines, b"X: a")) == 431


def test_headers_that_are_too_long_together_are_refused() -> None:
    lines = [b"X: " + b"a" * 150] * 8
    assert refused_with(head_of(b"GET / HTTP/1.1", b"Host: a", *lines)) == 431


def test_a_head_without_end_is_refused() -> None:
    assert refused_with(b"GET / HTTP/1.1\r\nHost: a\r\n") == 400


@pytest.mark.parametrize(
    ("values", "elements"),
    [
        (("a",), ("a",)),
        (("a, b",), ("a", "b")),
        (("a", "b ,c"), ("a", "b", "c")),
        ((" , a,,\t",), ("a",)),
        ((), ()),
        (("",), ()),
    ],
)
def test_a_list_may_be_spread_and_may_have_empty_elements(values: tuple[str, ...], elements: tuple[str, ...]) -> None:
    assert split_list(values) == elements


def test_a_reader_finds_the_end_wherever_the_bytes_are_cut() -> None:
    data = HEAD + b"\x81\x80rest"
    for cut in range(len(data) + 1):
        reader = HeadReader(LIMITS)
        found = reader.feed(data[:cut])
        if cut < len(HEAD):
            assert found is None
            assert reader.buffered_bytes == cut
            found = reader.feed(data[cut:])
            assert found == (HEAD, b"\x81\x80rest")
        else:
            assert found == (HEAD, data[len(HEAD) : cut])


def test_a_reader_finds_the_end_byte_by_byte() -> None:
    reader = HeadReader(LIMITS)
    found = [reader.feed(HEAD[index : index + 1]) for index in range(len(HEAD))]
    assert found == [None] * (len(HEAD) - 1) + [(HEAD, b"")]


def read_after(first: bytes | None, data: bytes, limits: Limits) -> tuple[bytes, bytes] | str | None:
    """What a reader finds, or why it refuses, when something came before (even nothing), or not."""
    reader = HeadReader(limits)
    try:
        if first is not None:
            reader.feed(first)
        return reader.feed(data)
    except HandshakeRefused as refused:
        return f"{refused.status} {refused}"


def test_the_short_way_for_heads_that_come_whole_finds_what_the_long_one_finds() -> None:
    """A reader that was given bytes before, if only none, goes the long way: line by line."""
    small = b"GET / HTTP/1.1\r\nX: y\r\n\r\nrest"
    cases = [small[:at] + bytes([octet]) + small[at + 1 :] for at in range(len(small)) for octet in b"\r\n\x00a"]
    for surplus in (-1, 0, 1):
        cases.append(b"G" * (200 + surplus) + b"\r\n\r\n")
        cases.append(b"G\r\nX:" + b"a" * (198 + surplus) + b"\r\n\r\n")
        cases.append((b"X:" + b"a" * 98 + b"\r\n") * 9 + b"X:" + b"a" * (76 + surplus) + b"\r\n\r\n")
    for data in cases:
        for start in (data, b"\r\n" + data):
            for limits in (LIMITS, Limits(request_head_bytes=256, request_line_bytes=1000)):
                assert read_after(None, start, limits) == read_after(b"", start, limits), start


@pytest.mark.parametrize("size", [LIMITS.request_line_bytes, LIMITS.request_line_bytes + 1])
def test_a_reader_takes_lines_up_to_the_limit_wherever_the_bytes_are_cut(size: int) -> None:
    """Between the CR and the LF of a line's end, too."""
    head = head_of(b"GET / HTTP/1.1", b"Host: a", b"X: ".ljust(size, b"y"))
    for cut in range(len(head)):
        reader = HeadReader(LIMITS)
        if size <= LIMITS.request_line_bytes:
            assert reader.feed(head[:cut]) is None
            assert reader.feed(head[cut:]) == (head, b"")
        else:
            with pytest.raises(HandshakeRefused, match="header exceeds request_line_bytes=200"):
                [reader.feed(piece) for piece in (head[:cut], head[cut:])]


def test_one_empty_line_before_the_request_is_passed_over() -> None:
    """RFC 9112, section 2.2."""
    for cut in range(4):
        reader = HeadReader(LIMITS)
        data = b"\r\n" + HEAD
        assert reader.feed(data[:cut]) is None
        assert reader.feed(data[cut:]) == (HEAD, b"")


EARLY = [
    (b"GET / HTTP/1.1\n", 400),
    (b"\n", 400),
    (b"\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\n", 400),
    (b"a" * 201, 414),
    (b"GET / HTTP/1.1\r\nX: " + b"a" * 198, 431),
    (b"GET / HTTP/1.1\r\n" + b"X: aaaaaa\r\n" * 89 + b"X: aaa", 431),
    (bytes(201), 414),
]


@pytest.mark.parametrize(("data", "status"), EARLY)
def test_a_reader_refuses_before_the_end(data: bytes, status: int) -> None:
    """A head without end must not be waited for."""
    for cut in {0, len(data) // 2, len(data) - 1}:
        reader = HeadReader(LIMITS)
        assert reader.feed(data[:cut]) is None
        with pytest.raises(HandshakeRefused) as caught:
            reader.feed(data[cut:])
        assert caught.value.status == status


def test_nothing_but_a_refusal_comes_of_random_heads() -> None:
    chance = random.Random(9112)
    pieces = [b"\r\n", b"\r", b"\n", b" ", b":", b"GET / HTTP/1.1", b"Host: a", b"\x00", b"\xff", b"\t", b"X: y", b"*"]
    whole, statuses = 0, set()
    for _ in range(5000):
        data = head_of(b"GET / HTTP/1.1", b"Host: a")[:-2] if chance.random() < 0.5 else b""
        data += b"".join(chance.choices(pieces, k=chance.randrange(12))) + b"\r\n\r\n"
        try:
            found = HeadReader(LIMITS).feed(data)
            head = None if found is None else parse(found[0])
        except HandshakeRefused as refused:
            statuses.add(refused.status)
            continue
        if head is not None:
            assert re.fullmatch(r"[!-~]+", head.target)
            whole += 1
    assert whole > 50
    assert statuses <= {400, 414, 431, 505}
