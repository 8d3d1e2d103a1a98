"""The client and the real server, over real sockets."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
import trio

from rtcore.application import ApplicationHub, open_hub
from rtcore.client import Client, DroppedNotice, RecoveryNotice, connect
from rtcore.errors import AuthenticationError, ErrorCode, RequestError
from rtcore.server.server import Server
from rtcore.server.settings import AuthenticationSettings, KeySettings, Settings
from rtcore.values.limits import Limits
from rtcore.values.positions import LastEvents

SECRET = "0123456789abcdef0123456789abcdef"


@asynccontextmanager
async def serving(hub: ApplicationHub, **settings: Any) -> AsyncGenerator[Server]:
    """A server on the hub; ended at once when the block is left. The deadline is against standstill only."""
    options = {"port": 0, "drain_jitter_seconds": 0.0, "retry_after_seconds": 0.0, **settings}
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            server = Server(hub, Settings(**options))
            await nursery.start(server.run)
            yield server
            nursery.cancel_scope.cancel()


async def test_client_and_server_understand_each_other() -> None:
    async with open_hub() as hub, serving(hub) as server, connect(server.url) as client:
        hub.publish("tasks", "task.status", {"n": 0})
        async with client.subscribe("tasks", where={"n": {"gte": 0}}, since=LastEvents(5), batch=True) as events:
            assert events.started["tasks"].replayed == 1
            outcome = await client.publish("tasks", "task.status", {"n": 1}, key="k")
            assert (outcome.offset, outcome.matched) == (2, 1)
            await client.publish("tasks", "task.status", {"n": -1})
            assert [(await events.receive()).data for _ in range(2)] == [{"n": 0}, {"n": 1}]
            await events.set_filters({"n": 3})
            for number in (2, 3):
                await client.publish("tasks", "task.status", {"n": number})
            assert (await events.receive()).data == {"n": 3}
        page = await client.request("history", {"channel": "tasks"})
        assert len(page["events"]) == 5
        with pytest.raises(RequestError) as caught:
            await client.request("nonsense", {})
        assert caught.value.code is ErrorCode.UNKNOWN_TYPE


async def test_connection_that_the_server_ends_is_resumed_without_loss() -> None:
    async with open_hub() as hub, serving(hub) as server:
        port = server.port
        async with connect(server.url) as client, client.subscribe("tasks") as events:
            hub.publish("tasks", "task.status", 1)
            assert (await events.receive()).data == 1
            server.drain()
            await until_away(client)
            await server.wait_ended()
            hub.publish("tasks", "task.status", 2)
            async with serving(hub, port=port):
                notice = await events.receive()
                assert isinstance(notice, RecoveryNotice)
                assert (notice.recovered, notice.replayed) == (True, 1)
                assert (await events.receive()).data == 2
                hub.publish("tasks", "task.status", 3)
                assert (await events.receive()).data == 3


async def test_restarted_server_is_told_from_a_lost_connection() -> None:
    async with (
        open_hub() as first,
        serving(first) as server,
        connect(server.url) as client,
        client.subscribe("tasks") as events,
    ):
        first.publish("tasks", "task.status", 1)
        assert (await events.receive()).data == 1
        server.drain()
        await until_away(client)
        await server.wait_ended()
        async with open_hub() as second, serving(second, port=server.port):
            notice = await events.receive()
            assert isinstance(notice, RecoveryNotice)
            assert (notice.recovered, notice.restarted) == (False, True)
            second.publish("tasks", "task.status", 2)
            assert (await events.receive()).data == 2


async def until_away(client: Client) -> None:
    while client.statistics().connection_id:
        await trio.lowlevel.checkpoint()


async def test_every_event_of_a_flood_arrives_or_is_named_as_dropped_and_repair_brings_it_back() -> None:
    count = 400
    async with (
        open_hub(limits=Limits(lag_events=10, history_events=1000)) as hub,
        serving(hub) as server,
        connect(server.url) as client,
        client.subscribe("tools", repair=True) as events,
    ):
        for number in range(count):  # no checkpoint: the subscriber cannot keep up
            hub.publish("tools", "tool.output", number)
        seen: set[Any] = set()
        while len(seen) < count:
            event = await events.receive()
            assert not isinstance(event, DroppedNotice), str(event)
            assert event.data not in seen
            seen.add(event.data)
        assert seen == set(range(count))


async def test_token_is_sent_and_refused_ones_are_raised() -> None:
    authentication = AuthenticationSettings(keys={"main": KeySettings(algorithm="HS256", secret=SECRET)})
    claims = {"sub": "ann", "roles": ["publisher"], "exp": time.time() + 60}
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    async with open_hub() as hub, serving(hub, authentication=authentication) as server:
        async with connect(server.url, token=lambda: token) as client:
            assert (await client.publish("tasks", "task.status", 1)).offset == 1
        for wrong in (token[:-4] + "AAAA", "nonsense", None):
            async with connect(server.url, token=wrong) as client:
                with pytest.raises(AuthenticationError):
                    await client.publish("tasks", "task.status", 1)


async def test_many_publishers_stay_under_the_servers_rate_limit() -> None:
    limits = Limits(messages_per_second=200, message_burst=20, violations=1)
    async with open_hub(limits=limits) as hub, serving(hub, limits=limits) as server:
        async with connect(server.url) as client, trio.open_nursery() as nursery:
            for number in range(60):
                nursery.start_soon(client.publish, "tasks", "task.status", number)
        assert hub.publish("tasks", "task.status", None).offset == 61


async def test_channel_can_be_left_and_subscribed_to_again() -> None:
    """The answer to the client's own `unsubscribe` is not the server ending the next subscription."""
    async with open_hub() as hub, serving(hub) as server, connect(server.url) as client:
        for number in range(3):
            async with client.subscribe("orders") as events:
                hub.publish("orders", "order", number)
                assert (await events.receive()).data == number
