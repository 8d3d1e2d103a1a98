"""Attempts that fail by themselves: counted, told with the reason, written before they are told, and kept."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.store.memory_store import MemoryStore
from rtcore.store.store import Put
from rtcore.testing import open_test_hub, open_test_server

ALL = rtcore.Settings(anonymous_roles=frozenset({"publisher", "worker", "admin"}))


async def lease_over_a_connection(hub: Any, *, count: int = 1, seconds: float | None = None) -> None:
    """Have a client lease jobs and go away: after so long, or at once."""
    async with open_test_server(ALL, hub=hub) as server:
        client = await server.connect()
        wanted = {"queue": "emails", "count": count} | ({} if seconds is None else {"seconds": seconds})
        assert len((await client.request("queue.lease", wanted))["data"]["jobs"]) == count
        if seconds is not None:
            await trio.sleep(seconds + 0.1)
        await client.aclose()
        await trio.testing.wait_all_tasks_blocked()


@pytest.mark.parametrize(("seconds", "reason"), [(10.0, "it took too long"), (None, "its consumer went away")])
async def test_dead_letter_is_the_same_after_a_restart(seconds: float | None, reason: str, autojump_clock: Any) -> None:
    """Its reason and its time are those that were told, whatever happens to the process in the next moment."""
    store, other = MemoryStore(), MemoryStore()
    async with open_test_hub(store=store) as hub:
        queue = hub.queues.open("emails")
        await queue.put(1, max_attempts=1)
        await lease_over_a_connection(hub, seconds=seconds)
        before = queue.dead()
        assert [(dead.reason, dead.attempts) for dead in before] == [(reason, 1)]
        for collection in ("queue_jobs", "queue_progress"):  # as kill -9 would leave it
            await other.write([Put(collection, *each) for each in await store.read(collection)])
    for kept in (store, other):
        await trio.sleep(100)
        async with open_test_hub(store=kept) as hub:
            assert hub.queues.open("emails").dead() == before


@pytest.mark.parametrize(("seconds", "reason"), [(10.0, "it took too long"), (None, "its consumer went away")])
async def test_attempt_that_fails_by_itself_is_counted_and_told(
    seconds: float | None, reason: str, autojump_clock: Any
) -> None:
    store = MemoryStore()
    async with open_test_hub(store=store) as hub, hub.subscribe("queues:default") as events:
        queue = hub.queues.open("emails")
        await queue.put(1)
        await lease_over_a_connection(hub, seconds=seconds)
        event = await events.__anext__()
        told = {name: event.data[name] for name in ("reason", "attempt", "retry_after", "count", "failed", "waiting")}
        assert (event.type, told) == (
            "queue.job_failed",
            {"reason": reason, "attempt": 1, "retry_after": 0.0, "count": 1, "failed": 1, "waiting": 1},
        )
        ((_, progress),) = await store.read("queue_progress")
        assert (progress["attempts"], progress["reason"]) == (1, reason)


async def test_death_is_told_only_when_it_is_written(fragile: Any, autojump_clock: Any) -> None:
    """Until then nobody else has the job; and it is written as soon as the store lets it."""
    async with open_test_hub(store=fragile) as hub, hub.subscribe("queues:default") as events:
        queue = hub.queues.open("emails")
        await queue.put(1, max_attempts=1)
        async with queue.consume(seconds=10) as jobs:
            job = await jobs.__anext__()
            fragile.failing = 3
            began = trio.current_time()
            await trio.sleep(10.5)
            with pytest.raises(rtcore.RequestError, match="is being settled already"):
                await job.ack()
            assert (queue.statistics().leased, queue.dead()) == (1, [])
            assert (await events.__anext__()).type == "queue.job_dead"
            assert trio.current_time() - began == pytest.approx(13), "it failed thrice, and is tried once a second"
            assert (queue.statistics().leased, len(queue.dead())) == (0, 1)


async def test_what_no_other_write_takes_along_is_written_by_itself(of: Any, autojump_clock: Any) -> None:
    """A key that was forgotten leaves the store within a second, though nothing else happens."""
    store = MemoryStore()
    async with open_test_hub(store=store, features=of(keys=1)) as hub:
        queue = hub.queues.open("emails")
        await queue.put_many([{"data": 1, "key": "a"}, {"data": 2, "key": "b"}])
        async with queue.consume() as jobs:
            for job in await jobs.take(2):
                await job.ack()
        await trio.sleep(1.1)
        assert [key for key, _ in await store.read("queue_keys")] == ["default/emails/b"]
        await trio.sleep(1000)
        assert hub.statistics().timers == 0


async def test_what_went_with_a_write_that_failed_is_not_lost(of: Any, fragile: Any, autojump_clock: Any) -> None:
    async with open_test_hub(store=fragile, features=of(keys=0)) as hub:
        queue = hub.queues.open("emails")
        await queue.put(1)
        await queue.put(2)
        fragile.failing = 2  # the first hand-out, and then what would take it back
        async with queue.consume(leases=1) as jobs:
            with pytest.raises(rtcore.RequestError, match="could not be written"):
                await jobs.__anext__()
            with pytest.raises(rtcore.RequestError, match="could not be written"):
                await queue.put(3)
        await trio.sleep(1.1)
        assert [document["attempts"] for _, document in await fragile.read("queue_progress")] == [0]


async def test_key_that_is_used_again_is_not_forgotten_by_an_old_write(
    of: Any, fragile: Any, autojump_clock: Any
) -> None:
    """What is late is looked up when it is written: by then the key may be that of another job that was done."""
    async with open_test_hub(store=fragile, features=of(key_seconds=5.0)) as hub:
        queue = hub.queues.open("emails")
        async with queue.consume() as jobs:
            for key, wait in (("a", 6), ("b", 0)):
                await queue.put(1, key=key)
                await (await jobs.__anext__()).ack()
                await trio.sleep(wait)
            fragile.failing, fragile.seconds = 1, 2.0  # the write that forgets the first begins after 1 s
            await trio.sleep(1.5)
            await queue.put(1, key="a")
            await (await jobs.__anext__()).ack()
            await trio.sleep(3)
        assert [key for key, _ in await fragile.read("queue_keys")] == ["default/emails/a", "default/emails/b"]


async def test_failure_that_the_store_refuses_until_the_end_is_written_at_the_end(
    fragile: Any, autojump_clock: Any
) -> None:
    async with open_test_hub(store=fragile) as hub:
        queue = hub.queues.open("emails")
        await queue.put(1, max_attempts=1)
        async with queue.consume(seconds=10) as jobs:
            await jobs.__anext__()
            fragile.failing = 1
            await trio.sleep(10.1)
    async with open_test_hub(store=fragile) as hub:
        assert [dead.reason for dead in hub.queues.open("emails").dead()] == ["it took too long"]


async def test_full_hub_undoes_nothing_that_was_written(autojump_clock: Any, caplog: pytest.LogCaptureFixture) -> None:
    """No channel can be had for the events: the acknowledgement is one, and what runs out is tried again."""
    store = MemoryStore()
    async with open_test_hub(store=store, limits=rtcore.Limits(channels=1)) as hub, hub.subscribe("tasks"):
        hub.publish("tasks", "task.completed", {})
        queue = hub.queues.open("emails")
        await queue.put_many([{"data": number, "key": str(number)} for number in range(3)])
        async with queue.consume(seconds=5) as jobs:
            first, _ = await jobs.take(2)
            await first.ack()
            await trio.sleep(5.1)
            assert (queue.statistics().leased, queue.statistics().waiting, queue.statistics().failed) == (0, 2, 1)
            assert len(await store.read("queue_jobs")) == len(queue.book.state.jobs) == 2
        assert "queue.job_done of queue emails could not be told: the hub holds its limit of channels=1" in caplog.text
        await trio.sleep(10)
        assert hub.statistics().timers == 0, "nobody waits for it"


async def test_subscriber_is_told_when_there_is_room_for_the_channel(autojump_clock: Any) -> None:
    async with open_test_hub(limits=rtcore.Limits(channels=1)) as hub, hub.subscribe("queues:default") as events:
        queue = hub.queues.open("emails")
        async with hub.subscribe("tasks"):
            hub.publish("tasks", "task.completed", {})
            await queue.pause()
            await trio.sleep(5)
        assert (await events.__anext__()).type == "queue.paused"
