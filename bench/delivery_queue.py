"""
What a job costs: jobs a second through a queue over a SQLite store and over memory.

Three figures, each with so many tasks at once: putting (each task puts one job after the other, and waits until it is
durable), putting in batches of a hundred, and doing (workers whose handler does nothing: leased, done, acknowledged).

Run: python bench/delivery_queue.py [--directory DIRECTORY]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path

import trio

import rtcore
from rtcore.store.memory_store import MemoryStore
from rtcore.store.sqlite_store import open_sqlite_store
from rtcore.store.store import Store

DATA = {"to": "user-1@example.com", "subject": "Your order has been sent", "body": "x" * 120}
TASKS = (1, 10, 100)
BATCH = 100
FULL = 20_000
"""Jobs that wait before any is done."""
SETTINGS = rtcore.FeatureSettings(queues=rtcore.QueueSettings(jobs=1_000_000, workspace_bytes=2**30, total_bytes=2**30))

Open = Callable[[], AbstractAsyncContextManager[Store]]


async def put_one(queue: rtcore.DeliveryQueue) -> None:
    await queue.put(DATA)


async def put_batch(queue: rtcore.DeliveryQueue) -> None:
    await queue.put_many([{"data": DATA}] * BATCH)


async def repeat(action: Callable[[rtcore.DeliveryQueue], Awaitable[None]], queue: rtcore.DeliveryQueue) -> None:
    while True:
        await action(queue)


async def do_nothing(job: rtcore.HeldJob) -> None:
    pass


async def measure_round(open_store: Open, tasks: int, seconds: float) -> dict[str, float]:
    """Jobs a second, by what was done."""
    rates: dict[str, float] = {}
    async with open_store() as store, rtcore.open_hub(store=store, features=SETTINGS) as hub:
        for name, action in (("put", put_one), (f"put, {BATCH} at once", put_batch)):
            queue = hub.queues.open(f"q{len(rates)}")
            begin = time.perf_counter()
            with trio.move_on_after(seconds):
                async with trio.open_nursery() as nursery:
                    for _ in range(tasks):
                        nursery.start_soon(repeat, action, queue)
            rates[name] = queue.statistics().waiting / (time.perf_counter() - begin)
        queue = hub.queues.open("full")
        for _ in range(FULL // 1000):
            await queue.put_many([{"data": DATA}] * 1000)
        begin = time.perf_counter()
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(queue.work, do_nothing, concurrency=tasks))
                await queue.wait_empty()
                nursery.cancel_scope.cancel()
        rates["done"] = queue.statistics().done / (time.perf_counter() - begin)
    return rates


def stores(directory: Path, name: str) -> dict[str, Open]:
    """The ways to open a new store."""
    return {
        "SQLite, full": partial(open_sqlite_store, directory / f"{name}.db"),
        "memory": lambda: nullcontext(MemoryStore()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one figure")
    parser.add_argument("--directory", type=Path, default=None, help="on the disk to be measured")
    options = parser.parse_args()
    results = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=options.directory) as place:
        print(f"Python {platform.python_version()}, {platform.machine()}")
        for number in range(options.rounds):  # all in turn, so that what else the machine does meets all alike
            for tasks in TASKS:
                for kind, open_store in stores(Path(place), f"{tasks}-{number}").items():
                    for name, rate in trio.run(measure_round, open_store, tasks, options.seconds).items():
                        results[kind, name, tasks].append(rate)
    print("| store | what | tasks | jobs/s | least to most |\n|---|---|---|---|---|")
    for (kind, name, tasks), rates in sorted(results.items()):
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        print(f"| {kind} | {name} | {tasks} | {statistics.median(rates):,.0f} | {spread} |")


if __name__ == "__main__":
    main()
