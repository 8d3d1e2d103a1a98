"""A queue as the program has it: to put jobs, to do them, and to look after those that failed."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NoReturn, Self

import trio
from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.delivery_queue.holding import Consumer, HeldJob
from rtcore.features.delivery_queue.intake import Intake
from rtcore.features.delivery_queue.job import Job, Priority, Receipt
from rtcore.features.delivery_queue.job_fields import check_argument, check_count, listed_job, new_job
from rtcore.features.delivery_queue.queue_book import QueueBook
from rtcore.features.delivery_queue.statistics import QueueStatistics
from rtcore.features.delivery_queue.worker import Handler, run_worker
from rtcore.protocol.json_codec import json_fragment
from rtcore.values.events import Json, format_timestamp
from rtcore.values.rules import number, whole
from rtcore.values.shown import show

__all__ = ["DeadJob", "DeliveryQueue", "JobStream"]

@frozen(kw_only=True)
class DeadJob:
    """A dead letter."""

    job_id: str
    encoded: bytes
    """Its data as JSON text."""
    priority: Priority
    key: str | None
    attempts: int
    reason: str | None
    """Why the last attempt failed."""
    put_at: float
    """Unix seconds."""
    dead_at: float
    """Unix seconds."""

    def document(self) -> dict[str, object]:
        """As clients are told."""
        return {
            "job_id": self.job_id,
            "data": json_fragment(self.encoded),
            "priority": self.priority,
            "key": self.key,
            "attempts": self.attempts,
            "reason": self.reason,
            "put_at": format_timestamp(self.put_at),
            "dead_at": format_timestamp(self.dead_at),
        }


class JobStream:
    """Jobs, one after the other, as an async iterator that ends with its block."""

    def __init__(self, book: QueueBook, consumer: Consumer, seconds: float) -> None:
        self._book = book
        self._consumer = consumer
        self._seconds = seconds

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> HeldJob:
        """
        The next job; a checkpoint. Waits until there is one, and until the consumer has room for it. Cancelled, it has
        taken none.

        Raises:
            RequestError: `server.unavailable` if it cannot be written.
            HubClosed: The hub has ended.
        """
        for held in await self._book.lease(self._consumer, 1, seconds=self._seconds):
            return held
        raise StopAsyncIteration

    async def take(self, count: int, *, wait: float = math.inf) -> list[HeldJob]:
        """
        Up to `count` jobs at once, as far as the consumer has room; none if none came within `wait` seconds.

        As `__anext__` otherwise; ValueError if `count` or `wait` cannot be one.
        """
        check_argument("count", count, whole(1))
        if wait != math.inf:
            check_argument("wait", wait, number())
        return await self._book.lease(self._consumer, count, seconds=self._seconds, wait=wait)


class DeliveryQueue:
    """
    `DeliveryQueues.open` makes one. Any number of tasks may use it at once.

    It may have been forgotten, to make room for another: then its next use brings it back, or leads to the one that has
    its name by then.

    Args:
        book: Its own.
        intake: Of that book.
        find: The queue that has its name now, made where there is none.
    """

    def __init__(self, book: QueueBook, intake: Intake, find: Callable[[], DeliveryQueue]) -> None:
        self.name = book.queue.name
        self.workspace = book.queue.workspace
        self.own = book
        """The book it came with, whether that is in use or was forgotten."""
        self._intake = intake
        self._find = find

    @property
    def book(self) -> QueueBook:
        """The one that is in use; RequestError `limit.busy` if it was forgotten and there is no room for it."""
        return self._find().own

    @property
    def intake(self) -> Intake:
        """As `book`."""
        return self._find()._intake

    # Putting

    async def put(
        self,
        data: Json,
        *,
        priority: str = Priority.NORMAL,
        key: str | None = None,
        delay: float = 0.0,
        max_attempts: int | None = None,
    ) -> Receipt:
        """
        Put a job. When this returns it is kept, and will be done at least once, also after a restart.

        A checkpoint. Cancelled, nothing was put.

        Args:
            data: What is to be done, as JSON of at most `QueueSettings.data_bytes`.
            priority: `high`, `normal` or `low`.
            key: Up to `QueueSettings.key_characters` that name the job. While one with this key is there, and
                `key_seconds` after it was done, putting it again does nothing, whatever its data.
            delay: Seconds before it may be handed out.
            max_attempts: How often it is tried; by default `QueueSettings.max_attempts`.

        Raises:
            RequestError: An argument is not acceptable; `limit.busy` if there is no room; `server.unavailable` if it
                cannot be written.
            HubClosed: The hub has ended.
        """
        job = new_job(data, self.own.settings, priority=priority, key=key, delay=delay, max_attempts=max_attempts)
        return (await self.intake.put([job]))[0]

    async def put_many(self, jobs: Iterable[Mapping[str, Any]]) -> list[Receipt]:
        """
        Put up to `QueueSettings.batch_jobs` jobs, all or none; each a mapping of the arguments of `put`, with `data`.

        A checkpoint; returns, raises and is cancelled as `put`.
        """
        given, settings = list(jobs), self.own.settings
        if not given:
            raise RequestError(ErrorCode.MALFORMED, "jobs: expected one or more entries, got 0", field="jobs")
        check_count("jobs", len(given), "entries", settings, "batch_jobs")
        return await self.intake.put(
            [listed_job(job, settings, f"jobs[{index}]") for index, job in enumerate(given)]
        )

    # Doing

    @asynccontextmanager
    async def consume(self, *, leases: int | None = None, seconds: float | None = None) -> AsyncGenerator[JobStream]:
        """
        Take jobs in this block; what it has not settled when it is left is given back at once, and was not tried.

        Args:
            leases: Most jobs that it has at once; by default `QueueSettings.leases`.
            seconds: How long a job may be held without `extend`; by default `QueueSettings.processing_seconds`.

        Raises:
            ValueError: `leases` is below 1, or `seconds` not over 0.
        """
        seconds = self._seconds(seconds)
        async with self._consumer("leases", leases) as (book, consumer):
            yield JobStream(book, consumer, seconds)

    async def work(self, handler: Handler, *, concurrency: int | None = None, seconds: float | None = None) -> None:
        """
        Have a handler do jobs until cancelled; see `worker`.

        Its return acknowledges the job. An exception of it, or taking longer than `seconds`, is a failed attempt: the
        job is tried again after a while, and dead after its last attempt. Cancelled, its jobs are given back at once.
        While the store fails, it waits and tries again.

        Args:
            handler: Called with each job; may settle it itself before it returns.
            concurrency: Most jobs at once; by default `QueueSettings.leases`.
            seconds: Given to each attempt; by default `QueueSettings.processing_seconds`.

        Raises:
            HubClosed: The hub has ended; in an exception group.
            ValueError: `concurrency` is below 1, or `seconds` not over 0.
        """
        seconds = self._seconds(seconds)
        async with self._consumer("concurrency", concurrency) as (book, consumer), trio.open_nursery() as nursery:
            for _ in range(consumer.leases):
                nursery.start_soon(run_worker, book, consumer, handler, seconds)

    def _seconds(self, given: float | None) -> float:
        seconds = self.own.settings.processing_seconds if given is None else given
        check_argument("seconds", seconds, number(over=True))
        return seconds

    @asynccontextmanager
    async def _consumer(self, name: str, given: int | None) -> AsyncGenerator[tuple[QueueBook, Consumer]]:
        leases = self.own.settings.leases if given is None else given
        check_argument(name, leases, whole(1))
        book, consumer = self.book, Consumer(leases)
        with book.in_use():
            try:
                yield book, consumer
            finally:
                left = bool(consumer.held)
                consumer.close()
                if left:
                    await book.backlog.flush()

    # Looking after it

    def statistics(self) -> QueueStatistics:
        """A snapshot."""
        return self.book.statistics()

    async def pause(self) -> None:
        """Hand out nothing, also after a restart, until `resume`; what is leased may be settled. A checkpoint."""
        await self._set_paused(True)

    async def resume(self) -> None:
        """Hand out jobs again. A checkpoint."""
        await self._set_paused(False)

    async def _set_paused(self, paused: bool) -> None:
        book = self.book
        with book.in_use():
            async with book.pausing:
                if book.state.paused is not paused:
                    await book.store.write([book.store.paused(book.queue, paused)])
                    book.set_paused(paused)

    async def drain(self) -> None:
        """Pause, and wait until nobody has a job any more. A checkpoint; cancelled while it waits, it has paused."""
        await self.pause()
        book = self.book
        with book.in_use():
            while book.state.leased:
                book.check_open()
                await book.emptied.park()

    async def wait_empty(self) -> None:
        """Wait until all jobs are done or dead. A checkpoint."""
        await trio.lowlevel.checkpoint()
        book = self.book
        with book.in_use():
            while book.state.leased or book.state.waiting:
                book.check_open()
                await book.emptied.park()

    def dead(self, *, after: str | None = None, limit: int = 100, field: str = "after") -> list[DeadJob]:
        """
        Dead letters, the oldest first.

        Args:
            after: Only those behind the one with this id; none if it is the last.
            limit: Most of them.
            field: Where `after` was given, for the error.

        Raises:
            RequestError: `request.not_found` if `after` is none, or none any more.
            ValueError: `limit` is below 1.
        """
        check_argument("limit", limit, whole(1))
        dead = list(self.book.state.dead.values())
        if after is not None:
            place = next((index for index, job in enumerate(dead, 1) if job.job_id == after), None)
            if place is None:
                _refuse(field, after)
            dead = dead[place:]
        return [_dead_job(job) for job in dead[:limit]]

    async def requeue(self, job_ids: Sequence[str] | None = None, *, field: str = "job_ids") -> int:
        """
        Try dead letters again, all or none, as though they had been put just now; None: all there are.

        A checkpoint; cancelled, nothing was changed. Returns how many.

        Raises:
            RequestError: `request.not_found` if one is no dead letter; `server.unavailable` if it cannot be written.
        """
        book = self.book
        orders = [(job, book.state.next_order()) for job in _find_dead(book, job_ids, field)]
        changes = [
            book.store.progress(book.queue, job, attempts=0, order=order, due=trio.current_time())
            for job, order in orders
        ]
        with _tending(book, [job for job, _ in orders]):
            await book.store.write(changes)
        book.revive(orders)
        return len(orders)

    async def drop(self, job_ids: Sequence[str] | None = None, *, field: str = "job_ids") -> int:
        """Forget dead letters, with their keys, all or none; None: all there are. Otherwise as `requeue`."""
        book = self.book
        jobs = _find_dead(book, job_ids, field)
        with _tending(book, jobs):
            changes = [change for job in jobs for change in book.store.gone(book.queue, job)]
            await book.store.write(changes)
        book.drop(jobs)
        return len(jobs)


def _find_dead(book: QueueBook, job_ids: Sequence[str] | None, field: str) -> list[Job]:
    dead, tended = book.state.dead, book.backlog.tended
    if job_ids is None:
        return [job for job in dead.values() if job.job_id not in tended]
    for index, name in enumerate(job_ids):
        if name not in dead or name in tended:
            _refuse(f"{field}[{index}]", name)
    return [dead[name] for name in dict.fromkeys(job_ids)]


@contextmanager
def _tending(book: QueueBook, jobs: Sequence[Job]) -> Iterator[None]:
    names, tended = {job.job_id for job in jobs}, book.backlog.tended
    tended |= names
    try:
        yield
    finally:
        tended -= names


def _refuse(field: str, name: object) -> NoReturn:
    raise RequestError(ErrorCode.NOT_FOUND, f"{field}: {show(name)} is no dead letter of this queue", field=field)


def _dead_job(job: Job) -> DeadJob:
    assert job.dead_at is not None
    return DeadJob(
        job_id=job.job_id,
        encoded=job.data,
        priority=job.priority,
        key=job.key,
        attempts=job.attempts,
        reason=job.reason,
        put_at=job.put_at,
        dead_at=job.dead_at,
    )
