"""What is there after a restart, what a failing store does, and what a cancellation leaves behind."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.errors import RequestError
from rtcore.features.delivery_queue.job import JobStatus
from rtcore.features.delivery_queue.statistics import QueueStatistics
from rtcore.store.memory_store import MemoryStore
from rtcore.testing import open_test_hub


def figures(statistics: QueueStatistics) -> tuple[int, int, int, bool]:
    return statistics.waiting, statistics.leased, statistics.dead, statistics.paused


async def documents(store: MemoryStore) -> dict[str, int]:
    names = ("queue_jobs", "queue_progress", "queue_keys", "queue_paused")
    return {name: len(await store.read(name)) for name in names}


async def test_jobs_their_order_attempts_and_keys_outlive_the_process(autojump_clock: Any) -> None:
    store = MemoryStore()
    async with open_test_hub(store=store) as hub:
        queue = hub.queues.open("emails", workspace="w1")
        await queue.put({"n": 1}, key="one")
        await queue.put_many([{"data": 2}, {"data": 3, "priority": "high"}, {"data": 4, "delay": 100}])
        await queue.put(5, key="done")
        async with queue.consume() as jobs:
            high, first, second, last = await jobs.take(9)
            await last.ack()
            await high.fail("never")
            await first.retry(after=50, reason="later")
            assert second.held
    async with open_test_hub(store=store) as hub:
        (queue,) = hub.queues.all("w1")
        assert figures(queue.statistics()) == (3, 0, 1, False)
        assert [(dead.encoded, dead.reason) for dead in queue.dead()] == [(b"3", "never")]
        assert (await queue.put(9, key="one")).duplicate
        assert (await queue.put(9, key="done")).status is JobStatus.DONE
        assert not (await queue.put(6)).duplicate
        async with queue.consume() as jobs:
            began = trio.current_time()
            found = [await jobs.__anext__() for _ in range(4)]
            assert [(job.data, job.attempt) for job in found] == [(2, 1), (6, 1), ({"n": 1}, 2), (4, 1)]
            assert 49 < trio.current_time() - began <= 100
            for job in found:
                await job.ack()
        await queue.drop()
        assert await documents(store) == {"queue_jobs": 0, "queue_progress": 0, "queue_keys": 2, "queue_paused": 0}


async def test_pause_outlives_the_process(autojump_clock: Any) -> None:
    store = MemoryStore()
    async with open_test_hub(store=store) as hub:
        await hub.queues.open("emails").pause()
    async with open_test_hub(store=store) as hub:
        queue = hub.queues.open("emails")
        assert queue.statistics().paused
        await queue.resume()
    async with open_test_hub(store=store) as hub:
        assert not hub.queues.open("emails").statistics().paused


class KilledStore(MemoryStore):
    """A store whose process is killed: nothing is written any more, and nobody is told."""

    killed = False

    async def write(self, changes: Any) -> None:
        if not self.killed:
            await super().write(changes)


async def test_job_that_takes_the_process_down_is_not_tried_for_ever(autojump_clock: Any) -> None:
    store = KilledStore()
    for life in range(3):
        store.killed = False
        async with open_test_hub(store=store) as hub:
            queue = hub.queues.open("emails")
            if not life:
                await queue.put("poison", max_attempts=2)
            async with queue.consume() as jobs:
                taken = await jobs.take(1, wait=0)
                assert [job.attempt for job in taken] == ([life + 1] if life < 2 else [])
                store.killed = True
            assert life < 2 or [dead.reason for dead in queue.dead()] == ["the server ended during its last attempt"]


async def test_attempts_that_do_not_count_are_not_counted_after_a_restart_either(autojump_clock: Any) -> None:
    store = MemoryStore()
    for _ in range(3):
        async with open_test_hub(store=store) as hub:
            queue = hub.queues.open("emails")
            await queue.put(1, key="k", max_attempts=1)
            async with queue.consume() as jobs:
                assert (await jobs.__anext__()).attempt == 1


async def test_old_keys_leave_the_store_too(of: Any, autojump_clock: Any) -> None:
    store = MemoryStore()
    async with open_test_hub(store=store, features=of(keys=2)) as hub:
        queue = hub.queues.open("emails")
        async with queue.consume() as jobs:
            for number in range(6):
                await queue.put(number, key=str(number))
                await (await jobs.__anext__()).ack()
        assert (await documents(store))["queue_keys"] == 3, "what was forgotten last goes with the next write"
    async with open_test_hub(store=store, features=of(keys=2)):
        assert [key for key, _ in await store.read("queue_keys")] == ["default/emails/4", "default/emails/5"]


async def lease_one(queue: rtcore.DeliveryQueue) -> None:
    async with queue.consume() as jobs:
        await jobs.__anext__()


async def settle(queue: rtcore.DeliveryQueue, how: Callable[[rtcore.HeldJob], Awaitable[object]], store: Any) -> None:
    async with queue.consume() as jobs:
        job = await jobs.__anext__()
        store.failing = 1
        with pytest.raises(RequestError) as caught:
            await how(job)
        assert (caught.value.code, caught.value.retry_after) == ("server.unavailable", 1.0)
        assert job.held, "nothing has happened"
        await job.ack()


async def test_store_that_fails_changes_nothing(fragile: Any, autojump_clock: Any, caplog: Any) -> None:
    async with open_test_hub(store=fragile) as hub:
        queue = hub.queues.open("emails")
        fragile.failing = 1
        with pytest.raises(RequestError, match="the queue could not be written") as caught:
            await queue.put(1)
        assert caught.value.transient
        assert (queue.statistics().waiting, queue.statistics().bytes) == (0, 0)
        assert hub.queues._budget._total == 0
        await queue.put(1)
        fragile.failing = 1
        with pytest.raises(RequestError, match="could not be written"):
            await lease_one(queue)
        assert queue.statistics().waiting == 1
        for how in (rtcore.HeldJob.ack, rtcore.HeldJob.retry, lambda job: job.fail("x")):
            await settle(queue, how, fragile)
            await queue.put(1)
        for action in (queue.pause, queue.drop, queue.requeue):
            fragile.failing = 1
            with pytest.raises(RequestError, match="could not be written"):
                await action()
        assert not queue.statistics().paused
        assert "a queue could not be written: the disk is full" in caplog.text


async def test_worker_acknowledges_what_it_has_done_as_soon_as_the_store_lets_it(
    fragile: Any, autojump_clock: Any, caplog: Any
) -> None:
    """A job that was done is not done again because the disk was full for a while."""
    caplog.set_level(logging.CRITICAL)
    done = []
    async with open_test_hub(store=fragile) as hub:
        queue = hub.queues.open("emails")
        await queue.put(1)

        async def handle(job: rtcore.HeldJob) -> None:
            done.append(job.job_id)
            fragile.failing = 5

        async with trio.open_nursery() as nursery:
            nursery.start_soon(queue.work, handle)
            await queue.wait_empty()
            nursery.cancel_scope.cancel()
        assert (len(done), queue.statistics().done) == (1, 1)


class SlowStore(MemoryStore):
    """Writing takes a second, and can be cancelled in it."""

    async def write(self, changes: Any) -> None:
        changes = list(changes)
        await trio.sleep(1)
        await super().write(changes)


@pytest.mark.parametrize("action", ["put", "take", "ack", "retry", "fail", "pause", "requeue", "drop"])
async def test_cancelled_while_it_is_written_nothing_has_happened(action: str, autojump_clock: Any) -> None:
    async with open_test_hub(store=SlowStore()) as hub:
        queue = hub.queues.open("emails")
        await queue.put("dead")
        async with queue.consume() as jobs:
            await (await jobs.__anext__()).fail("x")
            await queue.put("held")
            held = await jobs.__anext__()
            await queue.put("waits")
            before = queue.statistics()
            with trio.move_on_after(0.5) as scope:
                if action == "put":
                    await queue.put(2, key="k")
                elif action == "take":
                    await jobs.__anext__()
                elif action in ("ack", "retry"):
                    await getattr(held, action)()
                elif action == "fail":
                    await held.fail("x")
                else:
                    await getattr(queue, action)()
            assert scope.cancelled_caught
            assert held.held
            assert figures(queue.statistics()) == figures(before)
            assert queue.statistics().bytes == before.bytes
            await held.ack()
            assert not (await queue.put(2, key="k")).duplicate


async def test_lease_that_runs_out_while_it_is_settled_ends_with_the_settling(of: Any, autojump_clock: Any) -> None:
    async with open_test_hub(store=SlowStore(), features=of(processing_seconds=10.0)) as hub:
        queue = hub.queues.open("emails")
        await queue.put(1)
        async with queue.consume() as jobs, queue.consume() as others:
            job = await jobs.__anext__()
            await trio.sleep(9.5)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(job.ack)
                await trio.testing.wait_all_tasks_blocked()
                with pytest.raises(RequestError, match="is being settled already"):
                    await job.ack()
                assert await others.take(1, wait=2) == []
            assert queue.statistics().done == 1
            await queue.put(2)
            job = await jobs.__anext__()
            await trio.sleep(9.5)
            with trio.move_on_after(0.7):
                await job.ack()
            assert (await others.__anext__()).job_id == job.job_id, "it ran out meanwhile, and the ack was cancelled"


async def test_consumer_that_leaves_while_its_ack_fails_has_given_back(fragile: Any, autojump_clock: Any) -> None:
    async with open_test_hub(store=fragile) as hub:
        queue = hub.queues.open("emails")
        await queue.put(1)

        async def ack(job: rtcore.HeldJob) -> None:
            with pytest.raises(RequestError, match="could not be written"):
                await job.ack()

        async with trio.open_nursery() as nursery:
            async with queue.consume() as jobs:
                job = await jobs.__anext__()
                fragile.failing, fragile.seconds = 1, 2.0
                nursery.start_soon(ack, job)
                await trio.testing.wait_all_tasks_blocked()
            assert queue.statistics().leased == 1
        await trio.testing.wait_all_tasks_blocked()
        assert figures(queue.statistics()) == (1, 0, 0, False)
        assert queue.statistics().failed == 1


async def test_consumer_that_leaves_while_its_ack_is_written_has_acknowledged(autojump_clock: Any) -> None:
    async with open_test_hub(store=SlowStore()) as hub:
        queue = hub.queues.open("emails")
        await queue.put(1)
        async with trio.open_nursery() as nursery:
            async with queue.consume() as jobs:
                job = await jobs.__anext__()
                nursery.start_soon(job.ack)
                await trio.testing.wait_all_tasks_blocked()
            assert queue.statistics().leased == 1
        assert figures(queue.statistics()) == (0, 0, 0, False)


async def test_queue_of_a_workspace_of_any_name_outlives_the_process(autojump_clock: Any) -> None:
    """A slash in a name cuts no key, and none is found in another workspace that looks like it."""
    store = MemoryStore()
    names = ["a/b", "a", "Söhne & Co", "a~2Fb", "urn:x:1"]
    async with open_test_hub(store=store) as hub:
        for name in names:
            queue = hub.queues.open("q", workspace=name)
            await queue.put(name, key="c/d")
            await queue.pause()
    async with open_test_hub(store=store) as hub:
        for name in names:
            (queue,) = hub.queues.all(name)
            assert figures(queue.statistics()) == (1, 0, 0, True), name
            assert (await queue.put(0, key="c/d")).duplicate
            await queue.resume()
            async with queue.consume() as jobs:
                job = await jobs.__anext__()
                assert job.data == name
                await job.ack()
    assert await documents(store) == {
        "queue_jobs": 0,
        "queue_progress": 0,
        "queue_keys": len(names),
        "queue_paused": 0,
    }


async def test_clock_that_was_set_back_delays_no_job(autojump_clock: Any) -> None:
    """A machine may begin with its clock a day behind: what was ready is ready, and a delay is as long as it was."""
    store = MemoryStore()
    async with rtcore.open_hub(store=store, clock=lambda: 1_000_000_000.0) as hub:
        queue = hub.queues.open("emails")
        await queue.put("ready")
        await queue.put("later", delay=100)
    async with rtcore.open_hub(store=store, clock=lambda: 1_000_000_000.0 - 86_400) as hub:
        began = trio.current_time()
        async with hub.queues.open("emails").consume() as jobs:
            assert (await jobs.__anext__()).data == "ready"
            assert trio.current_time() - began < 1
            assert (await jobs.__anext__()).data == "later"
            assert 99 < trio.current_time() - began < 101
