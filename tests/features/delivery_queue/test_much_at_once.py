"""What is to be written late may be much: it is written in portions, and is no burden to what somebody waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio

import rtcore
from rtcore.features.delivery_queue.backlog import WRITE_SECONDS
from rtcore.features.delivery_queue.job import DoneKey
from rtcore.features.delivery_queue.queue_store import PORTION
from rtcore.store import records
from rtcore.store.memory_store import MemoryStore
from rtcore.store.store import Change, Put
from rtcore.testing import open_test_hub

OLD_KEY = {"job_id": "j", "done_at": 1.0}
OLD_ANSWER = {"digest": "d", "at": 1.0, "job_id": "j", "duplicate": False, "status": "waiting"}


class CountingStore(MemoryStore):
    """A store that counts the changes of each write."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    async def write(self, changes: Any) -> None:
        changes = list(changes)
        self.counts.append(len(changes))
        await super().write(changes)


async def fill(store: MemoryStore, changes: Sequence[Change]) -> None:
    for start in range(0, len(changes), PORTION):
        await store.write(changes[start : start + PORTION])


async def test_server_starts_however_much_has_grown_too_old_meanwhile(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: Any
) -> None:
    """More than a store takes with one write: a server that is refused this at its start is refused it at each."""
    store, count = MemoryStore(), 2 * PORTION + 1
    await fill(store, [Put("queue_keys", f"default/emails/{number:0128}", OLD_KEY) for number in range(count)])
    await fill(store, [Put("queue_answers", f"{number:064}", OLD_ANSWER) for number in range(count)])
    monkeypatch.setattr(records, "WRITE_BYTES", PORTION * 250)
    async with open_test_hub(store=store):
        pass
    assert await store.read("queue_keys") == await store.read("queue_answers") == []


async def test_keys_that_grew_too_old_together_hold_up_nobody(of: Any, autojump_clock: Any) -> None:
    """A little goes with the writes of others; the rest is written by itself, within the second, in portions."""
    store, count = CountingStore(), 5 * PORTION // 2
    async with open_test_hub(store=store, features=of(key_seconds=10.0)) as hub:
        queue = hub.queues.open("emails")
        await fill(store, [Put("queue_keys", f"default/emails/{number}", OLD_KEY) for number in range(count)])
        for number in range(count):
            queue.book.state.remember(str(number), DoneKey("j", hub.clock()))
        await queue.put(1, key="new")
        await trio.sleep(11)
        async with queue.consume() as jobs:
            await (await jobs.__anext__()).ack()
            store.counts.clear()
            await queue.put(2)
            await (await jobs.__anext__()).ack()
        assert max(store.counts) < PORTION // 5
        await trio.sleep(WRITE_SECONDS + 0.1)
        assert sorted(store.counts)[-2:] == [PORTION, PORTION]
        assert [key for key, _ in await store.read("queue_keys")] == ["default/emails/new"]


async def test_job_of_which_something_is_being_written_does_not_hold_up_the_others(autojump_clock: Any) -> None:
    """It comes with a later write."""
    async with open_test_hub() as hub:
        queue = hub.queues.open("emails")
        receipts = await queue.put_many([{"data": number} for number in range(3)])
        backlog, names = queue.book.backlog, [receipt.job_id for receipt in receipts]
        for name in names:
            backlog.add_job(queue.book.state.jobs[name])
        backlog.tended.add(names[0])
        with backlog.writing() as changes:
            assert [change.key.rpartition("/")[2] for change in changes] == names[1:]
        backlog.tended.clear()
        with backlog.writing() as changes:
            assert [change.key.rpartition("/")[2] for change in changes] == names[:1]
        assert backlog.empty


async def test_what_cannot_be_written_late_is_in_the_log(
    of: Any, monkeypatch: pytest.MonkeyPatch, autojump_clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_test_hub(features=of(keys=1)) as hub:
        queue = hub.queues.open("emails")
        await queue.put_many([{"data": 1, "key": "a"}, {"data": 2, "key": "b"}])
        async with queue.consume() as jobs:
            for job in await jobs.take(2):
                await job.ack()
        with monkeypatch.context() as patch:
            patch.setattr(records, "WRITE_BYTES", 10)
            await trio.sleep(WRITE_SECONDS + 0.1)
        assert "what is left of queues could not be written: write of" in caplog.text
        await trio.sleep(WRITE_SECONDS + 0.1)
        assert [key for key, _ in await hub.store.read("queue_keys")] == ["default/emails/b"]


async def test_end_that_cannot_be_told_keeps_nobody_from_theirs(
    autojump_clock: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written: the write that it went along with has not failed, and the next attempt ends as well."""
    async with open_test_hub() as hub:
        queue = hub.queues.open("emails")
        await queue.put_many([{"data": 1}, {"data": 2}, {"data": 3}])
        told, happened = [], queue.book._events.happened

        def fail_once(type: str, *arguments: Any) -> None:
            told.append(type)
            if len(told) == 1:
                raise ValueError("a fault of ours")
            happened(type, *arguments)

        monkeypatch.setattr(queue.book._events, "happened", fail_once)
        async with queue.consume(seconds=10) as jobs:
            await jobs.take(2)
            await trio.sleep(10.1)
            await (await jobs.__anext__()).ack()
        assert told[:2] == ["queue.job_failed", "queue.job_failed"]
        assert (queue.statistics().leased, queue.statistics().failed) == (0, 2)
        assert "the end of an attempt at job" in caplog.text
        assert isinstance(await queue.put(4), rtcore.Receipt)
