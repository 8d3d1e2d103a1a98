"""A request to put a job that comes twice is carried out once: at the same time, later, and after a restart."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

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


async def put_all(hub: Any, requests: list[str]) -> list[str]:
    """Put these requests at the same time; returns those that failed."""
    failed: list[str] = []

    async def put_one(request: str) -> None:
        try:
            await put(hub, request)
        except rtcore.RequestError:
            failed.append(request)

    async with trio.open_nursery() as nursery:
        for request in requests:
            nursery.start_soon(put_one, request)
    return failed


async def names(hub: Any) -> tuple[set[str], set[str]]:
    """Of the requests that are remembered in the store, and in memory."""
    return {name for name, _ in await hub.store.read("queue_answers")}, set(hub.queues._requests._answers)


async def test_answers_of_requests_at_the_same_time_are_bounded_in_the_store_too(autojump_clock: Any) -> None:
    """Each forgets others than those that its neighbours forget: otherwise the store would grow for ever."""
    async with open_test_hub(limits=rtcore.Limits(idempotency_keys=10)) as hub:
        for round in range(5):
            assert not await put_all(hub, [f"{round}-{number}" for number in range(20)])
            stored, remembered = await names(hub)
            assert stored == remembered
            assert len(stored) <= 20, "as many as are put at once may be there until the next"
        await put(hub, "last")
        stored, remembered = await names(hub)
        assert stored == remembered
        assert len(stored) == 10


async def test_put_that_fails_forgets_no_answer(fragile: Any, autojump_clock: Any) -> None:
    async with open_test_hub(store=fragile, limits=rtcore.Limits(idempotency_keys=3)) as hub:
        for request in ("a", "b", "c"):
            await put(hub, request)
        fragile.failing, fragile.seconds = 2, 1.0
        assert sorted(await put_all(hub, ["d", "e"])) == ["d", "e"]
        assert [(await put(hub, request))[1] for request in ("a", "b", "c")] == [True, True, True]
        stored, remembered = await names(hub)
        assert stored == remembered
        await put(hub, "f")
        assert len((await names(hub))[0]) == 3


async def test_answer_that_is_too_old_leaves_the_store_though_its_request_fails(
    fragile: Any, autojump_clock: Any
) -> None:
    async with open_test_hub(store=fragile, limits=rtcore.Limits(idempotency_seconds=100.0)) as hub:
        await put(hub, "a")
        await trio.sleep(100)
        fragile.failing = 1
        assert await put_all(hub, ["a"]) == ["a"]
        await put(hub, "b")
        stored, remembered = await names(hub)
        assert stored == remembered
        assert len(stored) == 1


async def test_answer_that_is_given_anew_meanwhile_stays_the_newest(fragile: Any, autojump_clock: Any) -> None:
    """Another request was about to forget the old one, and failed."""
    async with open_test_hub(store=fragile, limits=rtcore.Limits(idempotency_keys=3)) as hub:
        for request in ("a", "b", "c"):
            await put(hub, request)
        fragile.failing, fragile.seconds = 1, 1.0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(put_all, hub, ["d"])
            await trio.testing.wait_all_tasks_blocked()
            assert not (await put(hub, "a"))[1]
        for request in ("e", "f"):
            await put(hub, request)
        assert (await put(hub, "a"))[1]
        stored, remembered = await names(hub)
        assert stored == remembered
