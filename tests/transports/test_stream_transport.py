"""What only a connection over a stream has: a task that sends, for as long as something waits."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from attrs import define

from rtcore.server.incoming import Incoming
from rtcore.testing import CloggedStream, TestClient, TestServer, clogged_stream_pair, open_test_server
from rtcore.values.limits import Limits

LIMITS = Limits()


@define(eq=False)
class FaultyStream(trio.abc.Stream):
    """A stream whose `send_all` fails, once it is told to, as no stream should."""

    stream: CloggedStream
    faulty: bool = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.faulty:
            raise RuntimeError("a secret of ours")
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self.stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.stream.aclose()


async def subscribe(server: TestServer) -> tuple[TestClient, FaultyStream]:
    theirs, ours = clogged_stream_pair()
    faulty = FaultyStream(ours)
    server.server.accept(Incoming(stream=faulty))
    client = TestClient(theirs)
    await client.handshake()
    await client.request("subscribe", {"channels": ["tasks"]})
    await trio.testing.wait_all_tasks_blocked()
    return client, faulty


async def test_a_stream_that_fails_to_send_ends_its_connection_alone(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The task that sends is the connections' child, as theirs are: what it raises must not end them all."""
    async with open_test_server() as server:
        good, _ = await subscribe(server)
        tasks = trio.lowlevel.current_statistics().tasks_living
        _, faulty = await subscribe(server)
        assert trio.lowlevel.current_statistics().tasks_living == tasks + 1, "idle, a connection is one task"
        faulty.faulty = True
        server.hub.publish("tasks", "x", 1)
        assert (await good.expect("x"))["data"] == 1
        await trio.sleep(LIMITS.close_seconds)
        await trio.testing.wait_all_tasks_blocked()
        assert server.server.pool.statistics().active == 1
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        server.hub.publish("tasks", "x", 2)
        assert (await good.expect("x"))["data"] == 2
    assert "a secret of ours" in caplog.text


async def test_the_task_that_sends_ends_with_its_connection(autojump_clock: trio.testing.MockClock) -> None:
    """It waits for room that never comes, and is no task of the connection's own."""
    async with open_test_server() as server:
        await trio.testing.wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        client, _ = await subscribe(server)
        assert isinstance(client.stream, CloggedStream)
        client.stream.clog()
        server.hub.publish("tasks", "x", 1)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks + 2, "what reads, and what sends"
        await trio.sleep(LIMITS.slow_consumer_seconds + LIMITS.close_seconds)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
