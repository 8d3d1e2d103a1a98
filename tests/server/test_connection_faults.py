"""A fault of the server's own with one connection."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import rtcore

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def answer(port: int) -> bytes:
    """What one request over a real socket is answered."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(HEALTH)
        return b"".join([data async for data in stream])


async def test_fault_while_http_is_served_ends_that_connection_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its task has siblings in the same nursery, which an exception would end, and the server with them."""

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
        server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=0))
        with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
            patch.setattr("rtcore.server.connections.serve_http", fail)
            assert await answer(server.port) == b""
            await wait_all_tasks_blocked()  # its socket is closed before it is told
        assert "a fault of ours" in caplog.text
        assert server.statistics().errors == 1
        assert (await answer(server.port)).startswith(b"HTTP/1.1 200")
        nursery.cancel_scope.cancel()
