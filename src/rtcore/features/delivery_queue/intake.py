"""How jobs come into a queue: once for each key, all of a batch or none, and only as many as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.delivery_queue.job import Job, NewJob, Receipt
from rtcore.features.delivery_queue.queue_book import QueueBook
from rtcore.features.scope import new_identifier
from rtcore.store.store import Change

__all__ = ["Intake"]


class Intake:
    """
    Args:
        book: Where the jobs go.
        clock: Unix seconds.
    """

    def __init__(self, book: QueueBook, clock: Callable[[], float]) -> None:
        self._book = book
        self._clock = clock
        self._coming: dict[str, trio.Event] = {}  # keys of jobs that are being written
        self._reserved = 0

    async def put(
        self, jobs: Sequence[NewJob], also: Callable[[Sequence[Receipt]], Sequence[Change]] | None = None
    ) -> list[Receipt]:
        """
        Keep jobs, all or none, and tell what became of each.

        A checkpoint; durable when it returns. Cancelled, nothing was put.

        Args:
            jobs: What is to be put.
            also: What is written with them.

        Raises:
            RequestError: `limit.busy` if there is no room; `server.unavailable` if it cannot be written.
            HubClosed: The hub has ended.
        """
        with self._book.in_use():
            while (coming := self._first_coming(jobs)) is not None:  # it may fail, and then this one is the first
                await coming.wait()
            self._book.check_open()
            receipts, made = self._make(jobs)
            others = [] if also is None else also(receipts)
            if made or others:
                await self._write(made, others)
            else:
                await trio.lowlevel.checkpoint()
        return receipts

    def _first_coming(self, jobs: Sequence[NewJob]) -> trio.Event | None:
        return next((self._coming[job.key] for job in jobs if job.key in self._coming), None)

    def _make(self, jobs: Sequence[NewJob]) -> tuple[list[Receipt], list[Job]]:
        receipts: list[Receipt] = []
        made: dict[str, Job] = {}
        for new in jobs:
            receipt = self._known(new.key, made)
            if receipt is None:
                job = self._new(new)
                made[new.key or job.job_id] = job
                receipt = Receipt(job_id=job.job_id, duplicate=False, status=job.status)
            receipts.append(receipt)
        return receipts, list(made.values())

    def _known(self, key: str | None, made: dict[str, Job]) -> Receipt | None:
        if key is None:
            return None
        if key in made:
            return Receipt(job_id=made[key].job_id, duplicate=True, status=made[key].status)
        return self._book.state.find(key, self._clock())

    def _new(self, new: NewJob) -> Job:
        return Job(
            job_id=new_identifier(),
            order=self._book.state.next_order(),
            priority=new.priority,
            data=new.data,
            key=new.key,
            put_at=self._clock(),
            max_attempts=new.max_attempts,
            due=trio.current_time() + new.delay,
        )

    async def _write(self, made: Sequence[Job], others: Sequence[Change]) -> None:
        book = self._book
        size = self._reserve(made) if made else 0
        written = trio.Event()
        self._coming |= {job.key: written for job in made if job.key is not None}
        try:
            await book.store.write([*(book.store.put(book.queue, job) for job in made), *others])
        except BaseException:
            book.budget.add(book.queue.workspace, -size)
            raise
        finally:
            self._reserved -= len(made)
            for job in made:
                if job.key is not None:
                    del self._coming[job.key]
            written.set()
        book.load(made)

    def _reserve(self, jobs: Sequence[Job]) -> int:
        book = self._book
        count, most = len(book.state.jobs) + self._reserved + len(jobs), book.settings.jobs
        if count > most:
            raise RequestError(ErrorCode.BUSY, f"the queue would hold {count} jobs, more than jobs={most}")
        size = sum(job.size for job in jobs)
        book.budget.take(book.queue.workspace, size)
        self._reserved += len(jobs)
        return size
