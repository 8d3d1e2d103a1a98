"""The opening handshake. Source: RFC 6455, sections 4.2 and 9.1."""

from __future__ import annotations

import base64
import json
import random

import pytest

from rtcore.errors import ErrorCode, HandshakeRefused
from rtcore.protocol import handshake
from rtcore.protocol.compression import CompressionSettings, Extension
from rtcore.protocol.handshake import (
    Accepted,
    accept_handshake,
    accept_key,
    asked_host,
    parse_extensions,
    refusal_response,
    wants_websocket,
)
from rtcore.protocol.header_grammar import RequestHead, parse_request_head
from rtcore.values.limits import Limits

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD = {
    "Host": "server.example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def request(changes: dict[str, str | None] | None = None, *, method: str = "GET", extra: str = "") -> RequestHead:
    """The good request with some headers changed, or left out where the change is None."""
    fields = {**GOOD, **(changes or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    head = f"{method} /chat HTTP/1.1\r\n{lines}{extra}\r\n"
    return parse_request_head(head.encode("latin-1"), Limits())


def refusal(head: RequestHead) -> HandshakeRefused:
    with pytest.raises(HandshakeRefused) as caught:
        accept_handshake(head, subprotocols=["rtcore.v1"], compression=CompressionSettings())
    return caught.value


def accept(head: RequestHead) -> Accepted:
    return accept_handshake(head, subprotocols=["rtcore.v1", "chat"], compression=CompressionSettings())


def test_the_example_of_the_rfc_is_answered_as_printed() -> None:
    """Section 1.3."""
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    accepted = accept(request({"Sec-WebSocket-Protocol": "chat, superchat"}))
    assert accepted.subprotocol == "chat"
    assert accepted.compression is None
    assert accepted.response == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    ("upgrade", "wanted"),
    [
        ("websocket", True),
        ("WebSocket", True),
        ("h2c, websocket", True),
        ("h2c", False),
        ("websocket/13", False),
        ("websockets", False),
        (None, False),
    ],
)
def test_a_request_that_lists_websocket_wants_it(upgrade: str | None, wanted: bool) -> None:
    assert wants_websocket(request({"Upgrade": upgrade})) is wanted


@pytest.mark.parametrize(
    "changes",
    [
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "UPGRADE"},
        {"Upgrade": "WEBSOCKET"},
        {"Content-Length": "0"},
        {"Sec-WebSocket-Protocol": "unknown"},
        {"Sec-WebSocket-Protocol": ","},
        {"Sec-WebSocket-Extensions": "unknown; a=b"},
        {"Sec-WebSocket-Extensions": ""},
        {"Origin": "http://example.com"},
    ],
)
def test_variations_that_the_rfc_allows_are_accepted(changes: dict[str, str | None]) -> None:
    accepted = accept(request(changes))
    assert accepted.response.startswith(b"HTTP/1.1 101 ")
    assert (accepted.subprotocol, accepted.compression) == (None, None)
    assert b"Sec-WebSocket-Protocol" not in accepted.response
    assert b"Sec-WebSocket-Extensions" not in accepted.response


REFUSED: list[tuple[dict[str, str | None], int]] = [
    ({"Upgrade": None}, 426),
    ({"Upgrade": "h2c"}, 426),
    ({"Connection": None}, 400),
    ({"Connection": "keep-alive"}, 400),
    ({"Connection": "Upgraded"}, 400),
    ({"Sec-WebSocket-Version": None}, 426),
    ({"Sec-WebSocket-Version": "12"}, 426),
    ({"Sec-WebSocket-Version": "13, 8"}, 426),
    ({"Sec-WebSocket-Version": "013"}, 426),
    ({"Sec-WebSocket-Key": None}, 400),
    ({"Sec-WebSocket-Key": ""}, 400),
    ({"Sec-WebSocket-Key": "AAAA"}, 400),
    ({"Sec-WebSocket-Key": base64.b64encode(bytes(15)).decode()}, 400),
    ({"Sec-WebSocket-Key": base64.b64encode(bytes(17)).decode()}, 400),
    ({"Sec-WebSocket-Key": KEY[:-2]}, 400),
    ({"Sec-WebSocket-Key": KEY[:-3] + "R=="}, 400),
    ({"Sec-WebSocket-Key": KEY[:5] + " " + KEY[5:]}, 400),
    ({"Sec-WebSocket-Key": KEY[:5] + "\xe9" + KEY[6:]}, 400),
    ({"Sec-WebSocket-Key": KEY + "===="}, 400),
    ({"Transfer-Encoding": "chunked"}, 400),
    ({"Content-Length": "5"}, 400),
    ({"Content-Length": "00"}, 400),
    ({"Sec-WebSocket-Protocol": "a b"}, 400),
    ({"Sec-WebSocket-Protocol": "a, a"}, 400),
    ({"Sec-WebSocket-Protocol": "a;b"}, 400),
    ({"Sec-WebSocket-Protocol": "\xe9"}, 400),
    ({"Sec-WebSocket-Extensions": "permessage-deflate;"}, 400),
    ({"Sec-WebSocket-Extensions": 'permessage-deflate; a="b'}, 400),
]


@pytest.mark.parametrize(("changes", "status"), REFUSED)
def test_a_request_that_lacks_what_the_rfc_asks_for_is_refused(changes: dict[str, str | None], status: int) -> None:
    refused = refusal(request(changes))
    assert refused.status == status
    if status == 426:
        assert ("Sec-WebSocket-Version", "13") in refused.headers
        assert ("Upgrade", "websocket") in refused.headers


def is_canonical_key(key: str) -> bool:
    """Whether a text is the base64 of 16 bytes, found by decoding it and encoding that again."""
    try:
        octets = base64.b64decode(key.encode("latin-1"), validate=True)
    except ValueError:
        return False
    return len(octets) == 16 and base64.b64encode(octets).decode() == key


def test_a_key_is_judged_as_decoding_judges_it() -> None:
    """The pattern for keys takes neither more nor less, whatever byte stands in whatever place."""
    taken = 0
    for position in range(len(KEY)):
        for octet in (*range(0x21, 0x7F), *range(0x80, 0x100)):
            key = KEY[:position] + chr(octet) + KEY[position + 1 :]
            head = request({"Sec-WebSocket-Key": key})
            if is_canonical_key(key):
                assert accept_key(key).encode() in accept(head).response
                taken += 1
            else:
                assert str(refusal(head)) == "Sec-WebSocket-Key is not the base64 of 16 bytes"
    assert taken == 21 * 64 + 4 + 2


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "get"])
def test_an_upgrade_that_is_not_a_get_is_refused_with_what_is_allowed(method: str) -> None:
    refused = refusal(request(method=method))
    assert (refused.status, refused.headers) == (405, (("Allow", "GET"),))
    assert str(refused) == f'a WebSocket handshake is a GET, got "{method}"'


