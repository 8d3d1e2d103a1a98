"""Acknowledging what this connection does not have (any more): done, or refused with what became of it."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing

from rtcore.store.memory_store import MemoryStore
from rtcore.testing import open_test_hub, open_test_server
from tests.features.delivery_queue.talking import ALL, ask, refusal


async def test_ack_that_is_sent_again_says_that_the_job_is_done(autojump_clock: Any) -> None:
    """The reply was lost with its connection; the client must learn that it need not do the job again."""
    store = MemoryStore()
    async with open_test_hub(store=store) as hub, open_test_server(ALL, hub=hub) as server:
        queue, first = hub.queues.open("emails"), await server.connect()
        await queue.put(1, key="k")
        await queue.put(2)
        keyed, other = (await ask(first, "queue.lease", queue="emails", count=2))["jobs"]
        await first.send("queue.ack", {"job_ids": [keyed["job_id"]]}, id=1)
        await trio.testing.wait_all_tasks_blocked()
        await first.aclose()
        second = await server.connect()
        (held,) = (await ask(second, "queue.lease", queue="emails"))["jobs"]
        assert held["job_id"] == other["job_id"]
        names = [keyed["job_id"], other["job_id"]]
        done = {names[0]: "2025-06-15T15:06:40.000Z"}
        for _ in range(2):
            repeated = await ask(second, "queue.ack", job_ids=names)
            assert repeated == {"job_ids": names, "done_before": done}
            done = done | {names[1]: "2025-06-15T15:06:40.000Z"}
        assert queue.statistics().done == 2
        assert await refusal(second, "queue.nack", {"job_id": names[1]}) == (
            "request.conflict",
            f"data.job_id: this connection does not have job {names[1]}: it is done since 2025-06-15T15:06:40.000Z",
        )
    async with open_test_hub(store=store) as hub, open_test_server(ALL, hub=hub) as server:
        client = await server.connect()
        assert (await ask(client, "queue.ack", job_ids=names[:1]))["done_before"] == {names[0]: done[names[0]]}
        assert (await refusal(client, "queue.ack", {"job_ids": names}))[0] == "request.not_found", "it had no key"


async def test_ack_of_a_job_that_another_has_says_what_became_of_it(of: Any, autojump_clock: Any) -> None:
    async with open_test_hub(features=of(done_jobs=1)) as hub, open_test_server(ALL, hub=hub) as server:
        queue, client = hub.queues.open("emails"), await server.connect()
        receipts = await queue.put_many([{"data": number} for number in range(5)])
        names = [receipt.job_id for receipt in receipts]
        foreign = (await hub.queues.open("emails", workspace="elsewhere").put(1)).job_id
        async with queue.consume() as jobs:
            taken = await jobs.take(4)
            for job in taken[:2]:
                await job.ack()
            await taken[2].fail("no such address")
            for name, code, words in (
                (names[0], "request.not_found", f'no job "{names[0]}" is known here'),
                (names[2], "request.conflict", "it is a dead letter"),
                (names[3], "request.conflict", "another consumer has it"),
                (names[4], "request.conflict", "it waits again"),
                (foreign, "request.not_found", f'no job "{foreign}" is known here'),
            ):
                got = await refusal(client, "queue.ack", {"job_ids": [names[1], name]})
                assert got[0] == code
                assert got[1].startswith("data.job_ids[1]: ")
                assert words in got[1]


async def test_lease_that_was_lost_is_not_acknowledged_by_what_another_did(autojump_clock: Any) -> None:
    """And a job that is leased anew, and then acknowledged, is done for this connection as well."""
    async with open_test_hub() as hub, open_test_server(ALL, hub=hub) as server:
        queue, client = hub.queues.open("emails"), await server.connect()
        await queue.put(1)
        (job,) = (await ask(client, "queue.lease", queue="emails", seconds=1))["jobs"]
        await trio.sleep(1.5)
        async with queue.consume() as jobs:
            await (await jobs.__anext__()).ack()
        code, message = await refusal(client, "queue.ack", {"job_ids": [job["job_id"]]})
        assert (code, "has ended: it is done since 2025-06-15T15:06:41.500Z" in message) == ("request.conflict", True)
        await queue.put(2)
        (job,) = (await ask(client, "queue.lease", queue="emails", seconds=1))["jobs"]
        await trio.sleep(1.5)
        (job,) = (await ask(client, "queue.lease", queue="emails"))["jobs"]
        await ask(client, "queue.ack", job_ids=[job["job_id"]])
        assert "done_before" in await ask(client, "queue.ack", job_ids=[job["job_id"]])
