"""A queue in its own process: doing at least once, failing, giving up, dead letters, pausing, events."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.errors import RequestError
from rtcore.features.delivery_queue.job import JobStatus
from rtcore.testing import open_test_hub


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
            with pytest.raises(RequestError, match="has ended: it is done since 2025"):
                await late.ack()
            with pytest.raises(RequestError, match="has ended: it is done since 2025"):
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
        with pytest.raises(RequestError, match=r'job_ids\[1\]: "nonsense" is no dead letter of this queue'):
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
