"""A worker goes on until it is cancelled or the hub ends, whatever its handler and its store do."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.errors import StoreError
from rtcore.store.memory_store import MemoryStore
from rtcore.testing import open_test_hub


async def test_store_that_fails_while_a_job_is_taken_ends_no_worker(
    fragile: Any, autojump_clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The handlers of other jobs go on as well."""
    caplog.set_level(logging.CRITICAL)
    began, done = [], []

    async def handle(job: rtcore.HeldJob) -> None:
        began.append(job.data)
        await trio.sleep(60)
        done.append(job.data)

    async with open_test_hub(store=fragile) as hub, trio.open_nursery() as nursery:
        queue = hub.queues.open("emails")
        nursery.start_soon(queue.work, handle)
        await queue.put(1)
        await trio.sleep(1)
        await queue.put(2)
        fragile.failing = 3
        await queue.wait_empty()
        nursery.cancel_scope.cancel()
        assert (began, done) == ([1, 2], [1, 2])


async def test_handler_that_is_too_slow_and_fails_to_clean_up_ends_no_worker(of: Any, autojump_clock: Any) -> None:
    """The end of its time and the failure come together, in a group."""

    async def fail_to_clean_up() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("cannot clean up")

    async def handle(job: rtcore.HeldJob) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_to_clean_up)
            nursery.start_soon(trio.sleep_forever)

    async with open_test_hub(features=of(max_attempts=2)) as hub, trio.open_nursery() as nursery:
        queue = hub.queues.open("emails")
        await queue.put(1)
        nursery.start_soon(lambda: queue.work(handle, seconds=5))
        await queue.wait_empty()
        nursery.cancel_scope.cancel()
        assert [(dead.reason, dead.attempts) for dead in queue.dead()] == [("ValueError: cannot clean up", 2)]


class EndingStore(MemoryStore):
    """A store that can be closed."""

    closed = False

    async def write(self, changes: Any) -> None:
        if self.closed:
            raise StoreError("the store is closed")
        await super().write(changes)


async def test_worker_ends_though_its_handler_outlives_the_hub_and_the_store(autojump_clock: Any) -> None:
    store, ends = EndingStore(), []

    async def handle(job: rtcore.HeldJob) -> None:
        await trio.sleep(5)

    async def work(queue: rtcore.DeliveryQueue) -> None:
        with pytest.RaisesGroup(rtcore.HubClosed):
            await queue.work(handle, concurrency=1)
        ends.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        async with open_test_hub(store=store) as hub:
            queue = hub.queues.open("emails")
            await queue.put(1)
            nursery.start_soon(work, queue)
            await trio.sleep(1)
        store.closed = True
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert len(ends) == 1


@pytest.mark.parametrize("failing", [0, 1])
async def test_worker_waits_for_who_settles_its_job_already(failing: int, fragile: Any, autojump_clock: Any) -> None:
    """A task that the handler has started; where that one fails, what the handler did decides."""
    outcomes = []

    async def ack(job: rtcore.HeldJob) -> None:
        try:
            await job.ack()
            outcomes.append("done")
        except rtcore.RequestError as error:
            outcomes.append(error.code)

    async with open_test_hub(store=fragile) as hub, trio.open_nursery() as nursery:
        queue = hub.queues.open("emails")

        async def handle(job: rtcore.HeldJob) -> None:
            fragile.failing, fragile.seconds = failing, 1.0
            nursery.start_soon(ack, job)
            while not job.lease.settling:
                await trio.lowlevel.checkpoint()

        await queue.put(1)
        nursery.start_soon(queue.work, handle)
        await queue.wait_empty()
        await queue.put(2)
        await queue.wait_empty()
        nursery.cancel_scope.cancel()
    assert outcomes == (["done"] * 2 if not failing else ["server.unavailable"] * 2)
    assert (queue.statistics().done, queue.statistics().failed) == (2, 0)
