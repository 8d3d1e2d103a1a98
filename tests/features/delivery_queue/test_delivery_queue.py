"""A queue in its own process: putting once, doing at least once, failing, giving up, pausing, and the bounds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.errors import RequestError
from rtcore.features.delivery_queue.job import JobStatus
from rtcore.features.delivery_queue.queue_store import QueueName
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
        with pytest.raises(RequestError, match=r"priority: expected one of high, normal, low"):
            await queue.put_many([{"data": 4}, {"data": 5, "priority": "urgent"}])
        with pytest.raises(RequestError, match="jobs: expected 1 to 1000 entries, got 0"):
            await queue.put_many([])


async def test_handler_acknowledges_by_returning_and_fails_by_raising(of: Any, autojump_clock: Any) -> None:
    attempts: list[tuple[int, int]] = []

    async def handle(job: rtcore.HeldJob) -> None:
        attempts.append((job.data, job.attempt))  # type: ignore[arg-type]  # a number
        if job.data == 2 or (job.data == 1 and job.attempt < 3):
            raise ValueError("not yet")

    async with open_test_hub(features=of(max_attempts=3)) as hub:
        queue = hub.queues.open("emails")
        for number in range(3):
            await queue.put(number)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(queue.work, handle)
            await queue.wait_empty()
            nursery.cancel_scope.cancel()
        assert sorted(attempts) == [(0, 1), (1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
        (dead,) = queue.dead()
        assert (dead.encoded, dead.attempts, dead.reason) == (b"2", 3, "ValueError: not yet")
        statistics = queue.statistics()
        assert (statistics.done, statistics.failed, statistics.dead, statistics.waiting) == (2, 5, 1, 0)


async def test_waits_between_attempts_double_up_to_a_ceiling_and_are_random_below(of: Any, autojump_clock: Any) -> None:
    features = of(retry_seconds=1.0, retry_maximum_seconds=5.0, max_attempts=6)
    async with open_test_hub(features=features) as hub:
        queue = hub.queues.open("emails")
        spans: list[float] = []
        queue.book._uniform = lambda low, high: spans.append(high) or high
        await queue.put(1)
        times = []
        async with queue.consume() as jobs:
            for _ in range(6):
                job = await jobs.__anext__()
                times.append(trio.current_time())
                await job.retry()
        assert spans == [1, 2, 4, 5, 5]
        assert [b - a for a, b in pairwise(times)] == pytest.approx([1, 2, 4, 5, 5])
        assert queue.statistics().dead == 1


async def test_handler_that_takes_too_long_is_cancelled_and_its_job_tried_again(of: Any, autojump_clock: Any) -> None:
    async with open_test_hub(features=of(processing_seconds=10.0, max_attempts=2)) as hub:
        queue = hub.queues.open("emails")
        began = []

        async def handle(job: rtcore.HeldJob) -> None:
            began.append(trio.current_time())
            await trio.sleep(9)
            if job.data == "long":
                job.extend(30)
                await trio.sleep(25)
            else:
                await trio.sleep(2)

        await queue.put("long")
        await queue.put("stuck")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(queue.work, handle)
            await queue.wait_empty()
            nursery.cancel_scope.cancel()
        assert len(began) == 3
        assert [(job.encoded, job.reason) for job in queue.dead()] == [(b'"stuck"', "it took too long")]
        assert queue.statistics().done == 1


async def test_cancelled_worker_gives_its_jobs_back_at_once_and_untried(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        queue = hub.queues.open("emails")
        await queue.put(1)
        started = trio.Event()

        async def handle(job: rtcore.HeldJob) -> None:
            started.set()
            await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(queue.work, handle)
            await started.wait()
            assert queue.statistics().leased == 1
            nursery.cancel_scope.cancel()
        assert (queue.statistics().leased, queue.statistics().waiting) == (0, 1)
        async with queue.consume() as jobs:
            assert (await jobs.__anext__()).attempt == 1


async def test_at_most_so_many_jobs_are_done_at_once(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        queue, running, most = hub.queues.open("emails"), 0, 0

        async def handle(job: rtcore.HeldJob) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await trio.sleep(1)
            running -= 1

        await queue.put_many([{"data": number} for number in range(20)])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(queue.work, handle)
            await queue.wait_empty()
            nursery.cancel_scope.cancel()
        assert most == 5


async def test_consumer_waits_for_room_and_what_it_leaves_is_given_back(of: Any, autojump_clock: Any) -> None:
    async with open_test_hub(features=of(leases=2)) as hub:
        queue = hub.queues.open("emails")
        await queue.put_many([{"data": number} for number in range(4)])
        async with queue.consume() as jobs:
            first, second = await jobs.take(4, wait=0)
            assert await jobs.take(1, wait=5) == [], "it has as many as it may"
            async with trio.open_nursery() as nursery:
                taken: list[rtcore.HeldJob] = []

                async def take() -> None:
                    taken.append(await jobs.__anext__())

                nursery.start_soon(take)
                await trio.testing.wait_all_tasks_blocked()
                assert not taken
                await first.ack()
            assert [job.data for job in taken] == [2]
        assert not second.held
        statistics = queue.statistics()
        assert (statistics.waiting, statistics.leased, statistics.done) == (3, 0, 1)


async def test_lease_that_ran_out_goes_to_somebody_else_and_its_ack_is_refused(of: Any, autojump_clock: Any) -> None:
    async with open_test_hub(features=of(processing_seconds=10.0)) as hub:
        queue = hub.queues.open("emails")
        await queue.put(1)
        async with queue.consume() as slow, queue.consume() as quick:
            late = await slow.__anext__()
            await trio.sleep(9)
            late.extend()
            await trio.sleep(9.9)
            assert late.held
            await trio.sleep(0.2)
            with pytest.raises(RequestError, match=f"job_id: the lease on job {late.job_id} has ended: it waits again"):
                await late.ack()
            other = await quick.__anext__()
            assert (other.job_id, other.attempt) == (late.job_id, 2)
            for use in (late.ack, late.retry, lambda: late.fail("x")):
                with pytest.raises(RequestError, match="has ended: another consumer has it") as caught:
                    await use()
                assert caught.value.code == "request.conflict"
            with pytest.raises(RequestError, match="another consumer has it"):
                late.extend()
            await other.ack()
            with pytest.raises(RequestError, match="has ended: it is done or dropped"):
                await late.ack()
            with pytest.raises(RequestError, match="has ended: it is done or dropped"):
                await other.ack()


async def test_lease_that_runs_out_in_its_last_attempt_is_a_dead_letter(of: Any, autojump_clock: Any) -> None:
    async with open_test_hub(features=of(processing_seconds=10.0)) as hub:
        queue = hub.queues.open("emails")
        await queue.put(1, max_attempts=1)
        async with queue.consume() as jobs:
            job = await jobs.__anext__()
            await trio.sleep(11)
            with pytest.raises(RequestError, match="it is a dead letter"):
                await job.ack()
        assert [dead.reason for dead in queue.dead()] == ["it took too long"]


async def test_dead_letters_are_listed_retried_and_dropped(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        queue = hub.queues.open("emails")
        await queue.put_many([{"data": number, "key": str(number)} for number in range(4)])
        async with queue.consume() as jobs:
            for job in await jobs.take(4):
                assert await job.fail("no such address") is JobStatus.DEAD
        dead = queue.dead()
        assert [(each.encoded, each.reason, each.attempts) for each in dead[:1]] == [(b"0", "no such address", 1)]
        assert queue.dead(after=dead[1].job_id, limit=1) == [dead[2]]
        assert (await queue.put(9, key="0")).status is JobStatus.DEAD
        with pytest.raises(RequestError, match=r"job_ids\[1\]: no such dead letter"):
            await queue.requeue([dead[0].job_id, "nonsense"])
        assert await queue.requeue([dead[1].job_id]) == 1
        assert await queue.drop([dead[0].job_id]) == 1
        assert not (await queue.put("new", key="0")).duplicate
        assert await queue.requeue() == 2
        async with queue.consume() as jobs:
            assert [(job.data, job.attempt) for job in await jobs.take(9)] == [(1, 1), ("new", 1), (2, 1), (3, 1)]


async def test_paused_queue_takes_jobs_and_settles_but_hands_out_none(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        queue = hub.queues.open("emails")
        await queue.put(1)
        await queue.put(2)
        async with queue.consume() as jobs, trio.open_nursery() as nursery:
            job = await jobs.__anext__()
            drained = trio.Event()

            async def drain() -> None:
                await queue.drain()
                drained.set()

            nursery.start_soon(drain)
            await trio.testing.wait_all_tasks_blocked()
            assert queue.statistics().paused
            assert not drained.is_set()
            await job.ack()
            await drained.wait()
            assert await jobs.take(1, wait=60) == []
            await queue.put(3)
            nursery.start_soon(queue.resume)
            assert [(await jobs.__anext__()).data, (await jobs.__anext__()).data] == [2, 3]


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
        ({"priority": "urgent"}, "priority: expected one of high, normal, low"),
        ({"key": ""}, "key: expected 1 to 128 characters, got 0"),
        ({"key": "k" * 129}, "key: expected 1 to 128 characters, got 129"),
        ({"key": "\ud800"}, "key: expected text that UTF-8 can carry"),
        ({"delay": -1}, "delay: expected a number from 0 to 31622400"),
        ({"delay": float("nan")}, "delay: expected a number from 0 to 31622400"),
        ({"max_attempts": 0}, "max_attempts: expected a whole number from 1 to 1000"),
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
        ("a", "", "workspace: expected a name without a colon"),
        ("a", "w:x", "workspace: expected a name without a colon"),
        ("a", "w/x", "workspace: channel name must be letters"),
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


async def test_events_are_told_together_and_carry_the_statistics(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.subscribe("queues:default") as events:
        queue = hub.queues.open("emails")
        await queue.put_many([{"data": number} for number in range(10)])
        async with queue.consume(leases=10) as jobs:
            for job in await jobs.take(10):
                await job.ack()
        first = await events.__anext__()
        assert (first.type, first.data["count"], first.data["queue"]) == ("queue.job_done", 1, "emails")
        second = await events.__anext__()
        assert (second.data["count"], second.data["done"], second.data["waiting"]) == (9, 10, 0)
        await queue.pause()
        await queue.resume()
        assert [(await events.__anext__()).type for _ in range(2)] == ["queue.paused", "queue.resumed"]
        await queue.put("x", max_attempts=1)
        await queue.put("y")
        async with queue.consume() as jobs:
            dead, failed = await jobs.take(2)
            await dead.retry(reason="no")
            await failed.retry(after=7, reason="later")
        event = await events.__anext__()
        assert (event.type, event.data["reason"], event.data["dead"]) == ("queue.job_dead", "no", 1)
        event = await events.__anext__()
        assert (event.type, event.data["reason"], event.data["retry_after"]) == ("queue.job_failed", "later", 7)


async def test_idle_feature_has_no_timer_and_ended_hub_takes_no_jobs(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        queue = hub.queues.open("emails")
        assert hub.statistics().timers == 0
        await queue.put(1, delay=5)
        assert hub.statistics().timers == 1
        async with queue.consume() as jobs:
            await (await jobs.__anext__()).ack()
        await trio.sleep(1000)
        assert hub.statistics().timers == 0
    with pytest.raises(rtcore.HubClosed):
        await queue.put(2)
    with pytest.raises(rtcore.HubClosed):
        async with queue.consume() as jobs:
            await jobs.__anext__()


async def test_times_that_are_none_are_refused(autojump_clock: Any) -> None:
    """NaN would never be due, and would disturb the order of all others."""
    async with open_test_hub() as hub:
        queue = hub.queues.open("emails")
        await queue.put(1)
        async with queue.consume() as jobs:
            job = await jobs.__anext__()
            for value in (float("nan"), -1.0, float("inf")):
                with pytest.raises(RequestError, match="after: expected a number from 0 to 31622400"):
                    await job.retry(after=value)
                with pytest.raises(RequestError, match="seconds: expected a number from 0 to 31622400"):
                    job.extend(value)
            await job.ack()


async def test_queue_that_remembers_no_keys_writes_none(of: Any, autojump_clock: Any) -> None:
    async with open_test_hub(features=of(keys=0)) as hub:
        queue = hub.queues.open("emails")
        await queue.put(1, key="k")
        async with queue.consume() as jobs:
            await (await jobs.__anext__()).ack()
        assert await hub.store.read("queue_keys") == []
        assert not (await queue.put(1, key="k")).duplicate


async def test_job_goes_to_somebody_who_has_room_for_it(of: Any, autojump_clock: Any) -> None:
    """Who was woken for it and cannot have it wakes the next."""
    async with open_test_hub() as hub:
        queue = hub.queues.open("emails")
        got: list[str] = []

        async def take(name: str, jobs: Any) -> None:
            await jobs.__anext__()
            got.append(name)

        async with queue.consume(leases=1) as small, queue.consume() as large, trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(take, "small", small)
                await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(take, "large", large)
            await trio.testing.wait_all_tasks_blocked()
            await queue.put_many([{"data": 1}, {"data": 2}])
            await trio.testing.wait_all_tasks_blocked()
            assert sorted(got) == ["large", "small"]
            nursery.cancel_scope.cancel()