def test_method_that_is_refused_is_repeated_in_short() -> None:
    """It is logged as well, and may be as long as a line."""
    refused = refusal(request(method="A" * 7000))
    assert str(refused) == f'a WebSocket handshake is a GET, got "{"A" * 60}"... (7000 characters)'


def test_refusal_of_head_has_the_length_of_its_body_and_no_body() -> None:
    """Whoever asked with HEAD reads none, and would take it for the next response. RFC 9110, section 9.3.2."""
    head, _, body = refusal_response(refusal(request(method="HEAD"))).partition(b"\r\n\r\n")
    assert body == b""
    length = len(refusal_response(refusal(request(method="POST"))).partition(b"\r\n\r\n")[2])
    assert b"Content-Length: %d" % length in head


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        ("chat, rtcore.v1", "chat"),
        ("other, rtcore.v1, chat", "rtcore.v1"),
        ("Chat", None),
    ],
)
def test_the_clients_order_decides_among_subprotocols(offered: str, selected: str | None) -> None:
    assert accept(request({"Sec-WebSocket-Protocol": offered})).subprotocol == selected


def test_subprotocols_may_be_spread_over_headers() -> None:
    head = request({"Sec-WebSocket-Protocol": "a"}, extra="Sec-WebSocket-Protocol: chat\r\n")
    assert accept(head).subprotocol == "chat"


