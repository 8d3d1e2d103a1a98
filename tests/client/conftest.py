"""A server that does what the test says, over memory streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import trio
import trio.testing
import trio_websocket
from attrs import define, field

TIME = "2025-01-15T12:00:00.123Z"


@define(eq=False)
class Peer:
    """The server's end of one connection."""

    websocket: trio_websocket.WebSocketConnection
    stream: trio.abc.Stream
    over: trio.Event = field(factory=trio.Event)

    async def send(self, kind: str, data: Any, **fields: Any) -> None:
        await self.websocket.send_message(
            orjson.dumps({"type": kind, "data": data, "timestamp": TIME, **fields}).decode()
        )

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = orjson.loads(await self.websocket.get_message())
        return message

    async def expect(self, kind: str) -> dict[str, Any]:
        message = await self.receive()
        assert message["type"] == kind, message
        return message

    async def welcome(self, authentication: str = "none", **data: Any) -> None:
        await self.send(
            "welcome", {"connection_id": "c1", "protocol": "rtcore.v1", "authentication": authentication, **data}
        )

    async def event(self, offset: int, *, epoch: str = "e", channel: str = "tasks", kind: str = "task.status") -> None:
        await self.send(kind, {"n": offset}, channel=channel, offset=offset, position=f"{epoch}-{offset}")

    async def subscribed(
        self, position: str, recovered: bool | None = None, replayed: int = 0, **state: Any
    ) -> dict[str, Any]:
        """Answer a `subscribe`, the same for each of its channels; returns its data."""
        request = await self.expect("subscribe")
        entry = {"position": position, "recovered": recovered, "replayed": replayed, **state}
        await self.send("subscribed", {"channels": dict.fromkeys(request["data"]["channels"], entry)}, id=request["id"])
        data: dict[str, Any] = request["data"]
        return data

    async def published(self) -> dict[str, Any]:
        """Answer a `publish`; returns its data."""
        request = await self.expect("publish")
        counts = {"matched": 1, "sent": 1, "queued": 0, "dropped": 0}
        data: dict[str, Any] = request["data"]
        await self.send(
            "published", {"channel": data["channel"], "offset": 7, "position": "e-7", **counts}, id=request["id"]
        )
        return data

    async def fail(self, request: dict[str, Any], code: str, *, transient: bool = False, **more: Any) -> None:
        data = {"code": code, "message": "no", "transient": transient, **more}
        await self.send("error", data, id=request["id"])

    async def close(self, code: int, reason: str = "") -> None:
        await self.websocket.aclose(code, reason)
        self.over.set()

    async def cut(self) -> None:
        await trio.aclose_forcefully(self.stream)
        self.over.set()


class FakeServer:
    """Gives the test each connection that the client opens."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.refusals: list[tuple[int, list[tuple[bytes, bytes]]]] = []
        """HTTP refusals of the next attempts."""
        self.body = b"no"
        """What refusals have as their body."""
        self.garbage: list[bytes] = []
        """What the next attempts are answered with instead, before the connection ends."""
        self.down = False
        self.attempts: list[float] = []
        """When the client dialled, in seconds of Trio's clock."""
        self._put, self._get = trio.open_memory_channel[Peer](100)

    async def open_stream(self) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.attempts.append(trio.current_time())
        if self.down:
            raise ConnectionRefusedError("connection refused")
        client, server = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self._serve, server)
        return client

    async def accept(self, authentication: str = "none", **welcome: Any) -> Peer:
        peer = await self._get.receive()
        await peer.welcome(authentication, **welcome)
        return peer

    async def accept_silently(self) -> Peer:
        return await self._get.receive()

    async def _serve(self, stream: trio.abc.Stream) -> None:
        if self.garbage:
            await stream.receive_some()
            await stream.send_all(self.garbage.pop(0))
            await stream.aclose()
            return
        async with trio.open_nursery() as nursery:
            request = await trio_websocket.wrap_server_stream(nursery, stream)  # type: ignore[arg-type]  # any stream works
            if self.refusals:
                status, headers = self.refusals.pop(0)
                await request.reject(status, extra_headers=headers, body=self.body)
            else:
                peer = Peer(await request.accept(subprotocol="rtcore.v1"), stream)
                self._put.send_nowait(peer)
                await peer.over.wait()
            nursery.cancel_scope.cancel()


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    """A scripted server; the test names `autojump_clock` itself, or pytest-trio would run it in real time."""
    async with trio.open_nursery() as nursery:
        yield FakeServer(nursery)
        nursery.cancel_scope.cancel()
