"""HTTP over any stream: replies, keep-alive, and how a connection comes to its end."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import orjson
import pytest
import trio
from trio.testing import memory_stream_pair

from rtcore.server.http_bridge import BridgeConfig, HttpPeer, serve_http
from rtcore.values.limits import Limits

GET = b"GET /hello?a=1 HTTP/1.1\r\nHost: test\r\n\r\n"


async def test_bytes_already_read_are_the_beginning_of_the_request(served: Any) -> None:
    """The listener reads a head before it knows that it is HTTP; nothing of it may be lost."""
    async with served(GET[:20]) as client:
        await client.send(GET[20:])
        status, headers, body = await client.reply()
        assert status == 200
        assert orjson.loads(body) == ["GET", "/hello", "a=1", 0, ["192.0.2.1", 4711]]
        assert "server" not in headers
        assert "date" in headers


async def test_a_connection_is_kept_alive_and_requests_may_be_pipelined(served: Any) -> None:
    async with served(GET + GET) as client:
        assert (await client.reply())[0] == 200
        assert (await client.reply())[0] == 200


async def test_a_reply_is_one_write(served: Any) -> None:
    """Head and body in two packets would cost twice the system calls, and a client twice the wake-ups."""
    async with served(GET) as client:
        received = await client.stream.receive_some()
        assert received.startswith(b"HTTP/1.1 200")
        assert received.endswith(b"]")


async def test_a_head_request_has_the_headers_and_no_body(served: Any) -> None:
    async with served(GET.replace(b"GET", b"HEAD")) as client:
        status, headers, body = await client.reply("HEAD")
        assert (status, body) == (200, b"")
        assert int(headers["content-length"]) > 0


async def test_connection_close_is_honoured(served: Any) -> None:
    async with served(GET.replace(b"Host", b"Connection: close\r\nHost")) as client:
        assert (await client.reply())[0] == 200
        assert await client.at_end()


async def test_http_1_0_is_answered_and_closed(served: Any) -> None:
    async with served(b"GET / HTTP/1.0\r\n\r\n") as client:
        assert (await client.reply())[0] == 200
        assert await client.at_end()


async def test_a_client_that_closes_its_side_after_asking_still_gets_its_reply(served: Any) -> None:
    """Half-closed clients, such as a shell pipe into netcat, are ordinary."""
    async with served(GET) as client:
        await client.stream.send_eof()
        assert (await client.reply())[0] == 200
        assert await client.at_end()


async def test_an_offer_of_http2_is_ignored(served: Any) -> None:
    """An upgrade that the server does not know is not an error. Source: RFC 9110, section 7.8."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nHost"
    async with served(GET.replace(b"Host", offer)) as client:
        status, headers, _ = await client.reply()
        assert status == 200
        assert "upgrade" not in headers


async def test_the_absolute_form_of_a_target_is_understood(served: Any) -> None:
    """Source: RFC 9112, section 3.2.2."""
    async with served(GET.replace(b"/hello", b"http://test/hello")) as client:
        assert orjson.loads((await client.reply())[2])[:2] == ["GET", "/hello"]


async def test_a_failing_application_is_answered_500_and_logged(served: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "rtcore.http"):
        async with served(GET.replace(b"hello", b"fails")) as client:
            status, _, body = await client.reply()
    assert status == 500
    assert b"by design" not in body
    assert "by design" in caplog.text


async def test_the_last_request_of_a_long_lived_connection_is_announced(served: Any) -> None:
    async with served(GET, BridgeConfig(limits=Limits(keep_alive_requests=2))) as client:
        assert "connection" not in (await client.reply())[1]
        await client.send(GET)
        assert (await client.reply())[1]["connection"] == "close"
        assert await client.at_end()


async def test_tls_is_served_too(application: Any, http_client: Any, make_certificate: Any) -> None:
    certificate, key = make_certificate("localhost")
    ours, theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context(cafile=certificate)
    ours.load_cert_chain(certificate, key)
    near, far = memory_stream_pair()
    server = trio.SSLStream(far, ours, server_side=True, https_compatible=True)
    client = http_client(trio.SSLStream(near, theirs, server_hostname="127.0.0.1", https_compatible=True))
    async with trio.open_nursery() as nursery:
        config = BridgeConfig(limits=Limits(keep_alive_requests=2))
        nursery.start_soon(lambda: serve_http(application, server, b"", config=config, peer=HttpPeer(secure=True)))
        for _ in range(2):
            await client.send(GET)
            assert (await client.reply())[0] == 200
        assert await client.at_end()
        await client.stream.aclose()