def test_compression_is_agreed_on_and_announced() -> None:
    head = request({"Sec-WebSocket-Extensions": 'other; x="y", permessage-deflate; server_max_window_bits="10"'})
    accepted = accept(head)
    assert accepted.compression is not None
    assert accepted.compression.server_window_bits == 10
    assert (
        b"\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        b"server_max_window_bits=10\r\n"
    ) in accepted.response
    assert accept_handshake(head).compression is None


def test_what_is_remembered_of_an_offer_is_what_these_settings_agreed_on() -> None:
    head = request({"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"})
    for _ in range(2):
        for bits in (9, 12, 15):
            settings = CompressionSettings(server_window_bits=bits, client_window_bits=bits)
            accepted = accept_handshake(head, compression=settings)
            assert accepted.compression is not None
            assert accepted.compression.server_window_bits == bits
            assert b"client_max_window_bits=%d" % bits in accepted.response
        assert accept_handshake(head).compression is None


def test_offers_that_are_long_or_in_pieces_are_not_remembered() -> None:
    """Nobody can fill memory with offers that nobody makes again; and of other headers nothing is remembered at all."""
    before = handshake._remembered_agreement.cache_info().currsize
    long = request({"Sec-WebSocket-Extensions": "permessage-deflate" + " " * 5000 + "; server_max_window_bits=10"})
    spread = request({"Sec-WebSocket-Extensions": "a"}, extra="Sec-WebSocket-Extensions: permessage-deflate\r\n")
    secret = request(
        {"Sec-WebSocket-Protocol": "token.s3cret"}, extra="Authorization: Bearer s3cret\r\nCookie: a=b\r\n"
    )
    assert accept(long).compression is not None
    assert accept(spread).compression is not None
    assert accept(secret).compression is None
    assert handshake._remembered_agreement.cache_info().currsize == before


def test_more_headers_can_be_sent_with_the_response() -> None:
    accepted = accept_handshake(request(), headers=[("Server", "rtcore")])
    assert accepted.response.endswith(b"\r\nServer: rtcore\r\n\r\n")


EXTENSIONS = [
    ((), ()),
    (("",), ()),
    ((" , ,",), ()),
    (("a",), (Extension("a"),)),
    (("a,b",), (Extension("a"), Extension("b"))),
    (("a", "b"), (Extension("a"), Extension("b"))),
    (("a; x", "b"), (Extension("a", (("x", None),)), Extension("b"))),
    (("a;x=1;y=2 , b",), (Extension("a", (("x", "1"), ("y", "2"))), Extension("b"))),
    (("a ; x = 1",), (Extension("a", (("x", "1"),)),)),
    (('a; x="1"',), (Extension("a", (("x", "1"),)),)),
    (('a; x="1\\0"; y',), (Extension("a", (("x", "10"), ("y", None))),)),
    (("a; x; x",), (Extension("a", (("x", None), ("x", None))),)),
]


@pytest.mark.parametrize(("values", "extensions"), EXTENSIONS)
def test_extensions_are_read(values: tuple[str, ...], extensions: tuple[Extension, ...]) -> None:
    assert parse_extensions(values) == extensions


@pytest.mark.parametrize(
    "value",
    ["a b", "a;", "a;;x", ";x", "a; x=", "a; =1", 'a; x="', 'a; x="1', 'a; x="1 2"', 'a; x=""', 'a; x="1"2', "a=1", "é",
     'a; x="1,2"', 'a; x="\\', "a/b"],
)  # fmt: skip
def test_malformed_extensions_are_refused(value: str) -> None:
    """Section 9.1: a quoted value must be a token once it is unquoted."""
    with pytest.raises(HandshakeRefused) as caught:
        parse_extensions([value])
    assert caught.value.status == 400


def test_a_long_malformed_list_is_refused_in_time() -> None:
    """An expression that tries all ways to split it would not return."""
    for value in ("a" + "; x" * 2000 + "\x7f", "a" + " " * 8000 + "b", 'a; x="' + "\\" * 8001, 'a; x="' + "a" * 8000):
        with pytest.raises(HandshakeRefused):
            parse_extensions([value])


