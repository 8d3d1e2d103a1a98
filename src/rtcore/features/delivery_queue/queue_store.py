"""
Queues in the store, so that a job which was accepted is done whatever happens to the process.

What a job is made of is written once, when it is put. What happens to it afterwards (attempts, delays, its death) is a
small document of its own: handing out a job of 200 KiB writes some hundred bytes. Who has a job is not written: after a
restart nobody has any, and all are ready again.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final, NamedTuple, TypeVar, cast

import trio
from attrs import frozen

from rtcore.errors import ErrorCode, RequestError, StoreError
from rtcore.features.delivery_queue.job import DoneKey, Job, Receipt
from rtcore.features.delivery_queue.kept_documents import (
    fields_of_answer,
    fields_of_progress,
    job_of,
    key_of,
    named_if_damaged,
)
from rtcore.protocol.json_codec import json_fragment
from rtcore.store.store import Change, Delete, Put, Store
from rtcore.values.channels import channel_part, name_of_part
from rtcore.values.events import Json

__all__ = ["PORTION", "Answer", "QueueName", "QueueStore"]

_logger = logging.getLogger("rtcore.queues")

PORTION: Final = 1000
"""Most small changes of one write. With a long reason one has up to 4 KiB: far less than a store takes at once."""

_JOBS: Final = "queue_jobs"
_PROGRESS: Final = "queue_progress"
_KEYS: Final = "queue_keys"
_PAUSED: Final = "queue_paused"
_ANSWERS: Final = "queue_answers"
_PAGE: Final = 100
_Read = TypeVar("_Read")


class QueueName(NamedTuple):
    """A queue is known by its workspace and its name. In keys the one is written as in its channel: without a slash."""

    workspace: str
    name: str

    def key(self, rest: str) -> str:
        """The key of something of its own in the store."""
        return f"{channel_part(self.workspace)}/{self.name}/{rest}"


@frozen
class Answer:
    """What a request with an idempotency key was answered."""

    digest: str
    """Of the request."""
    receipt: Receipt
    at: float
    """Unix seconds."""


class QueueStore:
    """
    Args:
        store: Where it is kept.
        clock: Unix seconds.
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    async def write(self, changes: Sequence[Change]) -> None:
        """
        Make changes, all or none; a checkpoint, and durable when it returns. No cancellation comes between the two.

        Raises:
            RequestError: `server.unavailable`: nothing was written. The log has the cause.
        """
        try:
            await self._store.write(changes)
        except StoreError as error:
            _logger.error("a queue could not be written: %s", error)
            raise RequestError(ErrorCode.UNAVAILABLE, "the queue could not be written", retry_after=1.0) from error

    async def write_in_portions(self, changes: Sequence[Change]) -> None:
        """Make changes that need not be made together, however many; otherwise as `write`."""
        for start in range(0, len(changes), PORTION):
            await self.write(changes[start : start + PORTION])

    # Changes. Steady times are written as Unix seconds: the steady clock begins anew with each process.

    def put(self, queue: QueueName, job: Job) -> Change:
        """A job is new."""
        document: dict[str, object] = {  # nothing is null: text with a null in it is looked through for NaN
            "order": job.order,
            "priority": job.priority,
            "data": json_fragment(job.data),
            "put_at": job.put_at,
            "max_attempts": job.max_attempts,
            "due": self._wall(job.due),
        }
        if job.key is not None:
            document["key"] = job.key
        return Put(_JOBS, queue.key(job.job_id), cast("Json", document))

    def progress(
        self,
        queue: QueueName,
        job: Job,
        *,
        due: float | None = None,
        reason: str | None = None,
        dead_at: float | None = None,
        attempts: int | None = None,
        order: int | None = None,
    ) -> Change:
        """What happened to a job, or will have happened with this."""
        document: dict[str, Json] = {
            "attempts": job.attempts if attempts is None else attempts,
            "order": job.order if order is None else order,
            "due": self._wall(job.due if due is None else due),
        }
        if reason is not None:
            document["reason"] = reason
        if dead_at is not None:
            document["dead_at"] = dead_at
        return Put(_PROGRESS, queue.key(job.job_id), document)

    def done(self, queue: QueueName, job: Job, now: float, *, remembered: bool) -> list[Change]:
        """A job is done; its key, if it has one, may be remembered."""
        changes = self.gone(queue, job)
        if job.key is not None and remembered:
            changes.append(Put(_KEYS, queue.key(job.key), {"job_id": job.job_id, "done_at": now}))
        return changes

    def gone(self, queue: QueueName, job: Job) -> list[Change]:
        """A job is there no more."""
        key = queue.key(job.job_id)
        return [Delete(_JOBS, key), Delete(_PROGRESS, key)]

    def forgotten(self, queue: QueueName, keys: Sequence[str]) -> list[Change]:
        """Keys are remembered no more."""
        return [Delete(_KEYS, queue.key(key)) for key in keys]

    def paused(self, queue: QueueName, paused: bool) -> Change:
        """A queue hands out nothing; or it does again."""
        return Put(_PAUSED, queue.key(""), True) if paused else Delete(_PAUSED, queue.key(""))

    def answer(self, name: str, answer: Answer) -> Change:
        """A request was answered."""
        receipt = answer.receipt
        document: dict[str, Json] = {
            "digest": answer.digest,
            "at": answer.at,
            "job_id": receipt.job_id,
            "duplicate": receipt.duplicate,
            "status": receipt.status,
        }
        return Put(_ANSWERS, name, document)

    def forgotten_answers(self, names: Sequence[str]) -> list[Change]:
        """Requests are remembered no more."""
        return [Delete(_ANSWERS, name) for name in names]

    def _wall(self, due: float) -> float:
        return self._clock() + due - trio.current_time()

    # A start

    async def jobs(self) -> AsyncGenerator[tuple[QueueName, Job]]:
        """Every job, with what had happened to it; StoreError if it cannot be read, or something of it is damaged."""
        progress = {
            key: fields async for key, fields in self._all(_PROGRESS, lambda key, kept: (key, fields_of_progress(kept)))
        }

        def job(key: str, kept: Json) -> tuple[QueueName, Job]:
            queue, job_id = _split(key)
            known = progress.get(key, {})
            return queue, job_of(job_id, kept, known, now=self._clock(), steady_now=trio.current_time())

        async for each in self._all(_JOBS, job):
            yield each

    async def keys(self) -> list[tuple[QueueName, str, DoneKey]]:
        """Every key of a job that was done, in the order in which they were; StoreError as above."""
        found = [each async for each in self._all(_KEYS, lambda key, kept: (*_split(key), key_of(kept)))]
        return sorted(found, key=lambda each: each[2].done_at)

    async def answers(self) -> list[tuple[str, Answer]]:
        """Every answer, by the name of its request, in the order in which they were given; StoreError as above."""
        found = [each async for each in self._all(_ANSWERS, lambda name, kept: (name, _answer(kept)))]
        return sorted(found, key=lambda each: each[1].at)

    async def paused_queues(self) -> list[QueueName]:
        """The queues that hand out nothing; StoreError as above."""
        return [each async for each in self._all(_PAUSED, lambda key, _: _split(key)[0])]

    async def _all(self, collection: str, read: Callable[[str, Json], _Read]) -> AsyncGenerator[_Read]:
        after: str | None = None
        while page := await self._store.read(collection, after=after, limit=_PAGE):
            for key, document in page:
                with named_if_damaged(collection, key):
                    found = read(key, document)
                yield found
            after = page[-1][0]


def _answer(document: Json) -> Answer:
    fields = fields_of_answer(document)
    receipt = Receipt(job_id=fields["job_id"], duplicate=fields["duplicate"], status=fields["status"])
    return Answer(fields["digest"], receipt, fields["at"])


def _split(key: str) -> tuple[QueueName, str]:
    workspace, name, rest = key.split("/", 2)
    return QueueName(name_of_part(workspace), name), rest
