"""The state of a queue by itself: order, leases, attempts, dead letters, keys; and a seeded comparison with a model."""

from __future__ import annotations

import random
from typing import Any

import pytest

from rtcore.features.delivery_queue.job import Job, JobStatus, Lease, Priority
from rtcore.features.delivery_queue.queue_state import QueueState
from rtcore.features.delivery_queue.statistics import DoneRate


def state(**options: Any) -> QueueState:
    return QueueState(**({"keys": 100, "key_seconds": 1000.0, "done_jobs": 100} | options))


def job(name: str, order: int, *, priority: str = "normal", due: float = 0.0, **fields: Any) -> Job:
    given = {"data": b"1", "key": None, "put_at": float(order), "max_attempts": 3}
    return Job(job_id=name, order=order, priority=Priority(priority), due=due, **(given | fields))


def names(leases: list[Lease]) -> list[str]:
    return [lease.job.job_id for lease in leases]


def test_higher_priorities_go_first_and_each_in_order() -> None:
    queue = state()
    for order, (name, priority) in enumerate([("a", "low"), ("b", "normal"), ("c", "high"), ("d", "high")]):
        queue.add(job(name, order, priority=priority), 0.0)
    assert names(queue.take(3)) == ["c", "d", "b"]
    assert (queue.waiting, queue.leased) == (1, 3)
    assert names(queue.take(9)) == ["a"]


def test_delayed_job_is_ready_when_it_is_due_and_takes_its_place_by_order() -> None:
    queue = state()
    queue.add(job("a", 1, due=10.0), 0.0)
    queue.add(job("b", 2), 0.0)
    assert (queue.ready, queue.delayed, queue.next_deadline()) == (1, 1, 10.0)
    assert queue.ripen(9.9) == 0
    assert queue.ripen(10.0) == 1
    assert names(queue.take(2)) == ["a", "b"]


def test_lease_that_runs_out_is_told_once_and_extending_moves_it() -> None:
    queue = state()
    queue.add(job("a", 1), 0.0)
    (lease,) = queue.take(1)
    assert queue.next_deadline() is None, "it was not said how long"
    queue.extend(lease, 5.0)
    queue.extend(lease, 8.0)
    assert list(queue.run_out(5.0)) == []
    assert queue.next_deadline() == 8.0
    queue.extend(lease, 6.0)
    assert queue.next_deadline() == 6.0
    assert list(queue.run_out(7.0)) == [lease]
    queue.retry(lease, 7.0, "it took too long", 7.0)
    assert list(queue.run_out(99.0)) == []
    (second,) = queue.take(1)
    assert (second.job.attempts, lease.held, second.held) == (2, False, True)


def test_lease_that_is_being_settled_does_not_run_out() -> None:
    queue = state()
    queue.add(job("a", 1), 0.0)
    (lease,) = queue.take(1)
    queue.extend(lease, 5.0)
    lease.settling = True
    assert list(queue.run_out(9.0)) == []
    lease.settling = False
    queue.extend(lease, 5.0)
    assert list(queue.run_out(9.0)) == [lease]


def test_leases_that_have_ended_take_no_memory() -> None:
    """They run out long after they have ended: a busy queue would collect them by the million."""
    queue = state()
    for order in range(5000):
        queue.add(job(str(order), order), 0.0)
        (lease,) = queue.take(1)
        queue.extend(lease, 1000.0 + order)
        queue.finish(lease, 0.0)
    assert len(queue._leases) < 200
    assert queue.bytes == 0
    assert queue.next_deadline() is None


def test_attempt_that_does_not_count_is_taken_back() -> None:
    queue = state()
    queue.add(job("a", 1), 0.0)
    for _ in range(3):
        (lease,) = queue.take(1)
        assert lease.job.attempts == 1
        queue.give_back(lease, 0.0)


def test_dead_letter_waits_again_behind_all_others_or_is_dropped() -> None:
    queue = state()
    queue.add(job("a", 1, key="k"), 0.0)
    queue.add(job("b", 2), 0.0)
    (lease,) = queue.take(1)
    queue.bury(lease, 100.0, "no")
    dead = queue.dead["a"]
    assert (dead.status, dead.reason, queue.waiting, queue.leased) == (JobStatus.DEAD, "no", 1, 0)
    found = queue.find("k", 100.0)
    assert found is not None
    assert (found.job_id, found.status) == ("a", JobStatus.DEAD)
    queue.revive(dead, queue.next_order(), 5.0)
    assert names(queue.take(2)) == ["b", "a"]
    queue.bury(queue.jobs["a"].lease, 101.0, None)  # type: ignore[arg-type]  # it is leased just now
    queue.drop(queue.jobs["a"])
    assert queue.find("k", 101.0) is None
    assert set(queue.jobs) == {"b"}


def test_keys_of_done_jobs_are_remembered_by_number_and_age() -> None:
    queue = state(keys=2, key_seconds=50.0)
    forgotten = []
    for order, key in enumerate("abc"):
        queue.add(job(key, order, key=key), 0.0)
        (lease,) = queue.take(1)
        forgotten += queue.finish(lease, float(order))
    assert forgotten == ["a"]
    assert [queue.find(key, 3.0) is not None for key in "abc"] == [False, True, True]
    assert queue.find("b", 51.0) is None, "it is too old although nobody has looked yet"
    assert queue.forget_keys(51.5) == ["b"]


