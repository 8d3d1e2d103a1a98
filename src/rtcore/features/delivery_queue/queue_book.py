"""
One queue as it is kept: its state, what of it is in the store, who holds what, and what is published.

Every change is checked, written, and only then made and told; nobody waits for the writing of what happens by itself (a
lease that runs out, a consumer that goes away): see `backlog`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import trio

from rtcore.errors import HubClosed
from rtcore.features.delivery_queue.backlog import Backlog, Failure, Wanting
from rtcore.features.delivery_queue.budget import Budget
from rtcore.features.delivery_queue.holding import Consumer, HeldJob
from rtcore.features.delivery_queue.job import Job, JobStatus, Lease
from rtcore.features.delivery_queue.job_fields import REASON_LENGTH
from rtcore.features.delivery_queue.queue_events import QueueEvents
from rtcore.features.delivery_queue.queue_state import QueueState
from rtcore.features.delivery_queue.queue_store import QueueName, QueueStore
from rtcore.features.delivery_queue.settings import QueueSettings
from rtcore.features.delivery_queue.statistics import DoneRate, QueueStatistics
from rtcore.features.failure import bounded_text
from rtcore.hub.hub import Hub
from rtcore.hub.timeouts import Timer
from rtcore.store.store import Change
from rtcore.values.backoff import full_jitter
from rtcore.values.events import Json, format_timestamp

__all__ = ["QueueBook"]


_BECAME: Final = {
    JobStatus.WAITING: "it waits again",
    JobStatus.LEASED: "another consumer has it",
    JobStatus.DEAD: "it is a dead letter",
}


class QueueBook:
    """
    Args:
        hub: Whose clocks and channels are used.
        queue: Its name.
        settings: Bounds and times.
        store: Where it outlives the process.
        budget: What all queues share.
        writer: Who writes what goes with nothing else.
        uniform: Chance, for back-off.
    """

    def __init__(
        self,
        hub: Hub,
        queue: QueueName,
        settings: QueueSettings,
        store: QueueStore,
        budget: Budget,
        writer: Wanting,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.queue = queue
        self.settings = settings
        self.store = store
        self.state = QueueState(keys=settings.keys, key_seconds=settings.key_seconds, done_jobs=settings.done_jobs)
        self.backlog = Backlog(queue, store, self.state, writer, partial(self.fail, lost=True))
        self.emptied = trio.lowlevel.ParkingLot()
        """Where those wait that want nothing to be leased, or nothing to wait."""
        self.pausing = trio.Lock()
        self.closed = False
        self._hub = hub
        self.budget = budget
        self._uniform = uniform
        self._events = QueueEvents(hub, queue, settings.event_seconds, lambda: self.statistics().document())
        self._arrived = trio.lowlevel.ParkingLot()
        self._holds: dict[str, HeldJob] = {}
        self._timer: Timer | None = None
        self._rate = DoneRate()
        self._done = 0
        self._failed = 0
        self._users = 0

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Somebody is at it in this block, and must not find it forgotten."""
        self.hold()
        try:
            yield
        finally:
            self.let_go()

    def hold(self) -> None:
        """As `in_use`, until `let_go`."""
        self._users += 1

    def let_go(self) -> None:
        """The other half of `hold`."""
        self._users -= 1

    def look_idle(self) -> bool:
        """
        Whether it holds nothing and nobody is at it. Keys that have grown too old are forgotten first; what is to be
        written of that may be left yet: `Backlog.empty`.
        """
        self.backlog.add_keys(self.state.forget_keys(self._hub.clock()))
        return not (self.state.jobs or self.state.keys or self.state.paused or self._users)

    def load(self, jobs: Sequence[Job]) -> None:
        """Take in jobs that are in the store."""
        now = trio.current_time()
        for job in jobs:
            self.state.add(job, now)
        self._arrange(len(jobs))

    # Handing out

    async def lease(self, consumer: Consumer, count: int, *, seconds: float, wait: float = math.inf) -> list[HeldJob]:
        """
        Lease up to `count` jobs for so long, as far as the consumer has room; waits for the first of them.

        A checkpoint. Cancelled, it has leased nothing. The attempts are written before the jobs are handed out.

        Returns:
            The jobs; none if the wait is over, or the consumer gone.

        Raises:
            RequestError: `server.unavailable` if it cannot be written.
            HubClosed: The hub has ended.
        """
        held: list[HeldJob] = []
        with trio.move_on_after(wait):
            while not consumer.gone and not (held := self._take(consumer, count)):
                if consumer.free > 0:
                    await self._arrived.park()
                else:
                    self._pass_on()
                    await consumer.room.park()
        if not held:
            self._pass_on()
            await trio.lowlevel.checkpoint()
            return held
        written = False
        try:
            with self.backlog.writing() as changes:
                await self.store.write([*changes, *(self._progress(each.lease.job) for each in held)])
            written = True
        finally:
            for each in held:
                each.lease.settling = False
                if written and not consumer.gone:
                    self.extend(each.lease, seconds)
                else:
                    self.give_back(each)
        return [] if consumer.gone else held

    def _take(self, consumer: Consumer, count: int) -> list[HeldJob]:
        self.check_open()
        held = []
        for lease in self.state.take(min(count, consumer.free)):
            lease.settling = True  # until it is written
            each = HeldJob(self, lease, consumer)
            consumer.held[each.job_id] = self._holds[each.job_id] = each
            held.append(each)
        return held

    def _pass_on(self) -> None:
        """Whoever was woken for a job and cannot have it wakes the next."""
        if self.state.ready:
            self._arrived.unpark()

    def extend(self, lease: Lease, seconds: float) -> None:
        """Hold a job for so long from now."""
        self.state.extend(lease, trio.current_time() + seconds)
        self._arrange(0)

    def give_back(self, held: HeldJob) -> None:
        """End a lease as though it had never been: the job is ready again, in its old place."""
        self.state.give_back(held.lease, trio.current_time())
        self._forget(held, lost=True)
        self.backlog.add_job(held.lease.job)
        self._arrange(1)

    def end(self, held: HeldJob, reason: str) -> None:
        """
        End a lease without a word from its holder: the attempt failed, and the job is ready again in its old place, or
        dead if that was its last attempt. It is so when it is written, which begins at once.
        """
        self.backlog.add_end(held, self.judge(held, reason=reason, after=0.0))

    # Settling, for `settlement`

    def done_changes(self, held: HeldJob) -> list[Change]:
        """What is written when a job is done."""
        remembered = self.settings.keys > 0
        return self.store.done(self.queue, held.lease.job, self._hub.clock(), remembered=remembered)

    def finish(self, held: HeldJob) -> None:
        """A job is done, and that is written."""
        forgotten = self.state.finish(held.lease, self._hub.clock())
        self.backlog.add_keys(forgotten)
        self.budget.add(self.queue.workspace, -held.lease.job.size)
        self._forget(held)
        self._arrange(0)

    def tell_done(self, held: HeldJob, count: int) -> None:
        """So many jobs were done, this one among them."""
        self._done += count
        self._rate.count(count, trio.current_time())
        self._events.happened("queue.job_done", {"job_id": held.job_id}, count)

    def judge(
        self, held: HeldJob, *, reason: str | None, after: float | None = None, final: bool = False
    ) -> Failure:
        """What is to become of a job whose attempt failed."""
        job = held.lease.job
        reason = None if reason is None else bounded_text(reason, REASON_LENGTH)
        if final or job.exhausted:
            wall = self._hub.clock()
            return Failure(
                due=None, dead_at=wall, reason=reason, change=self._progress(job, reason=reason, dead_at=wall)
            )
        if after is None:
            first, most = self.settings.retry_seconds, self.settings.retry_maximum_seconds
            after = full_jitter(job.attempts - 1, first, most, self._uniform)
        due = trio.current_time() + after
        return Failure(due=due, dead_at=None, reason=reason, change=self._progress(job, reason=reason, due=due))

    def fail(self, held: HeldJob, failure: Failure, *, lost: bool = False) -> None:
        """An attempt failed, and that is written."""
        self._failed += 1
        told: dict[str, Json] = {"job_id": held.job_id, "attempt": held.attempt, "reason": failure.reason}
        now = trio.current_time()
        if failure.due is not None:
            self.state.retry(held.lease, failure.due, failure.reason, now)
            self._forget(held, lost=lost)
            self._arrange(1)
            self._events.happened("queue.job_failed", told | {"retry_after": round(max(failure.due - now, 0.0), 3)})
        else:
            assert failure.dead_at is not None
            self.state.bury(held.lease, failure.dead_at, failure.reason)
            self._forget(held, lost=lost)
            self._arrange(0)
            self._events.happened("queue.job_dead", told)

    def unsettled(self, held: HeldJob) -> None:
        """What should have ended a lease could not be written: what was put off meanwhile happens now."""
        if held.consumer.gone:
            self.end(held, "its consumer went away")
        elif held.lease.until < math.inf:
            self.state.extend(held.lease, held.lease.until)
            self._arrange(0)

    # Looking, and the rest

    def statistics(self) -> QueueStatistics:
        """A snapshot."""
        state, wall = self.state, self._hub.clock()
        oldest = state.oldest()
        return QueueStatistics(
            queue=self.queue.name,
            paused=state.paused,
            waiting=state.waiting,
            delayed=state.delayed,
            leased=state.leased,
            dead=len(state.dead),
            done=self._done,
            failed=self._failed,
            rate=self._rate.rate(trio.current_time()),
            oldest_seconds=0.0 if oldest is None else round(max(wall - oldest, 0.0), 3),
            bytes=state.bytes,
            keys=state.keys,
        )

    def became(self, job_id: str) -> str | None:
        """What became of a job, in words; None: nothing is known of it here."""
        done_at = self.state.done_at(job_id)
        if done_at is not None:
            return f"it is done since {format_timestamp(done_at)}"
        job = self.state.jobs.get(job_id)
        if job is None:
            return None
        settling = job.lease is not None and job.lease.settling
        return "what becomes of it is just being written: ask again" if settling else _BECAME[job.status]

    def revive(self, jobs: Sequence[tuple[Job, int]]) -> None:
        """Dead letters wait again, each with a new place; that is written."""
        for job, order in jobs:
            self.state.revive(job, order, trio.current_time())
        self._arrange(len(jobs))

    def drop(self, jobs: Sequence[Job]) -> None:
        """Dead letters are forgotten; that is written."""
        for job in jobs:
            self.state.drop(job)
            self.budget.add(self.queue.workspace, -job.size)

    def set_paused(self, paused: bool) -> None:
        """Hand out nothing, or go on; that is written."""
        self.state.paused = paused
        self._events.happened("queue.paused" if paused else "queue.resumed", {})
        self._arrange(self.state.ready)

    def close(self) -> None:
        """The hub has ended: nothing more is put or handed out."""
        self.closed = True
        self._arrived.unpark_all()
        self.emptied.unpark_all()

    def check_open(self) -> None:
        """Raise HubClosed if the hub has ended."""
        if self.closed:
            raise HubClosed("the hub has ended")

    def _progress(self, job: Job, **becomes: float | str | None) -> Change:
        return self.store.progress(self.queue, job, **becomes)  # type: ignore[arg-type]  # its own names, checked there

    def _forget(self, held: HeldJob, *, lost: bool = False) -> None:
        if self._holds.get(held.job_id) is held:
            del self._holds[held.job_id]
        held.consumer.release(held, lost=lost)

    def _arrange(self, arrived: int) -> None:
        """Wake as many as there may be jobs for, whoever waits for the end of jobs, and look when it is time."""
        if arrived:
            self._arrived.unpark(count=arrived)
        if not self.state.leased or not self.state.waiting:
            self.emptied.unpark_all()
        deadline = self.state.next_deadline()
        if deadline is None or (self._timer is not None and self._timer.deadline <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._hub.timeouts.call_at(deadline, self._on_time)

    def _on_time(self) -> float | None:
        timer, self._timer = self._timer, None
        now = trio.current_time()
        ripe = self.state.ripen(now)
        for lease in list(self.state.run_out(now)):
            self.end(self._holds[lease.job.job_id], "it took too long")
        if ripe:
            self._arrived.unpark(count=ripe)
        deadline = self.state.next_deadline()
        if self._timer is not None:  # one was set meanwhile
            return None
        self._timer = timer if deadline is not None else None
        return deadline
