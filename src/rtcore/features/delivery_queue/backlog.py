"""
What is to be written though nobody waits for it: it goes with another write, or by itself a moment later.

Three things come up in the middle of what cannot wait: an attempt that was not made after all, a key that is forgotten,
and an attempt that failed because its lease ran out or its consumer went away. The first two are so at once, and are
written within a second. The last is written at once, and is so, and told, only when that is done.

What is written of a job is looked up when it is written, not when it came up: so a write that failed is tried again
without putting anything old in the place of something newer. A job of which somebody else is writing something is left
until that is over.

Much may come up at once: ten thousand keys that grew too old while a queue was quiet. So only a little goes with
another's write, which is not to fail for it, and the rest in portions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Final, Protocol

import trio
from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.delivery_queue.holding import HeldJob
from rtcore.features.delivery_queue.job import Job
from rtcore.features.delivery_queue.queue_state import QueueState
from rtcore.features.delivery_queue.queue_store import PORTION, QueueName, QueueStore
from rtcore.hub.timeouts import TimeoutWatcher
from rtcore.store.store import Change

__all__ = ["WRITE_SECONDS", "Backlog", "Failure", "LateWriter"]

_logger = logging.getLogger("rtcore.queues")

WRITE_SECONDS: Final = 1.0
"""Longest that something waits for a write to go with, and time between two attempts at one that fails."""
_ALONG: Final = 100
"""Most changes that go with another's write."""


@frozen(kw_only=True)
class Failure:
    """What is to become of a job whose attempt failed."""

    due: float | None
    """When it is tried again, on the steady clock; None: it is dead."""
    dead_at: float | None
    """Unix seconds."""
    reason: str | None
    change: Change
    """As it is written."""


class Wanting(Protocol):
    """Where a backlog says that it has something."""

    def want(self, backlog: Backlog, *, now: bool = False) -> None:
        """Write it within `WRITE_SECONDS`, or now."""
        ...

    async def finish(self) -> None:
        """Write it before this returns, if that can be done in `WRITE_SECONDS`."""
        ...


