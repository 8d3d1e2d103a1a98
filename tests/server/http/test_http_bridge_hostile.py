"""HTTP with clients that misbehave, servers that drain, and connections that break."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_one_way_pair, memory_stream_pair

from rtcore.server.ending import Ending
from rtcore.server.http_bridge import BridgeConfig, serve_http
from rtcore.values.limits import Limits

GET = b"GET /hello?a=1 HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost: t\r\n" + b"A: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: t\r\n" + b"".join(b"A%d: x\r\n" % n for n in range(200)) + b"\r\n", 431),
        (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: t\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    ],
    ids=["websocket", "http2", "head too large", "too many headers", "target", "no host", "tls", "coding"],
)
async def test_a_request_that_is_not_served_gets_a_status_a_json_body_and_the_end(
    served: Any, request_bytes: bytes, expected: int, autojump_clock: MockClock
) -> None:
    """On a kept-alive connection, where the listener's own parser is not in the way any more."""
    async with served(GET) as client:
        assert (await client.reply())[0] == 200
        await client.send(request_bytes)
        status, headers, body = await client.reply()
        assert status == expected
        assert headers["connection"] == "close"
        assert set(orjson.loads(body)["error"]) == {"code", "message", "transient", "retry_after", "field"}
        assert await client.at_end()


