"""What comes into a queue: once for each key, as a whole or not at all, within the bounds."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
import trio
import trio.testing

from rtcore.errors import RequestError
from rtcore.features.delivery_queue.job import JobStatus
from rtcore.features.delivery_queue.queue_store import QueueName
from rtcore.store.memory_store import MemoryStore
from rtcore.testing import open_test_hub


async def test_key_makes_a_job_that_is_put_twice_one(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        queue = hub.queues.open("emails")
        first = await queue.put({"to": "ann"}, key="order-7")
        again = await queue.put({"to": "bob"}, key="order-7")
        assert (first.duplicate, again.duplicate) == (False, True)
        assert (again.job_id, again.status) == (first.job_id, JobStatus.WAITING)
        async with queue.consume() as jobs:
            (job,) = await jobs.take(5, wait=0)
            assert (job.data, job.key, job.attempt) == ({"to": "ann"}, "order-7", 1)
            await job.ack()
            late = await queue.put({"to": "ann"}, key="order-7")
            assert (late.job_id, late.duplicate, late.status) == (first.job_id, True, JobStatus.DONE)
            assert await jobs.take(1, wait=0) == []
        await trio.sleep(86_400)
        assert not (await queue.put(1, key="order-7")).duplicate, "by now it is another order"


async def test_same_key_at_the_same_time_is_one_job(autojump_clock: Any) -> None:
    """The second put returns only when the first is durable, and tries itself if that failed."""
    async with open_test_hub() as hub:
        queue = hub.queues.open("emails")
        receipts = []

        async def put() -> None:
            receipts.append(await queue.put(1, key="k"))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(put)
        assert len({receipt.job_id for receipt in receipts}) == 1
        assert sum(not receipt.duplicate for receipt in receipts) == 1
        assert queue.statistics().waiting == 1


async def test_second_put_of_a_key_succeeds_where_the_first_failed(fragile: Any, autojump_clock: Any) -> None:
    async with open_test_hub(store=fragile) as hub:
        queue, outcomes = hub.queues.open("emails"), []

        async def put() -> None:
            try:
                outcomes.append(str((await queue.put(1, key="k")).duplicate))
            except RequestError as error:
                outcomes.append(error.code)

        fragile.failing = 1
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(put)
        assert sorted(outcomes) == ["False", "True", "server.unavailable"]
        assert queue.statistics().waiting == 1


async def test_batch_is_put_as_a_whole_or_not_at_all(of: Any, autojump_clock: Any) -> None:
    async with open_test_hub(features=of(jobs=3)) as hub:
        queue = hub.queues.open("emails")
        receipts = await queue.put_many([{"data": 1, "key": "a"}, {"data": 2, "key": "a"}, {"data": 3}])
        assert [receipt.duplicate for receipt in receipts] == [False, True, False]
        with pytest.raises(RequestError, match="the queue would hold 4 jobs, more than jobs=3"):
            await queue.put_many([{"data": 4}, {"data": 5}])
        assert queue.statistics().waiting == 2
        with pytest.raises(RequestError, match=r"jobs\[1\]\.priority: expected one of high, normal, low"):
            await queue.put_many([{"data": 4}, {"data": 5, "priority": "urgent"}])
        with pytest.raises(RequestError, match="jobs: expected one or more entries, got 0"):
            await queue.put_many([])


async def test_memory_is_bounded_by_queue_workspace_and_in_all(of: Any, autojump_clock: Any) -> None:
    async with open_test_hub(features=of(data_bytes=100, workspace_bytes=2050, total_bytes=3000, queues=2)) as hub:
        queue, other = hub.queues.open("a"), hub.queues.open("b", workspace="w2")
        with pytest.raises(RequestError, match="data: 102 bytes exceed data_bytes=100"):
            await queue.put("x" * 100)
        await queue.put_many([{"data": "x" * 98}] * 2)
        with pytest.raises(RequestError, match="this workspace would hold 2100 bytes, more than workspace_bytes=2050"):
            await queue.put("x" * 98)
        await other.put_many([{"data": "x" * 98}] * 2)
        with pytest.raises(RequestError, match="all queues together would hold 3401 bytes, more than total_bytes=3000"):
            await other.put(1)
        async with queue.consume() as jobs:
            for job in await jobs.take(2):
                await job.ack()
        assert queue.statistics().bytes == 0
        assert not (await queue.put("x" * 98)).duplicate, "what is done makes room"
        hub.queues.open("c")
        with pytest.raises(RequestError, match="the workspace has 2 queues already: queues=2"):
            hub.queues.open("d")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"priority": "urgent"}, 'priority: expected one of high, normal, low, got "urgent"'),
        ({"key": ""}, "key: expected one or more characters, got 0"),
        ({"key": "k" * 129}, "key: 129 characters exceed key_characters=128"),
        ({"key": "\ud800"}, "key: expected text that UTF-8 can carry"),
        ({"delay": -1}, "delay: expected a number of at least 0, got -1"),
        ({"delay": float("nan")}, "delay: expected a number of at least 0, got nan"),
        ({"delay": float("inf")}, "delay: inf exceeds delay_seconds=31622400"),
        ({"max_attempts": 0}, "max_attempts: expected a whole number of at least 1, got 0"),
        ({"max_attempts": 1001}, "max_attempts: 1001 exceeds job_attempts=1000"),
        ({"data": {1, 2}}, "not representable in JSON: Type is not JSON serializable: set"),
    ],
)
async def test_bad_jobs_are_refused_in_words(arguments: Any, message: str, autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        with pytest.raises(RequestError) as caught:
            await hub.queues.open("a").put(**({"data": 1} | arguments))
        assert caught.value.message == message
        assert hub.queues.open("a").statistics().waiting == 0


@pytest.mark.parametrize(
    ("name", "workspace", "message"),
    [
        ("", "w", "queue: expected letters, digits, '_', '.' or '-', a letter or digit first"),
        ("a/b", "w", "queue: expected letters, digits, '_', '.' or '-', a letter or digit first"),
        ("a" * 65, "w", "queue: expected 1 to 64 characters, got 65"),
        ("a", "", "workspace: an empty name has no channel"),
        ("a", "\udc00", "workspace: a name with a lone surrogate has no channel"),
        ("a", "w" * 249, "workspace: channel name of 256 characters exceeds the limit of 255"),
        ("a", "/" * 83, "workspace: channel name of 256 characters exceeds the limit of 255"),
    ],
)
async def test_bad_names_are_refused_in_words(name: str, workspace: str, message: str) -> None:
    async with open_test_hub() as hub:
        with pytest.raises(RequestError) as caught:
            hub.queues.open(name, workspace=workspace)
        assert caught.value.message.startswith(message)


async def test_idle_queue_makes_room_for_another_but_not_the_programs_own(of: Any, autojump_clock: Any) -> None:
    async with open_test_hub(features=of(queues=1)) as hub:
        made = hub.queues.find_or_make(QueueName("default", "made-by-a-client"))
        assert hub.queues.open("mine") is not made
        with pytest.raises(RequestError, match="queues=1"):
            hub.queues.find_or_make(QueueName("default", "another"))


async def test_times_that_are_none_are_refused(autojump_clock: Any) -> None:
    """NaN would never be due, and would disturb the order of all others."""
    async with open_test_hub() as hub:
        queue = hub.queues.open("emails")
        await queue.put(1)
        async with queue.consume() as jobs:
            job = await jobs.__anext__()
            for value, problem in (
                (float("nan"), "expected a number {}, got nan"),
                (-1.0, "expected a number {}, got -1.0"),
                (float("inf"), "inf exceeds delay_seconds=31622400"),
            ):
                with pytest.raises(RequestError, match="after: " + problem.format("of at least 0")):
                    await job.retry(after=value)
                with pytest.raises(RequestError, match="seconds: " + problem.format("over 0")):
                    job.extend(value)
            with pytest.raises(RequestError, match="seconds: expected a number over 0"):
                job.extend(0)
            await job.ack()


async def test_queue_that_remembers_no_keys_writes_none(of: Any, autojump_clock: Any) -> None:
    async with open_test_hub(features=of(keys=0)) as hub:
        queue = hub.queues.open("emails")
        await queue.put(1, key="k")
        async with queue.consume() as jobs:
            await (await jobs.__anext__()).ack()
        assert await hub.store.read("queue_keys") == []
        assert not (await queue.put(1, key="k")).duplicate


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([{"data": 1}, 5], "jobs[1]: expected an object, got 5"),
        ([{}], "jobs[0].data: missing"),
        ([{"data": 1, "dealy": 5}], "jobs[0].dealy: unknown field"),
        ([{"data": 1, "delay": 10**400}], "jobs[0].delay: inf exceeds delay_seconds=31622400"),
        (
            [{"data": 1, "max_attempts": 10**400}],
            "jobs[0].max_attempts: a whole number of 1329 bits exceeds job_attempts=1000",
        ),
        ([{"data": 1, "delay": -1}], "jobs[0].delay: expected a number of at least 0, got -1"),
        ([{"data": {1}}], "not representable in JSON: Type is not JSON serializable: set"),
        ([{"data": 1}] * 4, "jobs: 4 entries exceed batch_jobs=3"),
    ],
)
async def test_bad_batches_are_refused_in_words(jobs: Any, message: str, of: Any, autojump_clock: Any) -> None:
    async with open_test_hub(features=of(batch_jobs=3)) as hub:
        queue = hub.queues.open("a")
        with pytest.raises(RequestError) as caught:
            await queue.put_many(jobs)
        assert caught.value.message == message
        assert queue.statistics().waiting == 0


async def test_bounds_of_a_job_can_be_set(of: Any, autojump_clock: Any) -> None:
    features = of(key_characters=175, delay_seconds=1e9, job_attempts=5000, max_attempts=2000)
    async with open_test_hub(features=features) as hub:
        queue = hub.queues.open("a" * 64, workspace="\N{SNOWMAN}" * 27)  # as long as it may be
        await queue.put(None, key="\N{FOX FACE}" * 175, delay=1e8, max_attempts=5000)
        assert queue.statistics().delayed == 1
    with pytest.raises(ValueError, match="max_attempts: 1001 exceeds job_attempts=1000"):
        of(max_attempts=1001)


class ForgetfulStore(MemoryStore):
    """A store that keeps nothing, so that what is measured is the queue alone."""

    async def write(self, changes: Any) -> None:
        await trio.lowlevel.checkpoint()


async def test_job_takes_no_more_memory_than_it_counts(autojump_clock: Any) -> None:
    """Otherwise the bounds of memory would bound something else: many small jobs once took seven times as much."""
    async with open_test_hub(store=ForgetfulStore()) as hub:
        queue = hub.queues.open("emails")
        await queue.put_many([{"data": 1}] * 100)
        counted = queue.statistics().bytes
        tracemalloc.start(1)
        await queue.put_many([{"data": {"to": number}} for number in range(1000)])
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert taken <= queue.statistics().bytes - counted
