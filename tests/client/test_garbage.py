"""A server that answers nonsense, or is none: the client says so and tries again; nothing comes out of its nursery."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from rtcore.client import connect


def connecting(server: Any) -> Any:
    return connect("ws://server/ws", open_stream=server.open_stream)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("batch", {"events": [7]}),
        ("batch", {"events": [None, "event"]}),
        ("dropped", {"channel": "c", "types": {}, "ranges": ["1-2"], "count": 1, "position": "e-1"}),
        ("dropped", {"channel": "c", "types": {}, "ranges": [{"lane": ["low"]}], "count": 1, "position": "e-1"}),
    ],
)
async def test_entry_of_a_list_that_is_no_good_ends_the_connection_only(
    server: Any, autojump_clock: Any, kind: str, data: dict[str, Any]
) -> None:
    """A fault of the server's, or of a proxy before it, must not come out of the program's own nursery."""
    async with connecting(server) as client:
        peer = await server.accept()
        await client.wait_connected()
        await peer.send(kind, data)
        await server.accept()
        await client.wait_connected()


async def test_channel_that_is_no_text_is_passed_over(server: Any, autojump_clock: Any) -> None:
    """What ends is looked up by name; a list is no name, and cannot even be looked up."""
    async with connecting(server) as client:
        peer = await server.accept()
        await client.wait_connected()
        await peer.send("unsubscribed", {"channels": [["c"], None], "reason": "access.denied"})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.publish, "tasks", "task.status")
            await peer.published()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"\x15\x03\x03\x00\x02\x02\x28", id="TLS"),
        pytest.param(b"220 mail.example ESMTP\r\n\r\n", id="SMTP"),
        pytest.param(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n", id="bad body"),
        pytest.param(b"x" * 200_000, id="no end"),
    ],
)
async def test_answer_that_is_no_websocket_is_a_failed_attempt(server: Any, autojump_clock: Any, answer: bytes) -> None:
    """Something else listens there, or a proxy is in trouble: the client says so and tries again."""
    server.garbage = [answer]
    async with connecting(server) as client:
        await server.accept()
        await client.wait_connected()
        assert "speaks no WebSocket" in client.statistics().last_ending