def test_random_extensions_are_read_or_refused() -> None:
    chance = random.Random(6455)
    for _ in range(3000):
        value = "".join(chance.choices(["a", "permessage-deflate", ";", ",", "=", '"', "\\", " ", "1", "\x7f"], k=8))
        try:
            parse_extensions([value])
        except HandshakeRefused as refused:
            status = refused.status
        else:
            status = 400
        assert status == 400


def test_a_refusal_is_a_whole_response_that_ends_the_connection() -> None:
    response = refusal_response(HandshakeRefused(503, "full", headers=(("Retry-After", "5"),)))
    head, _, body = response.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 503 Service Unavailable"
    assert set(lines[1:]) == {
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "Retry-After: 5",
    }
    assert json.loads(body) == {
        "error": {"code": "limit.busy", "message": "full", "transient": True, "retry_after": 5.0, "field": None}
    }


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "request.malformed"),
        (401, "access.authentication_failed"),
        (403, "access.denied"),
        (404, "request.not_found"),
        (405, "request.method_not_allowed"),
        (414, "limit.too_large"),
        (426, "request.malformed"),
        (431, "limit.too_large"),
        (503, "limit.busy"),
        (505, "request.malformed"),
    ],
)
def test_a_refusal_is_the_error_that_all_of_http_answers_with(status: int, code: str) -> None:
    """`openapi.json` says so of 400, 414, 431 and 505; one shape, whichever part of the server refuses."""
    body = refusal_response(HandshakeRefused(status, "no")).partition(b"\r\n\r\n")[2]
    error = json.loads(body)["error"]
    assert (error["code"], error["message"], set(error)) == (
        code,
        "no",
        {"code", "message", "transient", "retry_after", "field"},
    )


def test_a_refusal_can_name_its_own_code() -> None:
    """A token that has run out is worth another try with a new one; one that is wrong is not."""
    response = refusal_response(HandshakeRefused(401, "late", code=ErrorCode.TOKEN_EXPIRED))
    assert json.loads(response.partition(b"\r\n\r\n")[2])["error"]["code"] == "access.token_expired"


def test_a_refusal_that_offers_an_upgrade_names_it_in_connection() -> None:
    """RFC 9110, sections 7.8 and 15.5.22."""
    response = refusal_response(refusal(request({"Sec-WebSocket-Version": "8"})))
    assert response.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"\r\nConnection: close, Upgrade\r\n" in response
    assert b"\r\nUpgrade: websocket\r\n" in response
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in response


def test_a_status_without_a_name_can_be_refused_with() -> None:
    assert refusal_response(HandshakeRefused(499, "x")).startswith(b"HTTP/1.1 499 Refused\r\n")


def test_handshake_with_http_1_0_is_refused_with_505() -> None:
    """RFC 6455, section 4.1: the handshake is HTTP/1.1 or higher."""
    data = (
        b"GET /ws HTTP/1.0\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with pytest.raises(HandshakeRefused) as caught:
        accept_handshake(parse_request_head(data, Limits()))
    assert caught.value.status == 505


def test_other_method_at_a_websocket_path_is_refused_with_405_even_without_an_upgrade() -> None:
    with pytest.raises(HandshakeRefused) as caught:
        accept_handshake(parse_request_head(b"POST /ws HTTP/1.1\r\nHost: x\r\n\r\n", Limits()))
    assert caught.value.status == 405
    assert ("Allow", "GET") in caught.value.headers


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("/ws", "header.example"),
        ("/ws://other.example/", "header.example"),
        ("http://target.example", "target.example"),
        ("HTTPS://target.example:8443/ws?a=b", "target.example:8443"),
        ("http://target.example?a=/ws", "target.example"),
    ],
)
def test_host_of_an_absolute_target_stands_before_the_header(target: str, host: str) -> None:
    """Whether a page may ask is judged by the host that it asks for. Source: RFC 9112, section 3.2.2."""
    head = f"GET {target} HTTP/1.1\r\nHost: header.example\r\n\r\n"
    assert asked_host(parse_request_head(head.encode(), Limits())) == host