def test_key_that_is_done_again_is_as_young_as_its_second_time() -> None:
    queue = state(keys=2, key_seconds=50.0)
    for order, (key, wall) in enumerate([("a", 0.0), ("b", 40.0), ("a", 60.0)]):
        queue.add(job(f"{key}{order}", order, key=key), 0.0)
        queue.finish(queue.take(1)[0], wall)
    assert queue.find("a", 95.0) is not None
    assert queue.find("b", 95.0) is None
    assert queue.forget_keys(95.0) == ["b"]


def test_paused_queue_hands_out_nothing() -> None:
    queue = state()
    queue.add(job("a", 1), 0.0)
    queue.paused = True
    assert queue.take(1) == []
    queue.paused = False
    assert names(queue.take(1)) == ["a"]


def test_rate_is_the_mean_of_the_last_minute() -> None:
    rate = DoneRate()
    for second in range(120):
        rate.count(3, float(second))
        rate.count(3, second + 0.5)
    assert rate.rate(119.9) == 6.0
    assert rate.rate(149.9) == 3.0
    assert rate.rate(999.0) == 0.0


def test_oldest_is_that_which_was_put_first_though_it_goes_last() -> None:
    """A dead letter that is tried again waits behind all others, and is older than they are."""
    queue = state()
    queue.add(job("a", 1), 0.0)
    (lease,) = queue.take(1)
    queue.bury(lease, 50.0, "no")
    queue.add(job("b", 100), 0.0)
    assert queue.oldest() == 100.0
    queue.revive(queue.dead["a"], queue.next_order(), 0.0)
    assert queue.oldest() == 1.0
    assert names(queue.take(1)) == ["b"]
    assert queue.oldest() == 1.0
    assert names(queue.take(1)) == ["a"]
    assert queue.oldest() is None


def test_ages_of_what_is_ready_no_more_take_no_memory() -> None:
    """Nobody may ever ask how old the oldest is; and one that is given back again and again is there once."""
    queue = state()
    queue.add(job("held", -1), 0.0)
    (held,) = queue.take(1)
    queue.add(job("old", 0, priority="low"), 0.0)
    for order in range(1, 3000):
        queue.add(job(str(order), order), 0.0)
        (lease,) = queue.take(1)
        if order % 2:
            queue.give_back(lease, 0.0)
            (lease,) = queue.take(1)
        queue.finish(lease, 0.0)
    assert len(queue._ages._heap) < 200
    assert queue.oldest() == 0.0
    for _ in range(3000):
        queue.give_back(queue.take(1)[0], 0.0)
    assert len(queue._ages._heap) < 200
    assert (queue.oldest(), queue.ready) == (0.0, 1)
    queue.give_back(held, 0.0)
    assert (queue.oldest(), queue.ready) == (-1.0, 2)


@pytest.mark.parametrize("seed", range(30))
def test_state_agrees_with_a_model_that_sorts_lists(seed: int) -> None:
    """Whatever happens in whatever order: who is handed out next, and how many are where."""
    dice, queue, now = random.Random(seed), state(), 0.0
    waiting: dict[str, Job] = {}
    held: dict[str, Lease] = {}
    for step in range(600):
        action = dice.random()
        now += dice.choice([0.0, 0.0, 0.3, 2.0])
        queue.ripen(now)
        for lease in list(queue.run_out(now)):
            assert held.pop(lease.job.job_id) is lease
            assert lease.until <= now
            queue.retry(lease, now, None, now)
            waiting[lease.job.job_id] = lease.job
        assert not [lease for lease in held.values() if lease.until <= now]
        if action < 0.45:
            new = job(
                f"j{step}",
                queue.next_order(),
                priority=dice.choice([*Priority]),
                due=now + dice.choice([0.0, 0.0, 3.0]),
                max_attempts=1000,
            )
            queue.add(new, now)
            waiting[new.job_id] = new
        elif action < 0.7:
            ready = sorted(
                (each for each in waiting.values() if each.due <= now),
                key=lambda each: ([*Priority].index(each.priority), each.order),
            )
            taken = queue.take(dice.randint(1, 3))
            assert names(taken) == [each.job_id for each in ready[: len(taken)]]
            for lease in taken:
                queue.extend(lease, now + dice.choice([1.0, 5.0]))
                held[lease.job.job_id] = lease
                del waiting[lease.job.job_id]
        elif held:
            lease = held[dice.choice([*held])]
            if action < 0.8:
                queue.extend(lease, now + dice.choice([1.0, 9.0]))
                continue
            del held[lease.job.job_id]
            if action < 0.9:
                queue.finish(lease, now)
            else:
                queue.retry(lease, now + dice.choice([0.0, 2.0]), None, now)
                waiting[lease.job.job_id] = lease.job
        due = [each.put_at for each in waiting.values() if each.due <= now]
        assert (queue.oldest(), queue.ready) == (min(due, default=None), len(due))
        assert (queue.waiting, queue.leased, len(queue.jobs)) == (len(waiting), len(held), len(waiting) + len(held))
