"""Who takes jobs, and a job as it is in their hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.delivery_queue import settlement
from rtcore.features.delivery_queue.job import JobStatus, Lease, Priority
from rtcore.features.delivery_queue.job_fields import check_bound, check_seconds, over_zero
from rtcore.protocol.json_codec import json_loads
from rtcore.values.events import Json

if TYPE_CHECKING:  # only named here; a book hands these out
    from rtcore.features.delivery_queue.queue_book import QueueBook

__all__ = ["Consumer", "HeldJob"]

_LOST: Final = 64
"""Most leases that a consumer lost of which is remembered what became of the job, for the error."""
_DEPTH: Final = 254
"""Deepest nesting that is read: as deep as what the program puts can be written."""


class HeldJob:
    """
    A job that was leased: to be done, and then acknowledged, tried again later, or given up.

    What ends the lease is a checkpoint; when it returns, it is durable. If it raises, `trio.Cancelled` included,
    nothing has happened and the job is held yet.
    """

    def __init__(self, book: QueueBook, lease: Lease, consumer: Consumer) -> None:
        job = lease.job
        self.job_id = job.job_id
        self.attempt = job.attempts
        """1 the first time."""
        self.max_attempts = job.max_attempts
        self.priority: Priority = job.priority
        self.key = job.key
        """The idempotency key that it was put with: what this job does elsewhere can be made to happen once by it."""
        self.put_at = job.put_at
        """Unix seconds."""
        self.encoded = job.data
        """Its data as JSON text."""
        self.book = book
        self.lease = lease
        self.consumer = consumer
        self.scope: trio.CancelScope | None = None
        """Of the handler that has it, whose deadline `extend` moves."""
        self._settled: trio.Event | None = None  # made for who waits for it

    @property
    def data(self) -> Json:
        """What was put; read anew each time, so changing it changes nothing."""
        return json_loads(self.encoded, _DEPTH)

    @property
    def held(self) -> bool:
        """Whether the lease holds yet."""
        return self.lease.held

    async def ack(self) -> None:
        """The job is done: it is never handed out again. RequestError `request.conflict` if the lease has ended."""
        await settlement.acknowledge([self])

    async def retry(self, *, after: float | None = None, reason: str | None = None) -> JobStatus:
        """
        The attempt failed.

        Args:
            after: Seconds until the next; None: by exponential back-off with jitter.
            reason: In words for people.

        Returns:
            `dead` if it was the last attempt, otherwise `waiting`.

        Raises:
            RequestError: As `ack`.
        """
        if after is not None:
            after = check_seconds("after", after)
            check_bound("after", after, self.book.settings, "delay_seconds")
        return await settlement.give_up(self, after=after, reason=reason)

    async def fail(self, reason: str) -> JobStatus:
        """The job cannot be done: it is a dead letter, however often it might be tried yet. RequestError as `ack`."""
        return await settlement.give_up(self, reason=reason, final=True)

    def extend(self, seconds: float | None = None) -> None:
        """Hold it for so long from now, by default as long as at first. RequestError as `ack`; never blocks."""
        given = self.book.settings.processing_seconds if seconds is None else seconds
        seconds = check_seconds("seconds", given, over_zero)
        check_bound("seconds", seconds, self.book.settings, "delay_seconds")
        self.check("job_id")
        if self.scope is not None:
            self.scope.deadline = trio.current_time() + seconds
        else:
            self.book.extend(self.lease, seconds)

    async def wait_settled(self) -> None:
        """Wait until nobody is settling it any more; then it may be held yet. A checkpoint."""
        await trio.lowlevel.checkpoint()
        while self.lease.settling:
            self._settled = self._settled or trio.Event()
            await self._settled.wait()

    def stop_settling(self) -> None:
        """What should end the lease is over: it has, or that failed."""
        self.lease.settling = False
        if self._settled is not None:
            self._settled.set()
            self._settled = None

    def check(self, field: str) -> None:
        """Raise `request.conflict` unless the lease holds; `field` is where the job was named."""
        problem = self._problem()
        if problem is not None:
            raise RequestError(ErrorCode.CONFLICT, f"{field}: {problem}", field=field)

    def _problem(self) -> str | None:
        if self.lease.held:
            return f"job {self.job_id} is being settled already" if self.lease.settling else None
        became = self.book.became(self.job_id) or "it was dropped, or done too long ago to be remembered"
        return f"the lease on job {self.job_id} has ended: {became}"


class Consumer:
    """
    Whoever takes jobs, from however many queues: a connection, or a block in this process.

    Args:
        leases: Most jobs that it may have at once.
    """

    def __init__(self, leases: int) -> None:
        self.leases = leases
        self.held: dict[str, HeldJob] = {}
        """What it has, by job id."""
        self.gone = False
        """Whether it takes no more."""
        self.room = trio.lowlevel.ParkingLot()
        """Where those wait that want more than it may have."""
        self.scopes: set[trio.CancelScope] = set()
        """Of what is done in its name, to be cancelled when it goes."""
        self._lost: dict[str, HeldJob] = {}

    @property
    def free(self) -> int:
        """How many jobs more it may have."""
        return self.leases - len(self.held)

    def find(self, job_id: str, field: str) -> HeldJob | None:
        """A job that it has, or None; RequestError `request.conflict` that says what became of one that it lost."""
        held = self.held.get(job_id) or self._lost.get(job_id)
        if held is not None:
            held.check(field)
        return held

    def release(self, held: HeldJob, *, lost: bool = False) -> None:
        """It has a job no more."""
        if self.held.get(held.job_id) is held:
            del self.held[held.job_id]
        self._lost.pop(held.job_id, None)
        if lost:
            self._lost[held.job_id] = held
            if len(self._lost) > _LOST:
                del self._lost[next(iter(self._lost))]
        self.room.unpark()

    def close(self, failed: str | None = None) -> None:
        """
        Give back all that it has, at once; idempotent. What is just being settled is left until that is over.

        Args:
            failed: Why its attempts failed; None: they do not count.
        """
        self.gone = True
        for scope in self.scopes:
            scope.cancel()
        for held in list(self.held.values()):
            if held.lease.settling:
                continue
            if failed is None:
                held.book.give_back(held)
            else:
                held.book.end(held, failed)
        self.room.unpark_all()
