"""A workspace has so many queues; one that holds nothing makes room for another, and nobody is left with a dead one."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.features.delivery_queue.backlog import WRITE_SECONDS
from rtcore.features.delivery_queue.queue_store import QueueName
from rtcore.testing import TestClient, mask_frame, open_test_hub, open_test_server
from tests.features.delivery_queue.talking import ALL, ask, refusal

TEXT = 1
"""Opcode of a text message. Source: RFC 6455, section 5.2."""


async def send_together(client: TestClient, *commands: tuple[str, dict[str, Any]]) -> None:
    """Send commands so that they arrive, and are begun, in the same moment; the id of each is its number."""
    messages = [{"type": type, "id": number, "data": data} for number, (type, data) in enumerate(commands)]
    await client.send_raw(b"".join(mask_frame(TEXT, json.dumps(message).encode()) for message in messages))


async def done(hub: Any, name: str, key: str) -> None:
    """A queue of a client's has done a job, and holds nothing but its key."""
    queue = hub.queues.find_or_make(QueueName("default", name))
    await queue.put(1, key=key)
    async with queue.consume() as jobs:
        await (await jobs.__anext__()).ack()


def names(hub: Any) -> list[str]:
    return [queue.name for queue in hub.queues.all()]


async def test_queue_whose_keys_are_too_old_makes_room(of: Any, autojump_clock: Any) -> None:
    """Also where nothing was done in it since, and they leave the store."""
    async with open_test_hub(features=of(queues=2, key_seconds=100.0)) as hub:
        await done(hub, "a", "k")
        await trio.sleep(50)
        await done(hub, "b", "k")
        with pytest.raises(rtcore.RequestError, match="queues=2"):
            hub.queues.open("c")
        await trio.sleep(50)
        hub.queues.open("c")
        assert names(hub) == ["b", "c"]
        await trio.sleep(WRITE_SECONDS + 0.1)
        assert [key for key, _ in await hub.store.read("queue_keys")] == ["default/b/k"]


async def test_queue_that_comes_back_at_once_loses_no_key_to_what_it_forgot(of: Any, autojump_clock: Any) -> None:
    """What it forgot is not written yet; by then the key is that of another job that was done."""
    async with open_test_hub(features=of(queues=1, key_seconds=10.0)) as hub:
        await done(hub, "a", "k")
        await trio.sleep(10)
        hub.queues.find_or_make(QueueName("default", "b"))
        await done(hub, "a", "k")
        await trio.sleep(2 * WRITE_SECONDS)
        assert [key for key, _ in await hub.store.read("queue_keys")] == ["default/a/k"]


async def test_queue_that_made_room_is_used_under_its_old_handle(of: Any, autojump_clock: Any) -> None:
    """By itself, or as the one that has its name by then: what was accepted is where everybody looks for it."""
    async with open_test_hub(features=of(queues=1)) as hub:
        old = hub.queues.find_or_make(QueueName("default", "a"))
        hub.queues.find_or_make(QueueName("default", "b"))
        assert names(hub) == ["b"]
        await old.put(1)
        assert names(hub) == ["a"]
        async with old.consume() as jobs:
            await (await jobs.__anext__()).ack()
        hub.queues.find_or_make(QueueName("default", "b"))
        await trio.sleep(WRITE_SECONDS)
        hub.queues.find_or_make(QueueName("default", "c"))
        new = hub.queues.find_or_make(QueueName("default", "a"))
        assert new is not old
        await old.put(2, key="k")
        assert (await new.put(2, key="k")).duplicate
        await old.pause()
        assert new.statistics().paused
        hub.queues.open("a")
        with pytest.raises(rtcore.RequestError, match="queues=1"):
            hub.queues.find_or_make(QueueName("default", "b"))


