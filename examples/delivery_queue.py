"""
Jobs that are done at least once, and put only once, whatever happens to the process.

    python examples/delivery_queue.py

An order is put twice, as a browser does whose first request was lost: it is one job. The mail server fails at first, so
a mail is tried again. One address does not exist: that mail is a dead letter, which somebody looks at and drops. Then
the server is stopped while a mail waits, and the next one sends it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import trio

import rtcore

SETTINGS = rtcore.FeatureSettings(queues=rtcore.QueueSettings(retry_seconds=0.1, max_attempts=3))


async def send(job: rtcore.HeldJob) -> None:
    mail = job.data
    assert isinstance(mail, dict)
    if mail["to"] == "nobody":
        await job.fail("no such address")  # trying again would not help
        print("given up:", mail["to"])
    elif mail["to"] == "bob" and job.attempt == 1:
        raise ConnectionError("the mail server is busy")
    else:
        print(f"sent to {mail['to']} (attempt {job.attempt})")


async def work_until_empty(queue: rtcore.DeliveryQueue) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.work, send)
        await queue.wait_empty()
        nursery.cancel_scope.cancel()


async def first_life(store: rtcore.Store) -> None:
    async with rtcore.open_hub(store=store, features=SETTINGS) as hub:
        queue = hub.queues.open("emails")
        first = await queue.put({"to": "ann"}, key="order-7")
        again = await queue.put({"to": "ann"}, key="order-7")
        print("the second put is a duplicate:", again.duplicate and again.job_id == first.job_id)
        await queue.put_many([{"data": {"to": "bob"}}, {"data": {"to": "nobody"}}])
        await work_until_empty(queue)
        for dead in queue.dead():
            print("dead letter:", dead.reason)
            await queue.drop([dead.job_id])
        await queue.put({"to": "carol"}, priority="high")


async def second_life(store: rtcore.Store) -> None:
    async with rtcore.open_hub(store=store, features=SETTINGS) as hub:
        queue = hub.queues.open("emails")
        await work_until_empty(queue)
        late = await queue.put({"to": "ann"}, key="order-7")
        print("after the restart, order-7 is", late.status)


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        for life in (first_life, second_life):
            async with rtcore.open_sqlite_store(Path(directory) / "rtcore.db") as store:
                await life(store)


if __name__ == "__main__":
    trio.run(main)
