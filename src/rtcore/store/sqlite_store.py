"""
A store in a SQLite file: the embedded default for what must survive a restart.

SQLite blocks, so it works in a thread: one at a time, since there is one connection. What costs is the commit, which
waits for the disk, and it costs the same for one change as for a thousand. So writes that are called while a commit
runs are put together in the next one (group commit), in their order; a write that comes alone does not wait for others.

The committing task lives in the nursery of `open_sqlite_store` while there is something to write. It is shielded, as is
every writer from the moment its changes are taken: a thread cannot be abandoned, and whoever waits is told how it
ended. Before that moment a writer that is cancelled takes its write back. So `trio.Cancelled` means: nothing was
written. A deadline for these shields would only say that a disk hangs, and could end nothing.

The queue needs no bound of its own: what waits in it belongs to tasks that wait too, each with one write of bounded
size. What is bounded is a commit, by `WRITE_BYTES`, so that none takes long; the rest is for the next one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import trio
from attrs import define, field

from rtcore.errors import StoreError
from rtcore.store.records import WRITE_BYTES, Record, Span, check_key, encode
from rtcore.store.sqlite_file import SqliteFile, Synchronous, store_error
from rtcore.store.statistics import StoreCounters, StoreStatistics
from rtcore.store.store import Change
from rtcore.values.events import Json

__all__ = ["SqliteStore", "open_sqlite_store"]

_Result = TypeVar("_Result")


@asynccontextmanager
async def open_sqlite_store(
    path: str | os.PathLike[str], *, synchronous: Synchronous = "full"
) -> AsyncGenerator[SqliteStore]:
    """
    A store in a file, open while the block lasts.

    Leaving the block, however it is left, carries out the writes that were called before and closes the file. What is
    called afterwards is a `StoreError`. An exception of the block comes out as it is, not in a group.

    Args:
        path: The file; made where it is missing, with mode 0600, in a directory that is there. Beside it SQLite keeps
            `PATH-wal` and `PATH-shm` while it is open, and `PATH.lock` says that it is in use.
        synchronous: `full`: a write that has returned survives a power cut. `normal`: it survives the end of the
            process, however sudden, but the newest may be lost when the machine itself goes down; never a part of one.

    Raises:
        StoreError: The file is in use by another process or another block, belongs to another program or a newer
            rtcore, or cannot be opened.
    """
    if synchronous not in ("full", "normal"):
        raise ValueError(f'synchronous: expected "full" or "normal", got {synchronous!r}')
    limiter = trio.CapacityLimiter(1)
    file = await trio.to_thread.run_sync(SqliteFile.open, os.fspath(path), synchronous, limiter=limiter)
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            store = SqliteStore(file, nursery, limiter)
            try:
                yield store
            except BaseException as error:
                failure = error
                raise
            finally:
                store.refuse_calls()
    except BaseExceptionGroup as group:
        if failure is None or group.exceptions != (failure,):
            raise
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(file.close, limiter=limiter)
    if failure is not None:
        raise failure


@define(eq=False)
class _Write:
    """A call of `write` that waits for its commit."""

    records: Sequence[Record]
    size: int
    task: trio.lowlevel.Task = field(factory=trio.lowlevel.current_task)
    failure: Exception | None = None


class SqliteStore:
    """A `Store` in a file; see there for what its methods promise. `open_sqlite_store` makes it."""

    def __init__(self, file: SqliteFile, nursery: trio.Nursery, limiter: trio.CapacityLimiter) -> None:
        self._file = file
        self._nursery = nursery
        self._limiter = limiter
        self._counters = StoreCounters()
        self._waiting: dict[_Write, None] = {}  # in the order of their calls; each can be taken back at once
        self._is_committing = False
        self._is_closed = False

    async def read(
        self, collection: str, *, prefix: str = "", after: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Json]]:
        """Keys and documents of a collection, in the order of the keys; see `Store.read`."""
        span = Span.of(collection, prefix, after, limit)
        return await self._answer(lambda: self._file.read(span))

    async def get(self, collection: str, key: str) -> Json | None:
        """The document under a key, or None; see `Store.get`."""
        encoded = check_key(collection, key)
        return await self._answer(lambda: self._file.get(collection, encoded))

    async def write(self, changes: Iterable[Change]) -> None:
        """Make changes, all or none; see `Store.write`."""
        records, size = encode(changes)
        # A whole checkpoint here would let tasks that call later come first.
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_open()
        if not records:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        write = _Write(records, size)
        self._waiting[write] = None
        self._commit_soon()
        await trio.lowlevel.wait_task_rescheduled(lambda _: self._take_back(write))
        if write.failure is not None:
            raise self._failed("write", write.failure) from write.failure

    def statistics(self) -> StoreStatistics:
        """What was done since the store was opened."""
        return self._counters.snapshot()

    def refuse_calls(self) -> None:
        """Let every later call fail; what was called before is carried out."""
        self._is_closed = True

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreError(f"{self._file.path}: the store is closed")

    def _failed(self, action: str, error: Exception) -> StoreError:
        told = store_error(self._file.path, action, error)
        self._counters.count_failure(told)
        return told

    async def _answer(self, question: Callable[[], _Result]) -> _Result:
        self._check_open()
        try:
            result = await trio.to_thread.run_sync(question, limiter=self._limiter)
        except sqlite3.Error as error:
            raise self._failed("read", error) from error
        except StoreError as error:
            self._counters.count_failure(error)
            raise
        self._counters.reads += 1
        return result

    def _take_back(self, write: _Write) -> trio.lowlevel.Abort:
        """What becomes of a writer that is cancelled: it leaves the queue, or waits for the commit that it is in."""
        if write not in self._waiting:
            return trio.lowlevel.Abort.FAILED
        del self._waiting[write]
        return trio.lowlevel.Abort.SUCCEEDED

    def _commit_soon(self) -> None:
        if not self._is_committing:
            self._is_committing = True
            self._nursery.start_soon(self._commit_waiting)

    async def _commit_waiting(self) -> None:
        with trio.CancelScope(shield=True):
            while batch := self._next_batch():
                failure = await self._commit(batch)
                for write in batch:
                    write.failure = failure
                    trio.lowlevel.reschedule(write.task)
        self._is_committing = False

    def _next_batch(self) -> list[_Write]:
        """Take the writes that share the next commit; none when none waits."""
        batch: list[_Write] = []
        room = WRITE_BYTES
        for write in self._waiting:
            room -= write.size
            if room < 0:
                break
            batch.append(write)
        for write in batch:
            del self._waiting[write]
        return batch

    async def _commit(self, batch: list[_Write]) -> Exception | None:
        changes = [write.records for write in batch]
        try:
            await trio.to_thread.run_sync(self._file.commit, changes, limiter=self._limiter)
        except Exception as error:  # also no memory, or no thread: whoever waits is told, and the next may succeed
            return error
        size = sum(write.size for write in batch)
        self._counters.count_commit(writes=len(batch), changes=sum(map(len, changes)), size=size)
        return None
