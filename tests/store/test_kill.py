"""
The promise of the store: SIGKILL at any moment loses nothing that was acknowledged and repeats nothing.

A real process moves numbered jobs through a queue, several at a time, and prints each number when its write has
returned. It is killed as soon as so many lines have been read; nothing waits for a time. Which write is under way just
then is up to the machine, so every seed is another place.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from rtcore.store.sqlite_store import open_sqlite_store
from rtcore.values.events import Json

CHILD = """
import os, sys
import trio
from rtcore.store.sqlite_store import open_sqlite_store
from rtcore.store.store import Delete, Put

path, first, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def say(word, number):
    os.write(1, f"{word} {number}\\n".encode())  # at once: a buffer would die with the process

async def work(store, number):
    while True:
        key = f"{number:06}"
        pair = [Put("left", key, number), Put("right", key, "x" * (number * 37 % 9000))]
        await store.write([Put("waiting", f"{key}-{os.urandom(4).hex()}", number), *pair])
        say("waiting", number)
        (name, _), = await store.read("waiting", prefix=key)
        await store.write([Delete("waiting", name), Put("done", name, number)])
        say("done", number)
        number += workers

async def main():
    async with open_sqlite_store(path) as store, trio.open_nursery() as nursery:
        for worker in range(workers):
            nursery.start_soon(work, store, first + worker)

trio.run(main)
"""


def run_and_kill(path: Path, *, first: int, workers: int, lines: int) -> list[tuple[str, int]]:
    """Let a child work until it has printed so many lines, kill it, and tell what it acknowledged in all."""
    command = [sys.executable, "-c", CHILD, str(path), str(first), str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        said += child.stdout.readlines()  # what it printed before the signal arrived counts as well
    assert child.returncode == -9
    return [(word, int(number)) for word, number in (line.decode().split() for line in said)]


@pytest.mark.parametrize("seed", range(12))
def test_killed_process_loses_nothing_and_repeats_nothing(path: Path, seed: int) -> None:
    """Twice on the same file: the second life begins with what the first one left."""
    dice = random.Random(seed)
    acknowledged: dict[int, str] = {}
    for first in (0, 100_000):
        for word, number in run_and_kill(
            path, first=first, workers=dice.choice([1, 3, 20]), lines=dice.randint(1, 120)
        ):
            acknowledged[number] = word
        trio.run(check, path, acknowledged)


async def check(path: Path, acknowledged: dict[int, str]) -> None:
    """Every job is in exactly one place, that place is no earlier than it was said, and pairs are whole."""
    async with open_sqlite_store(path) as store:
        waiting = numbers(await store.read("waiting"))
        done = numbers(await store.read("done"))
        left = [key for key, _ in await store.read("left")]
        right = [key for key, _ in await store.read("right")]
    found = sorted(waiting + done)
    assert len(found) == len(set(found)), "a job is there twice"
    assert acknowledged.keys() <= set(found), "a job is lost"
    assert {number for number, word in acknowledged.items() if word == "done"} <= set(done), "a move is lost"
    assert left == right == [f"{number:06}" for number in found], "a write was carried out in part"


def numbers(documents: list[tuple[str, Json]]) -> list[int]:
    return [number for _, number in documents if isinstance(number, int)]
