"""
One queue: which jobs wait, who has which, which are dead, which keys are done. Pure: time is an argument.

    put -> waiting (until due, then by priority and order) -> leased -> done
                  ^                                             |-> waiting again, at once or later
                  |                                             `-> dead -> waiting again, or dropped

An attempt is counted when a job is handed out. A lease that runs out, and a consumer that goes away, have failed: the
job is ready again, or dead if that was its last attempt. So a job that takes its consumers down is not tried for ever.

Two clocks: `now` is steady, in seconds, and rules leases and delays. `put_at`, `dead_at` and keys are in Unix seconds.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Final

from rtcore.features.delivery_queue.ages import Ages
from rtcore.features.delivery_queue.job import DoneKey, Job, JobStatus, Lease, Priority, Receipt

__all__ = ["QueueState"]

_LEAST_TO_CLEAN: Final = 128
"""Entries; below, those that are over cost less than looking for them."""


class QueueState:
    """
    Args:
        keys: Most keys of jobs that were done.
        key_seconds: How long they are remembered.
        done_jobs: Most jobs that are remembered as done.
    """

    def __init__(self, *, keys: int, key_seconds: float, done_jobs: int) -> None:
        self.jobs: dict[str, Job] = {}
        """All that are not done, dead letters included, by id."""
        self.dead: dict[str, Job] = {}
        """Dead letters, the oldest first."""
        self.bytes = 0
        """Bytes of all jobs."""
        self.leased = 0
        self.last_order = 0
        self.paused = False
        self._ages = Ages()
        self._ready: dict[Priority, list[tuple[int, Job]]] = {priority: [] for priority in Priority}
        self._delayed: list[tuple[float, int, Job]] = []
        self._leases: list[tuple[float, int, Lease]] = []
        self._entries = 0  # numbers heap entries, so that equal times never compare what stands behind them
        self._open_keys: dict[str, Job] = {}
        self._done_keys: OrderedDict[str, DoneKey] = OrderedDict()
        self._done: OrderedDict[str, float] = OrderedDict()  # when, by job id
        self._maximum_done = done_jobs
        self._maximum_keys = keys
        self._key_seconds = key_seconds

    # Putting

    def find(self, key: str, wall: float) -> Receipt | None:
        """What is known of the job with a key; None: nothing."""
        job = self._open_keys.get(key)
        if job is not None:
            return Receipt(job_id=job.job_id, duplicate=True, status=job.status)
        done = self._done_keys.get(key)
        if done is None or wall - done.done_at >= self._key_seconds:
            return None
        return Receipt(job_id=done.job_id, duplicate=True, status=JobStatus.DONE)

    def next_order(self) -> int:
        """A number behind all others."""
        self.last_order += 1
        return self.last_order

    def add(self, job: Job, now: float) -> None:
        """Take in a job, waiting or dead."""
        self.jobs[job.job_id] = job
        self.bytes += job.size
        self.last_order = max(self.last_order, job.order)
        if job.key is not None:
            self._open_keys[job.key] = job
        if job.dead_at is not None:
            self.dead[job.job_id] = job
        else:
            self._wait(job, now)

    def _wait(self, job: Job, now: float) -> None:
        if job.due <= now:
            self._make_ready(job)
        else:
            heappush(self._delayed, (job.due, self._entry(), job))

    def _make_ready(self, job: Job) -> None:
        heappush(self._ready[job.priority], (job.order, job))
        self._ages.add(job)

    def _entry(self) -> int:
        self._entries += 1
        return self._entries

    # Handing out

    @property
    def waiting(self) -> int:
        """Jobs that wait, ready or not."""
        return self.ready + len(self._delayed)

    @property
    def ready(self) -> int:
        """Jobs that could be handed out."""
        return len(self._ages)

    @property
    def delayed(self) -> int:
        """Jobs that are not due."""
        return len(self._delayed)

    @property
    def keys(self) -> int:
        """Keys of jobs that were done."""
        return len(self._done_keys)

    def oldest(self) -> float | None:
        """When the oldest job that is ready was put, in Unix seconds."""
        return self._ages.oldest()

    def take(self, count: int) -> list[Lease]:
        """Lease up to so many jobs, for ever: by priority, then in order; none while paused."""
        leases: list[Lease] = []
        if self.paused:
            return leases
        for heap in self._ready.values():
            while heap and len(leases) < count:
                _, job = heappop(heap)
                self._ages.remove(job)
                lease = job.lease = Lease(job, math.inf)
                job.attempts += 1
                self.leased += 1
                leases.append(lease)
        return leases

    def extend(self, lease: Lease, until: float) -> None:
        """Let a lease run out then, and not before; infinity: never."""
        lease.until = until
        if until < lease.looked_at:  # otherwise it is looked at early, and put back
            if len(self._leases) > 2 * self.leased + _LEAST_TO_CLEAN:
                self._clean()
            lease.looked_at = until
            heappush(self._leases, (until, self._entry(), lease))

    def _clean(self) -> None:
        """Take out leases that have ended: most do long before they run out."""
        self._leases = [each for each in self._leases if each[2].held and each[2].looked_at == each[0]]
        heapify(self._leases)

    # Settling: each ends a lease that is held

    def finish(self, lease: Lease, wall: float) -> list[str]:
        """
        The job is done.

        Returns:
            Keys of earlier jobs that are forgotten from now on.
        """
        job = self._remove(lease.job)
        self._remember_done(job.job_id, wall)
        if job.key is None or not self._maximum_keys:
            return []
        self._done_keys.pop(job.key, None)  # of a job that was done so long ago that it does not count
        self._done_keys[job.key] = DoneKey(job.job_id, wall)
        return self.forget_keys(wall)

    def remember(self, key: str, done: DoneKey) -> None:
        """Take in a key, in the order in which jobs were done."""
        self._done_keys[key] = done
        self._remember_done(done.job_id, done.done_at)

    def _remember_done(self, job_id: str, wall: float) -> None:
        self._done[job_id] = wall
        if len(self._done) > self._maximum_done:
            self._done.popitem(last=False)

    def done_at(self, job_id: str) -> float | None:
        """When a job was done, in Unix seconds; None: it was not, or that is forgotten."""
        return self._done.get(job_id)

    def remembers(self, key: str) -> bool:
        """Whether it is the key of a job that was done."""
        return key in self._done_keys

    def open_job(self, key: str) -> Job | None:
        """The job with a key that is not done."""
        return self._open_keys.get(key)

    def forget_keys(self, wall: float) -> list[str]:
        """Forget the keys that are too old, or too many; returns them."""
        forgotten: list[str] = []
        while self._done_keys:
            key, done = next(iter(self._done_keys.items()))
            if len(self._done_keys) <= self._maximum_keys and wall - done.done_at < self._key_seconds:
                break
            del self._done_keys[key]
            forgotten.append(key)
        return forgotten

    def retry(self, lease: Lease, due: float, reason: str | None, now: float) -> None:
        """The attempt failed; there will be another."""
        job = self._release(lease)
        job.reason, job.due = reason, due
        self._wait(job, now)

    def bury(self, lease: Lease, wall: float, reason: str | None) -> None:
        """The attempt failed, and it was the last: the job is a dead letter."""
        job = self._release(lease)
        job.reason, job.dead_at = reason, wall
        self.dead[job.job_id] = job

    def give_back(self, lease: Lease, now: float) -> None:
        """The job is ready again, in its old place, and the attempt does not count."""
        job = self._release(lease)
        job.attempts -= 1
        self._wait(job, now)

    def _release(self, lease: Lease) -> Job:
        assert lease.held, f"the lease on job {lease.job.job_id} has ended"
        self.leased -= 1
        lease.job.lease = None
        return lease.job

    def _remove(self, job: Job) -> Job:
        if job.lease is not None:
            self._release(job.lease)
        del self.jobs[job.job_id]
        self.dead.pop(job.job_id, None)
        self.bytes -= job.size
        if job.key is not None:
            del self._open_keys[job.key]
        return job

    # Dead letters

    def revive(self, job: Job, order: int, now: float) -> None:
        """A dead letter waits again, behind all others, as though it had never been tried."""
        del self.dead[job.job_id]
        job.dead_at, job.attempts, job.order, job.due = None, 0, order, now
        self._wait(job, now)

    def drop(self, job: Job) -> None:
        """A dead letter is forgotten, with its key."""
        assert job.dead_at is not None, f"job {job.job_id} is no dead letter"
        self._remove(job)

    # Time

    def ripen(self, now: float) -> int:
        """Make ready what is due; returns how many jobs that are."""
        count = 0
        while self._delayed and self._delayed[0][0] <= now:
            _, _, job = heappop(self._delayed)
            self._make_ready(job)
            count += 1
        return count

    def run_out(self, now: float) -> Iterator[Lease]:
        """The leases that have run out, for the caller to end. Those being settled are left."""
        while self._leases and self._leases[0][0] <= now:
            at, _, lease = heappop(self._leases)
            if not lease.held or lease.looked_at != at:
                continue
            lease.looked_at = math.inf
            if lease.until > now:
                self.extend(lease, lease.until)
            elif not lease.settling:
                yield lease

    def next_deadline(self) -> float | None:
        """When something is due or runs out."""
        while self._leases and not (self._leases[0][2].held and self._leases[0][2].looked_at == self._leases[0][0]):
            heappop(self._leases)
        times = [heap[0][0] for heap in (self._delayed, self._leases) if heap]
        return min(times, default=None)