class Backlog:
    """
    Of one queue.

    Args:
        queue: Its name.
        store: How it is written.
        state: What there is to be written of.
        writer: Who writes what goes with nothing else.
        ended: Told of each failed attempt that is written.
    """

    def __init__(
        self,
        queue: QueueName,
        store: QueueStore,
        state: QueueState,
        writer: Wanting,
        ended: Callable[[HeldJob, Failure], None],
    ) -> None:
        self.tended: set[str] = set()
        """Ids of dead letters of which something is being written."""
        self._queue = queue
        self._store = store
        self._state = state
        self._writer = writer
        self._ended = ended
        self._jobs: dict[str, None] = {}
        self._keys: dict[str, None] = {}
        self._ends: dict[HeldJob, Failure] = {}
        self._writes = 0  # that are under way

    @property
    def empty(self) -> bool:
        """Whether there is nothing that is not in the store."""
        return not (self._waiting or self._writes)

    @property
    def _waiting(self) -> bool:
        return bool(self._jobs or self._keys or self._ends)

    def add_job(self, job: Job) -> None:
        """What happened to a job is to be written."""
        self._jobs[job.job_id] = None
        self._writer.want(self)

    def add_keys(self, keys: list[str]) -> None:
        """Keys are remembered no more."""
        if keys:
            self._keys |= dict.fromkeys(keys)
            self._writer.want(self)

    def add_end(self, held: HeldJob, failure: Failure) -> None:
        """An attempt failed; its lease is being settled from now on."""
        held.lease.settling = True
        self._ends[held] = failure
        self._writer.want(self, now=True)

    async def flush(self) -> None:
        """Write it before this returns, if that can be done in `WRITE_SECONDS`, also while being cancelled."""
        await self._writer.finish()

    @contextmanager
    def writing(self, most: int = _ALONG) -> Iterator[list[Change]]:
        """What goes with a write, so much at most: to be written in this block, or it is kept for the next."""
        ends = self._take_ends(most)
        jobs = self._take(self._jobs, most - len(ends), self._state.jobs.get, self._is_there)
        keys = self._take(self._keys, most - len(ends) - len(jobs), self._state.open_job, self._is_forgotten)
        self._writes += 1
        try:
            yield [
                *(failure.change for failure in ends.values()),
                *(self._progress(self._state.jobs[name]) for name in jobs),
                *self._store.forgotten(self._queue, keys),
            ]
        except BaseException:
            self._jobs |= dict.fromkeys(jobs)
            self._keys |= dict.fromkeys(keys)
            self._ends = ends | self._ends
            raise
        finally:
            self._writes -= 1
            if self._waiting:
                self._writer.want(self)
        for held, failure in ends.items():
            try:
                self._ended(held, failure)
            except Exception:  # it is written: it must neither keep others from ending, nor fail what it went with
                _logger.exception("the end of an attempt at job %s could not be told", held.job_id)

    def _take_ends(self, most: int) -> dict[HeldJob, Failure]:
        ends = dict(islice(self._ends.items(), most))
        for held in ends:
            del self._ends[held]
        return ends

    def _take(
        self,
        waiting: dict[str, None],
        most: int,
        job_of: Callable[[str], Job | None],
        is_due: Callable[[str], bool],
    ) -> list[str]:
        """Up to so many, the oldest first, without those whose job is busy and those that need no writing any more."""
        looked_at: list[str] = []
        taken: list[str] = []
        for name in waiting:
            if len(taken) >= most:
                break
            job = job_of(name)
            if job is None or not self._is_busy(job):
                looked_at.append(name)
                if is_due(name):
                    taken.append(name)
        for name in looked_at:
            del waiting[name]
        return taken

    def _is_busy(self, job: Job) -> bool:
        return job.job_id in self.tended or (job.lease is not None and job.lease.settling)

    def _is_there(self, job_id: str) -> bool:
        return job_id in self._state.jobs

    def _is_forgotten(self, key: str) -> bool:
        return not self._state.remembers(key)

    def _progress(self, job: Job) -> Change:
        return self._store.progress(self._queue, job, reason=job.reason, dead_at=job.dead_at)


class LateWriter:
    """
    Writes the backlogs of all queues, many with one write; one task, which waits for nothing while there are none.

    Args:
        store: Where to.
        timeouts: Whose timer is used, while something waits.
    """

    def __init__(self, store: QueueStore, timeouts: TimeoutWatcher) -> None:
        self._store = store
        self._timeouts = timeouts
        self._backlogs: dict[Backlog, None] = {}
        self._timed = False
        self._due = trio.Event()

    def want(self, backlog: Backlog, *, now: bool = False) -> None:
        """Write a backlog within `WRITE_SECONDS`, or now."""
        self._backlogs[backlog] = None
        if now:
            self._due.set()
        elif not self._timed:
            self._timed = True
            self._timeouts.call_at(trio.current_time() + WRITE_SECONDS, self._on_time)

    def _on_time(self) -> None:
        self._timed = False
        self._due.set()

    async def run(self) -> None:
        """Write what is due until cancelled; what could not be written is due again after `WRITE_SECONDS`."""
        while True:
            await self._due.wait()
            self._due = trio.Event()
            await self.write()

    async def finish(self) -> None:
        """Write, at the end, what is left; a shield, for at most `WRITE_SECONDS`."""
        with trio.move_on_after(WRITE_SECONDS, shield=True):
            await self.write()

    async def write(self) -> None:
        """Write all that there is; a checkpoint. If it fails, the log says so and all is kept for the next time."""
        try:
            while await self._write_portion():
                pass
        except RequestError as error:
            if error.code is not ErrorCode.UNAVAILABLE:  # that one `QueueStore.write` has logged
                _logger.error("what is left of queues could not be written: %s", error)

    async def _write_portion(self) -> bool:
        """Write some; returns whether there may be more."""
        waiting, self._backlogs = self._backlogs, {}
        with ExitStack() as stack:
            changes: list[Change] = []
            for backlog in waiting:
                changes += stack.enter_context(backlog.writing(PORTION - len(changes)))
            await self._store.write(changes)
        return bool(changes)
