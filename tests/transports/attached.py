"""A client of a hub over trio-websocket and memory, and how the server's side of it ended."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
import trio_websocket
from trio.testing import memory_stream_pair
from trio_websocket import WebSocketConnection, wrap_client_stream, wrap_server_stream

from rtcore.hub.hub import Hub
from rtcore.transports.trio_websocket_adapter import attach

__all__ = ["Pipe", "connected"]


class Pipe:
    """A client's connection to a hub over memory, and how the server's side ended."""

    def __init__(self, client: WebSocketConnection, server_stream: trio.testing.MemorySendStream) -> None:
        self.client = client
        self.server_stream = server_stream
        self.scope = trio.CancelScope()
        self.ended = trio.Event()

    async def ask(self, type: str, data: object = None, **envelope: object) -> None:
        await self.client.send_message(json.dumps({"type": type, "data": data, **envelope}))

    async def next(self) -> dict[str, Any]:
        message = json.loads(await self.client.get_message())
        assert isinstance(message, dict)
        return message

    async def closed(self) -> int:
        """Read to the end; the close code."""
        with suppress(trio_websocket.ConnectionClosed):
            while True:
                await self.client.get_message()
        reason = self.client.closed
        assert reason is not None
        return int(reason.code)


@asynccontextmanager
async def connected(hub: Hub, **options: Any) -> AsyncIterator[Pipe]:
    """A client attached to a hub that runs."""
    client_stream, server_stream = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        pipe: list[Pipe] = []

        async def serve() -> None:
            request = await wrap_server_stream(nursery, server_stream)
            connection = await request.accept()
            with pipe[0].scope:
                await attach(hub, connection, **options)
            pipe[0].ended.set()

        pipe.append(Pipe(None, server_stream.send_stream))  # type: ignore[arg-type]  # the client follows at once
        nursery.start_soon(serve)
        pipe[0].client = await wrap_client_stream(nursery, client_stream, "localhost", "/")
        yield pipe[0]
        nursery.cancel_scope.cancel()
