"""
Whatever a client does wrong on a connection has one exact answer, and a good client beside it notices nothing.

Tables of what comes in and what goes out: a close code or an `error`; over HTTP a status and a code.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.errors import ConnectionClosed
from rtcore.testing import mask_frame
from rtcore.values.opcodes import Opcode
from tests.driver_server import KEPT_BYTES

OpenServer = Any  # the fixture `beside_a_good_client` of conftest.py
LIMITS = rtcore.Limits(
    message_bytes=10_000,
    json_depth=8,
    channels_per_connection=3,
    message_burst=20,
    messages_per_second=10,
    violations=30,
    publish_body_bytes=5000,
    body_seconds=4,
)
OPEN = rtcore.Settings(limits=LIMITS)


async def answer(stream: trio.abc.Stream) -> tuple[int, bytes]:
    """Status and all bytes of the answer, after which the server has ended its side."""
    data = b""
    with trio.fail_after(60):
        while more := await stream.receive_some():
            data += more
    return (int(data[9:12]) if data else 0), data


# HTTP

JSON = {"Content-Type": "application/json"}
EVENT = b'{"channel": "tasks", "type": "x", "data": {}}'


def post(body: bytes, path: str = "/api/v1/publish", length: int | None = None, **headers: str) -> bytes:
    names = {"Host": "localhost", **JSON, "Content-Length": str(len(body) if length is None else length)}
    names |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in names.items()), "Connection: close"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


HTTP: dict[str, tuple[bytes, int, str]] = {
    "unknown path": (post(EVENT, "/api/v1/nothing"), 404, "request.not_found"),
    "wrong method": (
        b"GET /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        405,
        "request.method_not_allowed",
    ),
    "not JSON": (post(b"{"), 400, "request.malformed"),
    "no object": (post(b"[]"), 400, "request.malformed"),
    "other type": (post(EVENT, Content_Type="text/plain"), 415, "request.unsupported_media_type"),
    "bad channel": (post(b'{"channel": "/", "type": "x", "data": {}}'), 400, "request.malformed"),
    "too deep": (
        post(b'{"channel": "tasks", "type": "x", "data": ' + b"[" * 50 + b"]" * 50 + b"}"),
        400,
        "limit.too_deep",
    ),
    "too large": (post(b'{"channel": "tasks", "type": "x", "data": "' + b"x" * 6000 + b'"}'), 413, "limit.too_large"),
    "announced too large": (post(b"", length=10**12), 413, "limit.too_large"),
    "too slow": (post(EVENT[:10], length=len(EVENT)), 408, "server.timeout"),
    "not for clients": (post(b'{"channel": "connections", "type": "x", "data": {}}'), 403, "access.denied"),
}


@pytest.mark.parametrize(("data", "status", "code"), HTTP.values(), ids=list(HTTP))
async def test_bad_http_request_has_its_status_and_code(
    autojump_clock: trio.testing.MockClock, beside_a_good_client: OpenServer, data: bytes, status: int, code: str
) -> None:
    async with beside_a_good_client(OPEN) as server:
        stream = server.open_stream()
        await stream.send_all(data)
        got, text = await answer(stream)
        assert got == status, text
        assert json.loads(text.partition(b"\r\n\r\n")[2])["error"]["code"] == code
        await stream.aclose()


# Messages

MESSAGES: dict[str, tuple[str, str, str | None]] = {
    "not JSON": ("{", "request.malformed", None),
    "no object": ("[1]", "request.malformed", None),
    "no type": ('{"data": {}}', "request.malformed", "type"),
    "type a number": ('{"type": 7}', "request.malformed", "type"),
    "unknown type": ('{"type": "dance"}', "request.unknown_type", "type"),
    "data a list": ('{"type": "subscribe", "data": []}', "request.malformed", "data"),
    "id an object": ('{"type": "heartbeat", "id": {}}', "request.malformed", "id"),
    "NaN": ('{"type": "heartbeat", "data": NaN}', "request.malformed", None),
    "a name twice": ('{"type": "heartbeat", "type": "dance"}', "request.unknown_type", "type"),
    "lone surrogate": ('{"type": "heartbeat", "id": "\\ud800"}', "request.malformed", None),
    "too deep": ('{"type": "publish", "data": ' + "[" * 20 + "]" * 20 + "}", "limit.too_deep", None),
    "unknown field": (
        '{"type": "subscribe", "data": {"channels": ["a"], "chanels": 1}}',
        "request.malformed",
        "data.chanels",
    ),
    "no channels": ('{"type": "subscribe", "data": {}}', "request.malformed", "data.channels"),
    "empty channels": ('{"type": "subscribe", "data": {"channels": []}}', "request.malformed", "data.channels"),
    "bad name": (
        '{"type": "subscribe", "data": {"channels": ["a", "../b"]}}',
        "request.unknown_channel",
        "data.channels[1]",
    ),
    "name that begins with a tilde": (
        '{"type": "subscribe", "data": {"channels": ["~40a"]}}',
        "request.unknown_channel",
        "data.channels[0]",
    ),
    "name with an escape of another kind": (
        '{"type": "subscribe", "data": {"channels": ["inbox:a%40b"]}}',
        "request.unknown_channel",
        "data.channels[0]",
    ),
    "type with a tilde": (
        '{"type": "publish", "data": {"channel": "a~40b", "type": "x~40", "data": 1}}',
        "request.malformed",
        "data.type",
    ),
    "too many": (
        '{"type": "subscribe", "data": {"channels": ["a", "b", "c", "d"]}}',
        "limit.too_many_channels",
        "data.channels",
    ),
    "not to read": (
        '{"type": "subscribe", "data": {"channels": ["connections"]}}',
        "access.denied",
        "data.channels[0]",
    ),
    "bad filter": (
        '{"type": "subscribe", "data": {"channels": ["a"], "where": {"n": {"near": 1}}}}',
        "request.invalid_filter",
        "data.where.n.near",
    ),
    "bad position": (
        '{"type": "subscribe", "data": {"channels": ["a"], "since": "x"}}',
        "request.invalid_position",
        "data.since",
    ),
    "bad batch": (
        '{"type": "subscribe", "data": {"channels": ["a"], "batch": {"events": 0}}}',
        "request.malformed",
        "data.batch.events",
    ),
    "not subscribed": (
        '{"type": "unsubscribe", "data": {"channels": ["a"]}}',
        "request.unknown_channel",
        "data.channels[0]",
    ),
    "not to publish": (
        '{"type": "publish", "data": {"channel": "connections", "type": "x", "data": 1}}',
        "access.denied",
        "data.channel",
    ),
    "reserved type": (
        '{"type": "publish", "data": {"channel": "a", "type": "error", "data": 1}}',
        "request.malformed",
        "data.type",
    ),
    "bad lane": (
        '{"type": "publish", "data": {"channel": "a", "type": "x", "data": 1, "lane": "fast"}}',
        "request.malformed",
        "data.lane",
    ),
    "no tokens here": ('{"type": "auth", "data": {"token": "x"}}', "access.authentication_failed", "data.token"),
}


@pytest.mark.parametrize(("text", "code", "field"), MESSAGES.values(), ids=list(MESSAGES))
async def test_bad_message_is_answered_with_its_code_and_field(
    autojump_clock: trio.testing.MockClock, beside_a_good_client: OpenServer, text: str, code: str, field: str | None
) -> None:
    """And the conversation goes on, but for a token that is refused."""
    async with beside_a_good_client(OPEN) as server:
        client = await server.connect()
        await client.send_text(text)
        error = (await client.expect("error"))["data"]
        assert (error["code"], error["field"], error["transient"]) == (code, field, False), error
        if code == "access.authentication_failed":
            assert (await client.receive_close()).code == 4004
        else:
            assert (await client.request("heartbeat"))["type"] == "heartbeat"


# Frames

FRAMES: dict[str, tuple[bytes, int]] = {
    "unmasked": (mask_frame(Opcode.TEXT, b"{}", mask=None), 1002),
    "reserved bit": (mask_frame(Opcode.TEXT, b"{}", rsv=2), 1002),
    "compressed unasked": (mask_frame(Opcode.TEXT, b"{}", rsv=4), 1002),
    "reserved opcode": (mask_frame(5, b""), 1002),
    "not UTF-8": (mask_frame(Opcode.TEXT, b"\xc0\x80"), 1007),
    "too big": (mask_frame(Opcode.TEXT, b"x" * 10_001), 1009),
    "too big in pieces": (mask_frame(Opcode.TEXT, b"x" * 6000, fin=False) + mask_frame(0, b"x" * 6000), 1009),
    "announced too big": (bytes([0x81, 0xFF]) + (1 << 40).to_bytes(8, "big"), 1009),
    "length over 2**63": (bytes([0x81, 0xFF]) + b"\xff" * 8, 1002),
    "binary": (mask_frame(Opcode.BINARY, b"{}"), 1003),
    "long ping": (mask_frame(Opcode.PING, b"x" * 126), 1002),
    "fragmented ping": (mask_frame(Opcode.PING, b"", fin=False), 1002),
    "stray continuation": (mask_frame(Opcode.CONTINUATION, b""), 1002),
    "message in a message": (mask_frame(Opcode.TEXT, b"", fin=False) + mask_frame(Opcode.TEXT, b"{}"), 1002),
    "close code 1006": (mask_frame(Opcode.CLOSE, b"\x03\xee"), 1002),
    "close reason not UTF-8": (mask_frame(Opcode.CLOSE, b"\x03\xe8\xff"), 1007),
    "flood": (mask_frame(Opcode.TEXT, b"{}") * 100, 1008),
}


@pytest.mark.parametrize(("data", "code"), FRAMES.values(), ids=list(FRAMES))
async def test_bad_frame_is_closed_with_its_code(
    autojump_clock: trio.testing.MockClock, beside_a_good_client: OpenServer, data: bytes, code: int
) -> None:
    async with beside_a_good_client(OPEN) as server:
        client = await server.connect()
        await client.send_raw(data)
        assert (await client.receive_close()).code == code


async def test_too_fast_is_told_before_it_is_closed(
    autojump_clock: trio.testing.MockClock, beside_a_good_client: OpenServer
) -> None:
    async with beside_a_good_client(OPEN) as server:
        client = await server.connect()
        await client.send_raw(mask_frame(Opcode.TEXT, b'{"type": "heartbeat"}') * 25)
        kinds = [await client.receive() for _ in range(25)]
        assert [kind["type"] for kind in kinds] == ["heartbeat"] * 20 + ["error"] * 5
        error = kinds[-1]["data"]
        assert (error["code"], error["transient"]) == ("limit.rate", True)
        assert 0 < error["retry_after"] <= 0.1
        await trio.sleep(error["retry_after"])
        assert (await client.request("heartbeat"))["type"] == "heartbeat"


async def test_silent_slow_and_half_closed_clients(
    autojump_clock: trio.testing.MockClock, beside_a_good_client: OpenServer
) -> None:
    """Silence: 4002; silence but for pongs: 4001; no reading: 4000; half-closed: an end without a close frame."""
    async with beside_a_good_client(rtcore.Settings(limits=rtcore.Limits(idle_seconds=100))) as server:
        silent, slow, half = [await server.connect() for _ in range(3)]
        await slow.request("subscribe", {"channels": ["other"]})
        slow.stream.clog()
        server.hub.publish("other", "x", "x" * KEPT_BYTES)
        await half.half_close()
        assert (await half.receive_close()).code == 1006
        silent.answers_pings = False
        assert (await silent.receive_close()).code == 4002
        limits = server.server.settings.limits
        await trio.sleep(limits.slow_consumer_seconds + limits.close_seconds)
        slow.stream.unclog()
        with pytest.raises((AssertionError, ConnectionClosed)):  # the end may lie inside of a frame
            await slow.receive_message()
        assert slow.closed is None or slow.closed.code == 1006, "cut at last: it never took its close frame"
        assert server.hub.statistics().disconnected_slow == 1
        idle = await server.connect()
        idle.timeout = 200
        assert (await idle.receive_close()).code == 4001
