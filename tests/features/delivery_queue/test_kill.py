"""
The promise of a queue: SIGKILL at any moment loses no job that was accepted and repeats none that was acknowledged.

A real process puts numbered jobs and does them, and prints each step when it has returned. It is killed as soon as so
many lines have been read: nothing waits for a time, and which write is under way is up to the machine.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import trio

import rtcore

CHILD = """
import os, sys
import trio
import rtcore

path, first = sys.argv[1], int(sys.argv[2])

def say(word, number):
    os.write(1, f"{word} {number}\\n".encode())  # at once: a buffer would die with the process

async def produce(queue, number):
    while True:
        await queue.put(number, key=f"job-{number}", priority=("high", "normal", "low")[number % 3])
        say("put", number)
        number += 4

async def consume(queue):
    async with queue.consume(leases=3) as jobs:
        while True:
            taken = await jobs.take(3)
            for job in taken:
                say("began", job.data)
            for job in taken:
                if job.data % 7 == job.attempt:
                    await job.retry(after=0)
                else:
                    await job.ack()
                    say("acked", job.data)

async def main():
    async with rtcore.open_sqlite_store(path) as store, rtcore.open_hub(store=store) as hub:
        queue = hub.queues.open("numbers")
        async with trio.open_nursery() as nursery:
            for worker in range(4):
                nursery.start_soon(produce, queue, first + worker)
                nursery.start_soon(consume, queue)

trio.run(main)
"""


def run_and_kill(path: Path, *, first: int, lines: int) -> list[tuple[str, int]]:
    """Let a child work until it has printed so many lines, kill it, and tell what it printed in all."""
    with subprocess.Popen([sys.executable, "-c", CHILD, str(path), str(first)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        said += child.stdout.readlines()  # what it printed before the signal arrived counts as well
    assert child.returncode == -9
    return [(word, int(number)) for word, number in (line.decode().split() for line in said)]


async def rest(path: Path, put: set[int]) -> tuple[set[int], set[int]]:
    """What is still to be done, and what of what was put is known as done by its key."""
    async with rtcore.open_sqlite_store(path) as store, rtcore.open_hub(store=store) as hub:
        queue = hub.queues.open("numbers")
        left: set[int] = set()
        async with queue.consume(leases=10_000) as jobs:
            while taken := await jobs.take(10_000, wait=0):
                left |= {job.data for job in taken}  # type: ignore[misc]  # numbers
        receipts = [(number, await queue.put(number, key=f"job-{number}")) for number in put]
        assert all(receipt.duplicate for _, receipt in receipts), "a job is lost"
        return left, {number for number, receipt in receipts if receipt.status == "done"}


@pytest.mark.parametrize("seed", range(4))
def test_killed_process_loses_nothing_and_repeats_nothing(tmp_path: Path, seed: int) -> None:
    """Three lives on the same file; each begins with what the one before left."""
    dice, path = random.Random(seed), tmp_path / "rtcore.db"
    put: set[int] = set()
    acked: set[int] = set()
    for first in (0, 100_000, 0):  # in the third life the producers try all of the first again
        said = run_and_kill(path, first=first, lines=dice.randint(1, 250))
        put |= {number for word, number in said if word == "put"}
        for word, number in said:
            assert word != "began" or number not in acked, "what was acknowledged is done again"
            if word == "acked":
                acked.add(number)
        left, done = trio.run(rest, path, put)
        assert not left & acked, "what was acknowledged waits again"
        assert acked & put <= done
        assert put <= left | done
