"""Messages and their replies over lost connections, against a scripted server in virtual time."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from rtcore.client import ClientSettings, connect
from rtcore.errors import (
    ErrorCode,
    RequestError,
)

URL = "ws://server/ws"


def connecting(server: Any, **options: Any) -> Any:
    return connect(URL, open_stream=server.open_stream, **options)


async def test_full_queue_blocks_and_cancelling_takes_the_message_back(server: Any, autojump_clock: Any) -> None:
    server.down = True
    settings = ClientSettings(queue_messages=2)
    async with connecting(server, settings=settings) as client, trio.open_nursery() as nursery:
        for kind in ("a", "b"):
            nursery.start_soon(client.publish, "tasks", kind)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(1) as scope:
            await client.publish("tasks", "c")
        assert scope.cancelled_caught
        assert client.statistics().pending == 2
        server.down = False
        peer = await server.accept()
        assert {(await peer.published())["type"] for _ in range(2)} == {"a", "b"}
    assert client.statistics().pending == 0


async def test_transient_errors_without_end_are_raised(server: Any, autojump_clock: Any) -> None:
    settings = ClientSettings(request_attempts=2)
    async with connecting(server, settings=settings) as client, trio.open_nursery() as nursery:
        peer = await server.accept()

        async def refuse() -> None:
            for _ in range(2):
                await peer.fail(await peer.expect("publish"), "limit.busy", transient=True)

        nursery.start_soon(refuse)
        with pytest.raises(RequestError) as caught:
            await client.publish("tasks", "a")
        assert caught.value.code is ErrorCode.BUSY


async def test_request_has_a_deadline_that_counts_the_time_away(server: Any, autojump_clock: Any) -> None:
    server.down = True
    async with connecting(server) as client:
        with pytest.raises(RequestError) as caught:
            await client.request("history", {"channel": "tasks"}, timeout_seconds=3)
        assert caught.value.code is ErrorCode.TIMEOUT


async def test_message_over_the_servers_limit_is_refused_before_it_ends_the_connection(
    server: Any, autojump_clock: Any
) -> None:
    async with connecting(server) as client:
        await server.accept(limits={"message_bytes": 1000})
        await client.wait_connected()
        with pytest.raises(RequestError) as caught:
            await client.publish("tasks", "a", "x" * 1000)
        assert caught.value.code is ErrorCode.TOO_LARGE


async def test_requests_keep_under_the_servers_rate_limit(server: Any, autojump_clock: Any) -> None:
    settings = ClientSettings(queue_messages=30)
    async with connecting(server, settings=settings) as client, trio.open_nursery() as nursery:
        peer = await server.accept(limits={"messages_per_second": 10, "message_burst": 10})
        begin = trio.current_time()
        for _ in range(27):
            nursery.start_soon(client.publish, "tasks", "a")
        for _ in range(27):
            await peer.published()
        assert trio.current_time() - begin >= 1.9  # 9 at once, the other 18 at 9 a second


async def test_refusal_that_names_no_request_is_taken_for_the_oldest(server: Any, autojump_clock: Any) -> None:
    """Over its rate limit a server does not read the message, and so cannot name it."""
    async with connecting(server) as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.publish, "tasks", "a")
        peer = await server.accept()
        await peer.expect("publish")
        await peer.send("error", {"code": "limit.rate", "message": "no", "transient": True, "retry_after": 1})
        await peer.published()


async def test_data_that_json_cannot_carry_is_refused_before_it_is_sent(server: Any, autojump_clock: Any) -> None:
    async with connecting(server) as client:
        for data in (float("nan"), object()):
            with pytest.raises(RequestError) as caught:
                await client.publish("tasks", "a", data)
            assert caught.value.code is ErrorCode.MALFORMED