async def test_an_early_reply_to_a_long_body_leaves_nothing_stuck(served: Any, autojump_clock: MockClock) -> None:
    """Hypercorn's own server would wait for ever for the application to read on."""
    size = 2_000_000
    async with served(b"POST /early HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size) as client:
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:

                async def send_body() -> None:
                    try:
                        for _ in range(size // 50_000):
                            await client.send(b"x" * 50_000)
                    except (trio.BrokenResourceError, trio.ClosedResourceError):
                        pass

                nursery.start_soon(send_body)
                status, headers, _ = await client.reply()
                assert status == 200
                assert headers["connection"] == "close"
                assert await client.at_end()
                await client.stream.aclose()


async def test_an_idle_connection_ends_after_its_time(served: Any, autojump_clock: MockClock) -> None:
    config = BridgeConfig(limits=Limits(keep_alive_seconds=15, close_seconds=3))
    async with served(GET, config) as client:
        await client.reply()
        started = trio.current_time()
        assert await client.at_end()
        assert trio.current_time() - started == pytest.approx(15)


async def test_a_head_that_trickles_in_does_not_extend_the_idle_time(served: Any, autojump_clock: MockClock) -> None:
    """A slow-loris client sends a byte now and then for ever."""
    async with served(GET, BridgeConfig(limits=Limits(keep_alive_seconds=15))) as client:
        await client.reply()
        started = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def trickle() -> None:
                while True:
                    await client.send(b"G")
                    await trio.sleep(1)

            nursery.start_soon(trickle)
            assert await client.at_end()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - started <= 16


async def test_a_request_that_takes_too_long_is_cut(served: Any, autojump_clock: MockClock) -> None:
    async with served(GET.replace(b"hello", b"waits"), BridgeConfig(limits=Limits(request_seconds=60))) as client:
        started = trio.current_time()
        assert await client.at_end()
        assert trio.current_time() - started == pytest.approx(60)


async def test_a_client_that_does_not_read_its_reply_is_cut(application: Any, autojump_clock: MockClock) -> None:
    """A write has a deadline too, and nothing shields it."""

    async def clogged(data: object = None) -> None:
        await trio.sleep_forever()

    send_side, receive_side = memory_stream_one_way_pair()
    send_side.send_all_hook = clogged
    _, request_side = memory_stream_one_way_pair()
    stream = trio.StapledStream(send_side, request_side)
    started = trio.current_time()
    await serve_http(application, stream, GET, config=BridgeConfig(limits=Limits(request_seconds=60)))
    assert trio.current_time() - started == pytest.approx(60)
    del receive_side


async def test_a_drain_answers_on_an_idle_connection_and_does_not_wait_for_it(served: Any) -> None:
    """A load balancer asks again and again over one connection: the answer that it should send nobody is one, too."""
    config = BridgeConfig()
    async with served(GET, config) as client:
        await client.reply()
        config.ending.begin()
        await config.ending.wait_released()
        await client.send(GET)
        await config.ending.wait_released()
        status, headers, _ = await client.reply()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.at_end()


async def test_a_drain_lets_a_running_request_finish_and_says_that_it_is_the_last(served: Any) -> None:
    config = BridgeConfig()
    async with served(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\na", config) as client:
        await trio.testing.wait_all_tasks_blocked()
        config.ending.begin()
        await trio.testing.wait_all_tasks_blocked()
        assert len(config.ending) == 1
        await client.send(b"b")
        status, headers, _ = await client.reply()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.at_end()
    await config.ending.wait_released()


async def test_cancelling_cuts_the_connection_and_leaves_no_task(application: Any) -> None:
    near, far = memory_stream_pair()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: serve_http(application, far, GET[:-2], config=BridgeConfig()))
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    with pytest.raises(trio.ClosedResourceError):
        await far.receive_some()
    await near.aclose()


async def test_a_connection_that_breaks_raises_nothing(application: Any) -> None:
    """Errors of one connection stay there."""
    near, far = memory_stream_pair()
    await near.aclose()
    await serve_http(application, far, GET, config=BridgeConfig())


async def test_a_connection_that_breaks_while_it_is_answered_raises_nothing(application: Any) -> None:
    """The reset comes with the write, as it does from a client that is gone."""

    async def broken() -> None:
        raise trio.BrokenResourceError

    send_side, _ = memory_stream_one_way_pair()
    send_side.send_all_hook = broken
    near, request_side = memory_stream_one_way_pair()
    await serve_http(application, trio.StapledStream(send_side, request_side), GET, config=BridgeConfig())
    with pytest.raises(trio.ClosedResourceError):
        await request_side.receive_some()
    await near.aclose()


async def test_a_body_that_turns_out_malformed_is_answered_400_and_the_application_is_told(http_client: Any) -> None:
    received: list[str] = []

    async def reads_on(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            received.append(message["type"])
        received.append(message["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: serve_http(reads_on, far, b"", config=BridgeConfig()))
        client = http_client(near)
        await client.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n")
        assert (await client.reply())[0] == 400
        assert await client.at_end()
        await near.aclose()
    assert received == ["http.request", "http.disconnect"]


async def test_an_application_that_reads_on_after_its_reply_is_told_that_it_is_over(http_client: Any) -> None:
    received: list[str] = []

    async def replies_then_reads(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        received.append((await receive())["type"])

    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: serve_http(replies_then_reads, far, GET, config=BridgeConfig()))
        assert (await http_client(near).reply())[0] == 200
        await near.aclose()
    assert received == ["http.disconnect"]


async def test_one_connection_too_many_is_told_so_and_the_others_notice_nothing(served: Any) -> None:
    """One bad client harms only itself."""
    config = BridgeConfig(limits=Limits(http_connections=1), ending=Ending(7))
    async with served(GET, config) as first:
        assert (await first.reply())[0] == 200
        async with served(GET, config) as second:
            status, headers, body = await second.reply()
            assert (status, headers["retry-after"], headers["connection"]) == (503, "7", "close")
            error = orjson.loads(body)["error"]
            assert (error["transient"], error["retry_after"]) == (True, 7.0)
            assert await second.at_end()
        await first.send(GET)
        assert (await first.reply())[0] == 200
    assert not config.open_connections
    async with served(GET, config) as third:
        assert (await third.reply())[0] == 200


pieces = st.sampled_from(
    [
        GET,
        b"POST / HTTP/1.1\r\nHost: t\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"hello",
        b"Expect: 100-continue\r\n",
        b"\x00",
    ]
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(chunks=st.lists(pieces | st.binary(max_size=20), max_size=12))
def test_whatever_is_sent_the_connection_ends_and_raises_nothing(application: Any, chunks: list[bytes]) -> None:
    """No input may leave a task, a stream or an exception behind."""

    async def converse() -> None:
        near, far = memory_stream_pair()
        with trio.fail_after(1000):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: serve_http(application, far, b"", config=BridgeConfig()))
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    for chunk in chunks:
                        await near.send_all(chunk or b"x")
                    await near.send_eof()
                    while await near.receive_some():
                        pass

    trio.run(converse, clock=MockClock(autojump_threshold=0))


async def test_a_real_socket_is_served(application: Any) -> None:
    """The reply survives though the client's body is never read: no reset overtakes it."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

        async def handle(stream: trio.SocketStream) -> None:
            await serve_http(application, stream, b"", config=BridgeConfig())

        nursery.start_soon(trio.serve_listeners, handle, listeners)
        port = listeners[0].socket.getsockname()[1]
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            await stream.send_all(b"POST /early HTTP/1.1\r\nHost: t\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000)
            received = b""
            while chunk := await stream.receive_some():
                received += chunk
        assert received.startswith(b"HTTP/1.1 200")
        assert received.endswith(b"]")
        nursery.cancel_scope.cancel()
