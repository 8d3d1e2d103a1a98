"""
Promise: cancelled at any await, every async function of hub, subscription and server leaves nothing behind: no cursor,
no view, no timer, no task, no place in the pool, no descriptor. The server's are in `test_server_cancellation`.

Each life below is run again and again, cancelled one await later each time, until it comes to its own end.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing
from attrs import define

import rtcore
from rtcore.application import ApplicationHub
from rtcore.errors import HubClosed
from rtcore.hub.subscription import Subscription
from rtcore.testing import open_test_hub
from rtcore.values.channels import Namespace, Overflow

WAITING = {"crowded": Namespace(overflow=Overflow.WAIT)}


@define(eq=False)
class CancelAfter(trio.abc.Instrument):
    """Cancels a scope once a task and those below it have come to so many awaits together."""

    awaits: int
    scope: trio.CancelScope
    root: trio.lowlevel.Task
    struck: bool = False

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.struck or not self._below(task):
            return
        self.awaits -= 1
        if self.awaits < 0:
            self.struck = True
            self.scope.cancel()

    def _below(self, task: trio.lowlevel.Task | None) -> bool:
        while task is not None and task is not self.root:
            nursery = task.parent_nursery
            task = None if nursery is None else nursery.parent_task
        return task is self.root


async def run_and_cancel(life: Callable[[], Awaitable[object]], awaits: int) -> bool:
    """Run a life, cancelled at its await number `awaits`; returns whether it came to that."""
    struck: list[bool] = []

    async def root() -> None:
        with trio.CancelScope() as scope:
            instrument = CancelAfter(awaits, scope, trio.lowlevel.current_task())
            trio.lowlevel.add_instrument(instrument)
            try:
                await life()
            finally:
                trio.lowlevel.remove_instrument(instrument)
                struck.append(instrument.struck)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(root)
    return struck[0]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@contextmanager
def nothing_left(hub: ApplicationHub) -> Iterator[None]:
    """Whatever the block did, the hub, the run and the process hold what they held before."""

    def held() -> tuple[int, ...]:
        figures = hub.statistics()
        return (
            figures.subscribers,
            figures.subscriptions,
            figures.views,
            figures.backlog_events,
            figures.behind,
            figures.timers,
            trio.lowlevel.current_statistics().tasks_living,
            descriptors(),
        )

    before = held()
    yield
    assert held() == before, "subscribers, subscriptions, views, backlog, behind, timers, tasks, descriptors"


async def cancel_at_each_await(
    life: Callable[[ApplicationHub], Awaitable[object]],
    *,
    least: int,
    after: Callable[[ApplicationHub], None] = lambda hub: None,
) -> None:
    """
    Args:
        life: What is cancelled, over a hub that is not.
        least: How many awaits it has at least, so that a life which ended early does not prove anything.
        after: Looks at the hub once the life is over.
    """
    awaits = 0
    async with open_test_hub(namespaces=WAITING) as hub:
        await trio.testing.wait_all_tasks_blocked()
        while True:
            with nothing_left(hub):
                struck = await run_and_cancel(lambda: life(hub), awaits)
                await trio.testing.wait_all_tasks_blocked()
            after(hub)
            if not struck:
                break
            awaits += 1
    assert awaits >= least, f"only {awaits} awaits"


# The hub


async def read_some(hub: ApplicationHub) -> None:
    """History, live events, and a backlog with a loss."""
    for number in range(3):
        hub.publish("tasks", "x", {"number": number})
    async with hub.subscribe("tasks", "tools", where={"type": "x"}, since=rtcore.last(2), lag_events=2) as events:
        await anext(events)
        await anext(events)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(anext, events)
            await trio.sleep(1)
            hub.publish("tools", "x", {})
        for number in range(5):
            hub.publish("tasks", "x", {"number": number})
        await trio.sleep(1)
        for _ in range(3):
            await anext(events)


async def read_in_batches(hub: ApplicationHub) -> None:
    window = rtcore.Batch(events=10, seconds=5)
    async with hub.subscribe("tasks", batch=window) as events, trio.open_nursery() as nursery:
        nursery.start_soon(anext, events)
        await trio.lowlevel.checkpoint()
        hub.publish("tasks", "x", {})


async def publish_and_wait(hub: ApplicationHub) -> None:
    """A publisher that must wait for a reader, which takes its time."""

    async def read(events: Subscription) -> None:
        for _ in range(3):
            await trio.sleep(1)
            await anext(events)

    async with hub.subscribe("crowded", lag_events=1) as events, trio.open_nursery() as nursery:
        nursery.start_soon(read, events)
        for number in range(4):
            await hub.publish_wait("crowded", "x", {"number": number})
            await trio.lowlevel.checkpoint()


async def live_in_a_hub(_: ApplicationHub) -> None:
    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery, hub.subscribe("tasks") as events:
        nursery.start_soon(anext, events)
        await trio.sleep(1)
        await hub.publish_wait("tasks", "x", {})
        await trio.sleep(1)


async def outlive_a_hub(_: ApplicationHub) -> None:
    """The hub ends while somebody reads and somebody waits for room."""

    async def read(events: Subscription) -> None:
        with pytest.raises(HubClosed):
            await anext(events)

    async with trio.open_nursery() as readers, rtcore.open_hub() as hub, hub.subscribe("tasks") as events:
        readers.start_soon(read, events)
        await trio.sleep(1)
        hub.close()
        await trio.sleep(1)


@pytest.mark.parametrize(
    ("life", "least"),
    [
        (read_some, 8),
        (read_in_batches, 4),
        (publish_and_wait, 10),
        (live_in_a_hub, 6),
        (outlive_a_hub, 5),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
async def test_hub_keeps_nothing_of_what_was_cancelled(
    autojump_clock: trio.testing.MockClock, life: Callable[[ApplicationHub], Awaitable[object]], least: int
) -> None:
    await cancel_at_each_await(life, least=least)


async def test_cancelled_publisher_has_published_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """Cancelled while it waits for room, `publish_wait` has not published; afterwards it has, exactly once."""
    async with open_test_hub(namespaces=WAITING) as hub, hub.subscribe("crowded", lag_events=1) as events:
        hub.publish("crowded", "x", {})
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(1) as scope:
            await hub.publish_wait("crowded", "x", {})
        assert scope.cancelled_caught
        assert str(hub.position("crowded")).endswith("-1")
        await anext(events)
        await hub.publish_wait("crowded", "x", {})
        assert str(hub.position("crowded")).endswith("-2")


async def test_cancelled_reader_loses_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """`anext` cancelled at each of its awaits, again and again: every event still comes, once and in order."""
    async with open_test_hub() as hub, hub.subscribe("tasks", lag_events=1000) as events:
        got: list[Any] = []

        async def read_one() -> None:
            got.append((await anext(events)).data)

        for number in range(100):
            hub.publish("tasks", "x", number)
            if number % 3:
                await trio.testing.wait_all_tasks_blocked()
            await run_and_cancel(read_one, number % 2)
        while len(got) < 100:
            await read_one()
        assert got == list(range(100))
