"""Every request of a connection is read as strictly as its first, wherever its head begins and however it is cut."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from trio.testing import MockClock

from rtcore.errors import HandshakeRefused
from rtcore.protocol.header_grammar import parse_request_head
from rtcore.values.limits import Limits

GET = b"GET /hello?a=1 HTTP/1.1\r\nHost: test\r\n\r\n"
POST = b"POST /hello HTTP/1.1\r\nHost: test\r\n"

LOOSE = {
    "bare line feeds": b"GET / HTTP/1.1\nHost: test\n\n",
    "bare line feed in a header": b"GET / HTTP/1.1\r\nHost: test\r\nA: b\nC: d\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nHost: test\r\nA: b\r\n c\r\n\r\n",
    "control character": b"GET / HTTP/1.1\r\nHost: test\r\nA: b\x01\r\n\r\n",
    "host with a space": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "host with a user": b"GET / HTTP/1.1\r\nHost: a@test\r\n\r\n",
    "empty host": b"GET / HTTP/1.1\r\nHost: \r\n\r\n",
    "two origins": b"GET / HTTP/1.1\r\nHost: test\r\nOrigin: http://test\r\nOrigin: http://evil\r\n\r\n",
    "two tokens": b"GET / HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "fragment": b"GET /#a HTTP/1.1\r\nHost: test\r\n\r\n",
    "target without a slash": b"GET hello HTTP/1.1\r\nHost: test\r\n\r\n",
    "target with an authority alone": b"CONNECT test:80 HTTP/1.1\r\nHost: test\r\n\r\n",
    "another scheme": b"GET ftp://test/ HTTP/1.1\r\nHost: test\r\n\r\n",
}
"""What h11 takes, or leaves to the application."""


@pytest.mark.parametrize("loose", LOOSE.values(), ids=LOOSE)
async def test_later_request_is_refused_like_a_first_one(served: Any, loose: bytes) -> None:
    """Two readings of one request are how requests are smuggled."""
    with pytest.raises(HandshakeRefused) as first:
        parse_request_head(loose.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", Limits())
    async with served(GET) as client:
        assert (await client.reply())[0] == 200
        await client.send(loose)
        status, headers, body = await client.reply()
        assert (status, headers["connection"]) == (400, "close")
        message = orjson.loads(body)["error"]["message"]
        assert message == str(first.value) or (b"\n" in loose.replace(b"\r\n", b"") and "bare LF" in message)
        assert await client.at_end()


async def test_head_behind_a_body_is_read_strictly_too(served: Any) -> None:
    """It came with the body before it, so h11 has had it already."""
    async with served(POST + b"Content-Length: 2\r\n\r\nab" + LOOSE["folded header"] + GET) as client:
        assert (await client.reply())[0] == 200
        assert (await client.reply())[0] == 400
        assert await client.at_end()


async def test_target_with_a_user_is_refused(served: Any) -> None:
    """What is compared with origins, and given to the application, is a host as in the header."""
    async with served(b"GET http://user@test/hello HTTP/1.1\r\nHost: test\r\n\r\n") as client:
        assert (await client.reply())[0] == 400
        assert await client.at_end()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_later_upgrade_is_refused_whatever_its_method(served: Any, method: str) -> None:
    """The answer to HEAD has no body: with one, the two lines ended the server."""
    upgrade = f"{method} / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n\r\n"
    async with served(GET + upgrade.encode()) as client:
        assert (await client.reply())[0] == 200
        status, _, body = await client.reply(method)
        assert (status, bool(body)) == (400, method == "GET")
        assert await client.at_end()


async def test_line_of_a_later_head_is_bounded(served: Any) -> None:
    """The head as a whole is short enough; `request_line_bytes` is for each of its lines."""
    async with served(GET) as client:
        assert (await client.reply())[0] == 200
        await client.send(b"GET / HTTP/1.1\r\nHost: test\r\nA: " + b"x" * 9000 + b"\r\n\r\n")
        status, _, body = await client.reply()
        assert status == 431
        assert "request_line_bytes=8192" in orjson.loads(body)["error"]["message"]


async def test_requests_may_follow_each_other_and_be_cut_anywhere(served: Any, autojump_clock: MockClock) -> None:
    """What is held back until it is whole comes out as it was: bodies of both kinds, and an empty line between."""
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    sized = POST + b"Content-Length: 2\r\n\r\nab"
    stream = GET + sized + b"\r\n" + chunked + GET + sized
    for cut in range(len(stream)):
        async with served(stream[:cut]) as client:
            await client.send(stream[cut:])
            replies = [await client.reply() for _ in range(5)]
            assert [status for status, _, _ in replies] == [200] * 5
            assert [orjson.loads(body)[3] for _, _, body in replies] == [0, 2, 3, 0, 2]


@pytest.mark.parametrize(
    "framing",
    [
        b"HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\nTransfer-Encoding: chunked",
        b"HTTP/1.0\r\nTransfer-Encoding: chunked",
    ],
    ids=["and a length", "in HTTP/1.0"],
)
async def test_body_whose_end_is_in_doubt_ends_the_connection(served: Any, framing: bytes) -> None:
    """What one reader takes for the rest of a body is to another the next request. RFC 9112, section 6.1."""
    async with served(b"POST /hello " + framing + b"\r\n\r\n0\r\n\r\n" + GET) as client:
        assert (await client.reply())[0] == 400
        assert await client.at_end()


@pytest.mark.parametrize("length", [b"2, 2", b"+2", b"-2", b"0x2", b"", b"2 "])
async def test_length_is_one_number(served: Any, length: bytes) -> None:
    """h11 takes a list of equal ones; spaces around it are none of it."""
    async with served(POST + b"Content-Length: " + length + b"\r\n\r\nab") as client:
        assert (await client.reply())[0] == (200 if length == b"2 " else 400)


async def test_method_is_left_as_it_was_sent(served: Any) -> None:
    """Methods are told apart by case: whoever filters `POST` before us does not see `post`. RFC 9110, section 9.1."""
    async with served(b"get /hello HTTP/1.1\r\nHost: test\r\n\r\n") as client:
        _, _, body = await client.reply()
        assert orjson.loads(body)[0] == "get"


async def test_absolute_target_ends_its_host_at_the_question_mark(served: Any) -> None:
    """`/hello` is no path here, but a part of the query."""
    async with served(b"GET http://test?x=/hello HTTP/1.1\r\nHost: test\r\n\r\n") as client:
        _, _, body = await client.reply()
        assert orjson.loads(body)[1:3] == ["/", "x=/hello"]
