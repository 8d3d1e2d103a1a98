"""A hub and a server without a network, on a clock that jumps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import define, field

from rtcore.application import ApplicationHub, open_hub
from rtcore.features.settings import FeatureSettings
from rtcore.hub.hub import Hub
from rtcore.server.hooks import ConnectionHooks
from rtcore.server.incoming import Incoming
from rtcore.server.profiles import EndpointHandler, MessageHandler
from rtcore.server.server import Server
from rtcore.server.settings import Settings
from rtcore.store.store import Store
from rtcore.testing.memory_stream import CloggedStream, clogged_stream_pair
from rtcore.testing.websocket_client import TestClient
from rtcore.values.channels import Namespace
from rtcore.values.limits import Limits

__all__ = ["START", "TestServer", "open_test_hub", "open_test_server", "virtual_clock"]

START: Final = 1_750_000_000.0
"""What `virtual_clock` says when it is made: 2025-06-15T15:06:40Z."""


def virtual_clock() -> Callable[[], float]:
    """A wall clock, in Unix seconds, that begins at `START` and goes as Trio's does: in jumps with `autojump_clock`."""
    began = trio.current_time()
    return lambda: START + trio.current_time() - began


@asynccontextmanager
async def open_test_hub(
    *,
    limits: Limits | None = None,
    namespaces: Mapping[str, Namespace] | None = None,
    features: FeatureSettings | None = None,
    store: Store | None = None,
) -> AsyncGenerator[ApplicationHub]:
    """`rtcore.open_hub` with a virtual wall clock: timestamps, ages and tokens follow Trio's clock."""
    async with open_hub(
        limits=limits, namespaces=namespaces, features=features, store=store, clock=virtual_clock()
    ) as hub:
        yield hub


@define(eq=False)
class TestServer:
    """A running server that clients reach over memory; `open_test_server` makes one."""

    __test__ = False  # pytest would take it for a class of tests

    server: Server
    ended: trio.Event = field(factory=trio.Event, init=False)
    """Set once the server's `run` is over: after `server.drain()`, and the last connection."""
    _clients: list[trio.abc.Stream] = field(factory=list, init=False)

    @property
    def hub(self) -> Hub:
        """What it serves."""
        return self.server.hub

    def open_stream(self, *, address: str = "127.0.0.1", port: int = 50000, secure: bool = False) -> CloggedStream:
        """
        A raw connection, not a byte sent: for HTTP, or a client of its own kind.

        Args:
            address: Whom the server takes the client for.
            port: The client's port.
            secure: Whether the server believes that it came over TLS.
        """
        client, served = clogged_stream_pair()
        self._clients.append(client)
        self.server.accept(Incoming(stream=served, client=(address, port), server=("127.0.0.1", 80), secure=secure))
        return client

    async def connect(
        self,
        path: str = "/ws",
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        subprotocols: Sequence[str] = ("rtcore.v1",),
        compression: bool | str = False,
        address: str = "127.0.0.1",
    ) -> TestClient:
        """
        A client after its handshake, the greeting taken.

        Args:
            path: Which endpoint.
            token: Sent in the `Authorization` header.
            headers: More headers of the handshake.
            subprotocols: What is offered.
            compression: Whether permessage-deflate is offered; text: the offer itself.
            address: Whom the server takes the client for.

        Raises:
            HandshakeRefused: With status, headers and body of the refusal.
        """
        client = TestClient(self.open_stream(address=address))
        more = dict(headers or {}) if token is None else {"Authorization": f"Bearer {token}", **(headers or {})}
        await client.handshake(path, headers=more, subprotocols=subprotocols, compression=compression)
        return client

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until drained or cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(_run, self.server, self.ended)
            task_status.started()

    async def hang_up(self) -> None:
        """Cut every client, so that the server need not wait for one to answer its close frame."""
        for stream in self._clients:
            await trio.aclose_forcefully(stream)


async def _run(server: Server, ended: trio.Event, *, task_status: trio.TaskStatus[Server]) -> None:
    await server.run(listen=False, task_status=task_status)
    ended.set()


@asynccontextmanager
async def open_test_server(
    settings: Settings | None = None,
    *,
    hub: Hub | None = None,
    hooks: ConnectionHooks | None = None,
    endpoints: Mapping[str, EndpointHandler | MessageHandler] | None = None,
) -> AsyncGenerator[TestServer]:
    """
    A server that listens nowhere; what `connect` and `open_stream` open goes through the code that serves sockets.

    Leaving the block cuts the clients and cancels the server; drain it in the block to see how it says good-bye.

    Args:
        settings: What the server is told; host and port do nothing.
        hub: A running hub; by default one is opened, with the settings' limits, namespaces and features.
        hooks: As for `rtcore.serve`.
        endpoints: As for `rtcore.serve`.
    """
    settings = settings or Settings()
    async with _hub_or_new(hub, settings) as served, trio.open_nursery() as nursery:
        there = TestServer(Server(served, settings, hooks=hooks, endpoints=endpoints))
        await nursery.start(there.run)
        try:
            yield there
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await there.hang_up()
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def _hub_or_new(hub: Hub | None, settings: Settings) -> AsyncGenerator[Hub]:
    if hub is not None:
        yield hub
        return
    async with open_test_hub(
        limits=settings.limits, namespaces=settings.namespaces, features=settings.features
    ) as opened:
        yield opened
