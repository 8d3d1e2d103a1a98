"""
What a durable write costs: writes a second into a SQLite store and into memory, by one writer and by many at once.

Each writer puts a document of about 200 bytes and waits until it is durable, then the next. Beside it stands what one
sync of a small file costs on the same disk, which nothing that is durable can be faster than.

Run: python bench/store.py [--directory DIRECTORY]
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path

import trio

from rtcore.store.memory_store import MemoryStore
from rtcore.store.sqlite_store import open_sqlite_store
from rtcore.store.store import Put, Store

DOCUMENT = {"user": "u-1", "title": "Deploy finished", "body": "x" * 120, "read": False, "created": 1736942400.25}
WRITERS = (1, 10, 100)

Open = Callable[[], AbstractAsyncContextManager[Store]]


async def measure_round(open_store: Open, writers: int, seconds: float) -> tuple[float, float]:
    """Writes a second, and writes that shared a commit."""
    written = 0

    async def write(store: Store, writer: int) -> None:
        nonlocal written
        while True:
            await store.write([Put("inbox", f"u-{writer}/{written}", DOCUMENT)])
            written += 1

    async with open_store() as store:
        begin = time.perf_counter()
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for writer in range(writers):
                    nursery.start_soon(write, store, writer)
        elapsed = time.perf_counter() - begin
        counted = store.statistics()
    return counted.writes / elapsed, counted.writes / counted.commits


def sync_milliseconds(directory: Path, count: int = 200) -> float:
    """Median time of appending 4 KiB to a file and syncing it."""
    times = []
    with (directory / "sync").open("wb", buffering=0) as file:
        for _ in range(count):
            begin = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1000


def stores(directory: Path, name: str) -> dict[str, Open]:
    """The ways to open a new store."""
    return {
        "SQLite, full": partial(open_sqlite_store, directory / f"full-{name}.db"),
        "SQLite, normal": partial(open_sqlite_store, directory / f"normal-{name}.db", synchronous="normal"),
        "memory": lambda: nullcontext(MemoryStore()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one round")
    parser.add_argument("--directory", type=Path, default=None, help="on the disk to be measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as place:
        directory = Path(place)
        print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.machine()}")
        syncs, results = [], defaultdict(list)
        for number in range(options.rounds):  # all in turn, so that what else the machine does meets all alike
            syncs.append(sync_milliseconds(directory))
            for writers in WRITERS:
                for kind, open_store in stores(directory, f"{writers}-{number}").items():
                    results[kind, writers].append(trio.run(measure_round, open_store, writers, options.seconds))
        print(f"one sync of 4 KiB: {statistics.median(syncs):.2f} ms ({min(syncs):.2f} to {max(syncs):.2f})")
        print("| store | writers | writes/s | least to most | writes a commit |\n|---|---|---|---|---|")
        for (kind, writers), rounds in sorted(results.items()):
            rates, shares = zip(*rounds, strict=True)
            spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
            print(
                f"| {kind} | {writers} | {statistics.median(rates):,.0f} | {spread} | {statistics.median(shares):.0f} |"
            )


if __name__ == "__main__":
    main()
