"""
The promise of delivery queues, over random lives: what was accepted is done, and what was acknowledged never again.

Producers put numbers; workers do them, fail, take too long, are cancelled, leave with their hands full, or come back
too late. Every so often the process is killed: from then on nothing is written, and a new hub begins with what is. At
the end one good worker does the rest.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import define, field

import rtcore
from rtcore.application import ApplicationHub
from rtcore.errors import RequestError
from rtcore.features.delivery_queue.job import Priority
from rtcore.store.memory_store import MemoryStore
from rtcore.testing.virtual_server import virtual_clock

SETTINGS = rtcore.FeatureSettings(
    queues=rtcore.QueueSettings(processing_seconds=5.0, max_attempts=1000, retry_seconds=1.0, retry_maximum_seconds=3.0)
)


class MortalStore(MemoryStore):
    """A store that can be killed: then a write is never over, and nothing of it is kept."""

    dead = False

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice

    async def write(self, changes: Any) -> None:
        changes = list(changes)
        await trio.sleep(self._dice.choice([0.0, 0.0, 0.01, 0.3]))
        if self.dead:
            await trio.sleep_forever()
        await super().write(changes)


@define(eq=False)
class Accounts:
    """What was promised, and what was seen."""

    accepted: set[int] = field(factory=set)
    tried: set[int] = field(factory=set)
    acked: set[int] = field(factory=set)
    settling: set[int] = field(factory=set)
    """Acknowledged, but nobody was told: they may have been done or not."""
    handed_out: int = 0

    def see(self, job: rtcore.HeldJob) -> int:
        number = job.data
        assert isinstance(number, int)
        assert number not in self.acked, f"{number} was acknowledged, and is handed out again"
        assert number in self.tried, f"{number} was never put"
        self.handed_out += 1
        return number

    async def ack(self, job: rtcore.HeldJob, number: int) -> None:
        self.settling.add(number)
        await job.ack()
        self.acked.add(number)


@define(eq=False)
class Life:
    """One process."""

    queue: rtcore.DeliveryQueue
    accounts: Accounts
    dice: random.Random

    async def produce(self, first: int) -> None:
        for number in range(first, first + 40):
            await trio.sleep(self.dice.uniform(0, 0.6))
            self.accounts.tried.add(number)
            delay = self.dice.choice([0.0, 0.0, 2.0])
            for _ in range(self.dice.choice([1, 1, 2])):
                await self.queue.put(number, key=str(number), priority=self.dice.choice([*Priority]), delay=delay)
                self.accounts.accepted.add(number)

    async def handle(self, job: rtcore.HeldJob) -> None:
        number = self.accounts.see(job)
        fate = self.dice.random()
        if fate < 0.2:
            raise ValueError("not this time")
        await trio.sleep(99 if fate < 0.3 else self.dice.uniform(0, 1))
        await self.accounts.ack(job, number)

    async def work(self) -> None:
        """Workers that are cancelled now and then."""
        while True:
            with trio.move_on_after(self.dice.uniform(1, 9)):
                await self.queue.work(self.handle, concurrency=2)

    async def consume(self) -> None:
        """A consumer that leaves with its hands full, or acknowledges too late."""
        while True:
            async with self.queue.consume(leases=3) as jobs:
                for _ in range(self.dice.randint(1, 3)):
                    taken = [(job, self.accounts.see(job)) for job in await jobs.take(2)]
                    for job, number in taken:
                        await self.settle(job, number)

    async def settle(self, job: rtcore.HeldJob, number: int) -> None:
        fate = self.dice.random()
        try:
            if fate < 0.4:
                await trio.sleep(self.dice.choice([0.1, 4.0, 7.0]))
                await self.accounts.ack(job, number)
            elif fate < 0.6:
                await job.retry(after=self.dice.choice([None, 0.0, 2.0]))
        except RequestError as error:
            if error.code != "request.conflict":  # it came too late
                raise


@asynccontextmanager
async def hub_with(store: MortalStore, clock: Callable[[], float]) -> AsyncGenerator[ApplicationHub]:
    store.dead = False
    async with rtcore.open_hub(store=store, features=SETTINGS, clock=clock) as hub:
        yield hub


@pytest.mark.parametrize("seed", range(12))
async def test_everything_accepted_is_done_and_nothing_acknowledged_is_done_again(
    seed: int, autojump_clock: Any, caplog: Any
) -> None:
    caplog.set_level(logging.CRITICAL)
    dice, accounts = random.Random(seed), Accounts()
    store, clock = MortalStore(dice), virtual_clock()
    for life in range(4):
        async with hub_with(store, clock) as hub, trio.open_nursery() as nursery:
            alive = Life(hub.queues.open("numbers"), accounts, dice)
            actors: list[Callable[[], Any]] = [alive.work, alive.consume, alive.consume]
            for actor in actors:
                nursery.start_soon(actor)
            for producer in range(3):
                nursery.start_soon(alive.produce, 1000 * life + 100 * producer)
            await trio.sleep(dice.uniform(3, 20))
            store.dead = True
            nursery.cancel_scope.cancel()
    async with hub_with(store, clock) as hub:
        queue = hub.queues.open("numbers")
        async with queue.consume(leases=1) as jobs:
            seen: list[tuple[int, int, int]] = []
            await trio.sleep(10)  # all that was delayed is ready, so the order is known
            while taken := await jobs.take(1, wait=0):
                number = accounts.see(taken[0])
                if taken[0].attempt == 1:
                    seen.append(([*Priority].index(taken[0].priority), number // 100, number))
                await accounts.ack(taken[0], number)
        assert [priority for priority, _, _ in seen] == sorted(priority for priority, _, _ in seen)
        for place in {(priority, producer) for priority, producer, _ in seen}:
            numbers = [number for *where, number in seen if tuple(where) == place]
            assert numbers == sorted(numbers), "one producer's jobs of one priority, tried for the first time"
        assert not queue.dead()
        for number in accounts.accepted:
            assert (await queue.put(number, key=str(number))).status == "done"
    assert accounts.accepted <= accounts.acked | accounts.settling
    assert accounts.handed_out > len(accounts.acked) > 30
