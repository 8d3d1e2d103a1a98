"""What the tests of whole servers share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import pytest
import trio

import rtcore
from rtcore.testing import TestClient, TestServer
from tests.driver_server import OpenServer


@asynccontextmanager
async def beside(
    open_server: OpenServer, settings: rtcore.Settings, *, token: str | None = None
) -> AsyncIterator[TestServer]:
    """A server with a client that gets its event and its answer at once: before, every second meanwhile, and after."""
    async with open_server(settings) as server:
        good = await server.connect(token=token, address="192.0.2.99")
        await good.request("subscribe", {"channels": ["tasks"]})
        done = trio.Event()

        async def keep_checking() -> None:
            while not done.is_set():
                await check(server, good)
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_checking)
            yield server
            done.set()
        await check(server, good)


async def check(server: TestServer, good: TestClient) -> None:
    now = trio.current_time()
    server.hub.publish("tasks", "x", {"at": now})
    assert (await good.expect("x"))["data"] == {"at": now}
    assert (await good.request("heartbeat"))["type"] == "heartbeat"
    assert trio.current_time() == now


@pytest.fixture
def beside_a_good_client(open_server: OpenServer) -> Callable[..., AbstractAsyncContextManager[TestServer]]:
    """Opens a server of each kind whose good client notices nothing of what a test does; see `beside`."""
    return partial(beside, open_server)
