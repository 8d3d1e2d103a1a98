"""
Whatever a client, an operator or a page does wrong before there is a WebSocket has one exact answer, and a good client
beside it notices nothing.

Tables of what comes in and what goes out: a status, or a line with a path for settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio
import trio.testing

import rtcore
from rtcore.errors import HandshakeRefused, SettingsError
from rtcore.server.settings_sources import load_settings
from rtcore.testing import START

OpenServer = Any  # the fixture `beside_a_good_client` of conftest.py
SECRET = "a secret of more than thirty-two bytes"
LIMITS = rtcore.Limits(
    connections=20,
    connections_per_address=4,
    handshake_seconds=6,
)
OPEN = rtcore.Settings(limits=LIMITS, origins=("https://app.example",))
LOCKED = rtcore.Settings(
    limits=LIMITS,
    authentication=rtcore.AuthenticationSettings(keys={"k": rtcore.KeySettings(algorithm="HS256", secret=SECRET)}),
)


def token(key: str = SECRET, **claims: Any) -> str:
    return jwt.encode({"sub": "u1", "exp": START + 3600, **claims}, key, algorithm="HS256")


# Settings

FAULTS: list[tuple[str, dict[str, str], str]] = [
    ("port = 70000", {}, "$.port: expected"),
    ('port = "many"', {}, "$.port: expected"),
    ("prot = 1", {}, "$.prot:"),
    ("[limits]\nconnections = 0", {}, "$.limits.connections: expected"),
    ("[limits]\nmessages_per_second = -1.0", {}, "$.limits.messages_per_second: expected"),
    ('host = "0.0.0.0"', {}, "$.host:"),
    ('origins = ["app.example"]', {}, '$.origins[0]: expected "*" or an origin such as'),
    ("[limits]\nbatch_events = 5000", {}, "$.limits.batch_events: expected at most"),
    ('[authentication.keys.k]\nalgorithm = "HS256"\nsecret = "short"', {}, "$.authentication.keys.k.secret: expected"),
    ('[authentication.keys.k]\nalgorithm = "none"', {}, "$.authentication.keys.k.algorithm: expected"),
    ("port = ", {}, "not TOML"),
    ("", {"RTCORE_PORT": "x"}, "RTCORE_PORT"),
]


@pytest.mark.parametrize(("text", "environment", "fault"), FAULTS, ids=[fault for *_, fault in FAULTS])
def test_wrong_setting_is_named_with_its_path(
    tmp_path: Path, text: str, environment: Mapping[str, str], fault: str
) -> None:
    file = tmp_path / "rtcore.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as wrong:
        rtcore.Server(rtcore.Hub(), load_settings(file, environment, {}))
    assert fault in str(wrong.value)
    assert "short" not in str(wrong.value), "a secret is not repeated"


# Before the upgrade

REQUEST = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "YSB0ZXN0J3Mgb3duIGtleQ==",
    "Sec-WebSocket-Version": "13",
}


def request(first: str = "GET /ws HTTP/1.1", **changes: str | None) -> bytes:
    """An upgrade with some headers changed, or left out where they are None; `_` stands for `-`."""
    headers: dict[str, str | None] = {**REQUEST, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [first, *(f"{name}: {value}" for name, value in headers.items() if value is not None)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


REFUSALS: dict[str, tuple[bytes, int]] = {
    "unknown path": (request("GET /nowhere HTTP/1.1"), 404),
    "wrong method": (request("POST /ws HTTP/1.1", Content_Length="0"), 405),
    "no upgrade": (request(Upgrade=None, Connection=None), 426),
    "no connection header": (request(Connection=None), 400),
    "version 12": (request(Sec_WebSocket_Version="12"), 426),
    "no version": (request(Sec_WebSocket_Version=None), 426),
    "no key": (request(Sec_WebSocket_Key=None), 400),
    "short key": (request(Sec_WebSocket_Key="YQ=="), 400),
    "no host": (request(Host=None), 400),
    "strange origin": (request(Origin="https://evil.example"), 403),
    "rebound host in the target": (request("GET http://evil.example/ws HTTP/1.1", Origin="http://localhost"), 403),
    "rebound host": (request(Host="evil.example", Origin="http://evil.example"), 403),
    "body": (request(Content_Length="5"), 400),
    "HTTP/1.0": (request("GET /ws HTTP/1.0"), 505),
    "HTTP/2.0": (request("GET /ws HTTP/2.0"), 505),
    "no HTTP": (b"hello there\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n", 400),
    "bare line feeds": (request().replace(b"\r\n", b"\n"), 400),
    "space before the colon": (request().replace(b"Host:", b"Host :"), 400),
    "folded header": (request().replace(b"Upgrade: w", b"Upgrade:\r\n w"), 400),
    "line too long": (request("GET /ws?" + "x" * 9000 + " HTTP/1.1"), 414),
    "header too long": (request(X_Long="x" * 9000), 431),
    "head too large": (request(**{f"X_{number}": "x" * 4000 for number in range(5)}), 431),
    "too many headers": (request(**{f"X_{number}": "x" for number in range(200)}), 431),
    "bad subprotocol": (request(Sec_WebSocket_Protocol="a b"), 400),
}


async def answer(stream: trio.abc.Stream) -> tuple[int, bytes]:
    """Status and all bytes of the answer, after which the server has ended its side."""
    data = b""
    with trio.fail_after(60):
        while more := await stream.receive_some():
            data += more
    return (int(data[9:12]) if data else 0), data


@pytest.mark.parametrize(("data", "status"), REFUSALS.values(), ids=list(REFUSALS))
async def test_handshake_is_refused_with_its_status(
    autojump_clock: trio.testing.MockClock, beside_a_good_client: OpenServer, data: bytes, status: int
) -> None:
    async with beside_a_good_client(OPEN) as server:
        stream = server.open_stream()
        await stream.send_all(data)
        got, text = await answer(stream)
        assert got == status, text
        head, _, body = text.partition(b"\r\n\r\n")
        assert b"evil" not in text, "nothing of the request is repeated"
        assert int(dict(line.lower().split(b": ") for line in head.split(b"\r\n")[1:])[b"content-length"]) == len(body)
        await stream.aclose()


TOKENS: dict[str, tuple[dict[str, str], str]] = {
    "not a token": ({"Authorization": "Bearer nonsense"}, "token"),
    "other key": ({"Authorization": "Bearer " + token("b" * 40)}, "token"),
    "expired": ({"Authorization": "Bearer " + token(exp=START - 60)}, "expired"),
    "not yet": ({"Authorization": "Bearer " + token(nbf=START + 600)}, "not valid yet"),
    "no expiry": ({"Authorization": "Bearer " + jwt.encode({"sub": "u1"}, SECRET, algorithm="HS256")}, "exp"),
    "no user": ({"Authorization": "Bearer " + jwt.encode({"exp": START + 60}, SECRET, algorithm="HS256")}, "sub"),
    "no algorithm": (
        {"Authorization": "Bearer " + jwt.encode({"sub": "u1", "exp": START + 60}, "", algorithm="none")},
        "token",
    ),
    "other audience": ({"Authorization": "Bearer " + token(aud="others")}, "audience"),
    "too long": ({"Authorization": "Bearer " + "x" * 8100}, "token"),
    "other scheme": ({"Authorization": "Basic dTpw"}, "Bearer"),
}


@pytest.mark.parametrize(("headers", "says"), TOKENS.values(), ids=list(TOKENS))
async def test_wrong_token_is_refused(
    autojump_clock: trio.testing.MockClock, beside_a_good_client: OpenServer, headers: dict[str, str], says: str
) -> None:
    """In the handshake with 401; in the first message with an `error` and 4004. The token is never repeated."""
    async with beside_a_good_client(LOCKED, token=token()) as server:
        with pytest.raises(HandshakeRefused) as refused:
            await server.connect(headers=headers)
        assert refused.value.status == 401
        assert dict(refused.value.headers)["www-authenticate"].startswith("Bearer")
        bearer = headers["Authorization"].rpartition(" ")[2]
        assert bearer not in str(refused.value)
        assert says in str(refused.value)
        client = await server.connect()
        assert client.welcome["authentication"] == "required"
        error = await client.request("auth", {"token": bearer})
        assert (error["type"], error["data"]["field"]) == ("error", "data.token")
        assert error["data"]["code"] in ("access.authentication_failed", "access.token_expired")
        assert bearer not in json.dumps(error)
        assert (await client.receive_close()).code == 4004


async def test_client_that_never_authenticates(
    autojump_clock: trio.testing.MockClock, beside_a_good_client: OpenServer
) -> None:
    async with beside_a_good_client(LOCKED, token=token()) as server:
        client = await server.connect()
        error = await client.request("subscribe", {"channels": ["tasks"]})
        assert error["data"]["code"] == "access.authentication_required"
        began = trio.current_time()
        assert (await client.expect("error"))["data"]["code"] == "access.authentication_required"
        assert (await client.receive_close()).code == 4003
        assert trio.current_time() - began == pytest.approx(LIMITS.authentication_seconds)


async def test_token_that_ends_meanwhile(
    autojump_clock: trio.testing.MockClock, beside_a_good_client: OpenServer
) -> None:
    async with beside_a_good_client(LOCKED, token=token()) as server:
        client = await server.connect(token=token(exp=START + 30))
        assert (await client.expect("error"))["data"]["code"] == "access.token_expired"
        assert (await client.receive_close()).code == 4005


async def test_token_that_is_revoked_meanwhile(
    autojump_clock: trio.testing.MockClock, beside_a_good_client: OpenServer
) -> None:
    async with beside_a_good_client(LOCKED, token=token()) as server:
        client = await server.connect(token=token(jti="t1"))
        server.server.revocations.revoke_token("t1")
        assert (await client.expect("error"))["data"]["code"] == "access.token_revoked"
        assert (await client.receive_close()).code == 4006
        with pytest.raises(HandshakeRefused, match="revoked"):
            await server.connect(token=token(jti="t1"))


async def test_too_many_connections(autojump_clock: trio.testing.MockClock, beside_a_good_client: OpenServer) -> None:
    """429 for an address that has had its share, 503 for want of room, each with when to come back."""
    async with beside_a_good_client(OPEN) as server:
        for _ in range(4):
            await server.connect(address="192.0.2.1")
        with pytest.raises(HandshakeRefused) as share:
            await server.connect(address="192.0.2.1")
        for number in range(15):
            await server.connect(address=f"198.51.100.{number}")
        with pytest.raises(HandshakeRefused) as room:
            await server.connect(address="203.0.113.1")
        for refused, status in ((share, 429), (room, 503)):
            assert refused.value.status == status
            assert dict(refused.value.headers)["retry-after"] == "5"


@pytest.mark.parametrize("sent", [b"", b"GET /ws HTTP/1.1\r\nHost: localhost\r\n"], ids=["silent", "half"])
@pytest.mark.parametrize("half_closed", [False, True])
async def test_handshake_that_does_not_come_is_waited_for_so_long(
    autojump_clock: trio.testing.MockClock, beside_a_good_client: OpenServer, sent: bytes, half_closed: bool
) -> None:
    """Silent or half-closed: the connection ends without a word, at the deadline or at once."""
    async with beside_a_good_client(OPEN) as server:
        stream, began = server.open_stream(), trio.current_time()
        if sent:
            await stream.send_all(sent)
        if half_closed:
            await stream.send_eof()
        assert await answer(stream) == (0, b"")
        assert trio.current_time() - began == pytest.approx(0 if half_closed else LIMITS.handshake_seconds)
