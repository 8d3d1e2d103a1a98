"""A request to put a job that comes twice is carried out once: at the same time, later, and after a restart."""

from __future__ import annotations

from typing import Any

import pytest
import trio

import rtcore
from rtcore.features.delivery_queue.job import Receipt
from rtcore.features.delivery_queue.job_fields import new_job
from rtcore.features.delivery_queue.put_requests import PutRequest
from rtcore.features.delivery_queue.queue_store import QueueName
from rtcore.store.memory_store import MemoryStore
from rtcore.testing import open_test_hub

EMAILS = QueueName("default", "emails")


async def put(hub: Any, request: str, content: bytes = b"1", **options: Any) -> tuple[Receipt, bool]:
    job = new_job(1, hub.queues.settings, **options)
    return await hub.queues.put_once(EMAILS, job, PutRequest.of("default", "ann", request, content))


async def test_answer_outlives_the_process_and_the_job(autojump_clock: Any) -> None:
    store = MemoryStore()
    async with open_test_hub(store=store) as hub:
        receipt, before = await put(hub, "i1")
        assert not before
        async with hub.queues.open("emails").consume() as jobs:
            await (await jobs.__anext__()).ack()
        assert await put(hub, "i1") == (receipt, True)
    async with open_test_hub(store=store) as hub:
        assert await put(hub, "i1") == (receipt, True)
        with pytest.raises(rtcore.RequestError, match="came with another request before") as caught:
            await put(hub, "i1", b"2")
        assert caught.value.code == "request.conflict"
        assert hub.queues.open("emails").statistics().waiting == 0


async def test_same_request_at_the_same_time_puts_one_job(fragile: Any, autojump_clock: Any) -> None:
    """The second waits for the first, and is the first itself if that one failed."""
    async with open_test_hub(store=fragile) as hub:
        outcomes: list[str] = []

        async def once() -> None:
            try:
                outcomes.append(str((await put(hub, "i1"))[1]))
            except rtcore.RequestError as error:
                outcomes.append(error.code)

        fragile.failing, fragile.seconds = 1, 1.0
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(once)
        assert sorted(outcomes) == ["False", "True", "server.unavailable"]
        assert hub.queues.open("emails").statistics().waiting == 1


async def test_duplicate_by_the_jobs_own_key_is_answered_as_such_again(autojump_clock: Any) -> None:
    store = MemoryStore()
    async with open_test_hub(store=store) as hub:
        first, _ = await put(hub, "i1", key="k")
        second, before = await put(hub, "i2", key="k")
        assert (first.duplicate, second.duplicate, second.job_id, before) == (False, True, first.job_id, False)
    async with open_test_hub(store=store) as hub:
        assert await put(hub, "i2", key="k") == (second, True)


async def test_answers_are_bounded_in_number_and_age_also_in_the_store(autojump_clock: Any) -> None:
    store, limits = MemoryStore(), rtcore.Limits(idempotency_keys=2, idempotency_seconds=100.0)
    async with open_test_hub(store=store, limits=limits) as hub:
        for key in ("a", "b", "c"):
            await put(hub, key)
        assert len(await store.read("queue_answers")) == 2
        assert (await put(hub, "c"))[1]
        assert not (await put(hub, "a"))[1], "two newer ones have come"
        await trio.sleep(100)
        assert not (await put(hub, "a"))[1]
        assert not (await put(hub, "d"))[1]
        assert len(await store.read("queue_answers")) == 2
    async with open_test_hub(store=store, limits=rtcore.Limits(idempotency_keys=1)) as hub:
        assert len(await store.read("queue_answers")) == 1
        assert (await put(hub, "d"))[1], "the newest is kept"