async def test_queue_that_somebody_is_at_makes_no_room(of: Any, fragile: Any, autojump_clock: Any) -> None:
    """Though it holds nothing just now: whoever takes jobs, waits, puts or pauses would be left behind."""
    async with open_test_hub(store=fragile, features=of(queues=1)) as hub:

        async def fail(action: Any) -> None:
            with pytest.raises(rtcore.RequestError, match="could not be written"):
                await action()

        def is_kept() -> bool:
            try:
                hub.queues.find_or_make(QueueName("default", "b"))
            except rtcore.RequestError:
                return True
            return False

        queue = hub.queues.find_or_make(QueueName("default", "a"))
        async with queue.consume():
            assert is_kept()
        for action in (lambda: queue.put(1), queue.pause):
            fragile.failing, fragile.seconds = 1, 1.0
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail, action)
                await trio.testing.wait_all_tasks_blocked()
                assert is_kept()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: queue.work(print))
            await trio.testing.wait_all_tasks_blocked()
            assert is_kept()
            nursery.cancel_scope.cancel()
        assert not is_kept()


async def test_put_that_waits_for_another_of_its_key_is_in_the_queue_that_is_there(
    of: Any, fragile: Any, autojump_clock: Any
) -> None:
    """The first failed, and for a moment nothing but the wait of the second holds the queue."""
    async with open_test_hub(store=fragile, features=of(queues=1)) as hub:
        queue = hub.queues.find_or_make(QueueName("default", "a"))

        async def put_first() -> None:
            with pytest.raises(rtcore.RequestError, match="could not be written"):
                await queue.put(1, key="k")
            with pytest.raises(rtcore.RequestError, match="queues=1"):
                hub.queues.find_or_make(QueueName("default", "b"))

        fragile.failing, fragile.seconds = 1, 1.0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(put_first)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(lambda: queue.put(2, key="k"))
        assert hub.queues.find_or_make(QueueName("default", "a")).statistics().waiting == 1


async def test_lease_that_was_admitted_holds_its_queue(of: Any, autojump_clock: Any) -> None:
    """Though it begins to wait only after the next command, which would have another queue made in its place."""
    async with open_test_hub(features=of(queues=1)) as hub, open_test_server(ALL, hub=hub) as server:
        client = await server.connect()
        wanted = {"wait": 60}
        await send_together(client, ("queue.lease", {"queue": "a"} | wanted), ("queue.lease", {"queue": "b"} | wanted))
        assert "queues=1" in (await client.expect("error"))["data"]["message"]
        await ask(await server.connect(), "queue.put", queue="a", data=1)
        answer = await client.expect("queue.leased")
        assert [job["data"] for job in answer["data"]["jobs"]] == [1]


async def test_leases_that_come_together_are_no_more_than_a_connection_may_have(of: Any, autojump_clock: Any) -> None:
    async with open_test_hub(features=of(leases=2)) as hub, open_test_server(ALL, hub=hub) as server:
        client = await server.connect()
        await send_together(client, *[("queue.lease", {"queue": "a", "wait": 1})] * 5)
        errors = [(await client.expect("error"))["data"] for _ in range(3)]
        words = "this connection has 0 jobs, and waits for 2 more: leases=2"
        assert [(error["code"], error["message"]) for error in errors] == [("limit.busy", words)] * 3
        for _ in range(2):
            assert (await client.expect("queue.leased"))["data"]["jobs"] == []
        assert await ask(client, "queue.lease", queue="a") == {"queue": "a", "jobs": []}


async def test_lease_that_is_refused_at_the_end_holds_nothing(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(ALL, hub=hub) as server:
        client = await server.connect()
        hub.queues._nursery = None  # as while the feature ends
        assert (await refusal(client, "queue.lease", {"queue": "a"}))[0] == "server.unavailable"
        (consumer,) = hub.queues._consumers.values()
        assert not consumer.scopes
        assert hub.queues.find_or_make(QueueName("default", "a")).own.look_idle()


async def test_queue_that_comes_back_when_the_hub_has_ended_takes_no_jobs(of: Any, autojump_clock: Any) -> None:
    async with open_test_hub(features=of(queues=1)) as hub:
        old = hub.queues.find_or_make(QueueName("default", "a"))
        hub.queues.find_or_make(QueueName("default", "b"))
    with pytest.raises(rtcore.HubClosed):
        await old.put(1)
