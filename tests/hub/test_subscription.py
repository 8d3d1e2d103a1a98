"""A subscription of a block in this process: an iterator that loses nothing without saying so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from rtcore.errors import HubClosed
from rtcore.hub.hub import Hub
from rtcore.hub.subscription import Subscription
from rtcore.values.channels import Namespace, Overflow
from rtcore.values.limits import Limits
from rtcore.values.positions import FromPosition, LastEvents

OpenHub = Callable[..., Hub]
STRICT = {"s": Namespace(overflow=Overflow.DISCONNECT)}


async def taken(subscription: Subscription, count: int) -> list[object]:
    return [(await anext(subscription)).data for _ in range(count)]


async def test_a_second_reader_is_refused(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    """Two readers would each get half; the first one goes on undisturbed."""
    hub = open_hub()
    async with trio.open_nursery() as nursery, hub.subscribe("a") as subscription:
        await nursery.start(hub.run)
        got: list[object] = []

        async def read() -> None:
            got.append((await anext(subscription)).data)

        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await anext(subscription)
        hub.publish("a", "t", 1)
        await wait_all_tasks_blocked()
        assert got == [1]
        nursery.cancel_scope.cancel()


async def test_cancelling_a_reader_loses_nothing(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    """At each await: before it waits, while it waits, and once its event is there but has not been taken."""
    hub = open_hub()
    async with trio.open_nursery() as nursery, hub.subscribe("a") as subscription:
        await nursery.start(hub.run)
        hub.publish("a", "t", 1)
        await wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await anext(subscription)
        assert scope.cancelled_caught
        assert await taken(subscription, 1) == [1]
        with trio.move_on_after(1) as scope:
            await anext(subscription)
        assert scope.cancelled_caught
        hub.publish("a", "t", 2)
        await wait_all_tasks_blocked()
        assert await taken(subscription, 1) == [2]

        got: list[object] = []

        async def read() -> None:
            with race:
                got.append((await anext(subscription)).data)

        race = trio.CancelScope()
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        hub.publish("a", "t", 3)
        hub.publish("a", "t", 4)
        hub.broadcaster.flush()
        race.cancel()
        await wait_all_tasks_blocked()
        assert got + await taken(subscription, 2 - len(got)) == [3, 4]
        nursery.cancel_scope.cancel()


async def test_events_of_several_channels_come_in_the_order_of_their_times(
    open_hub: OpenHub, autojump_clock: MockClock
) -> None:
    hub = open_hub()
    async with trio.open_nursery() as nursery, hub.subscribe("a", "b") as subscription:
        await nursery.start(hub.run)
        got: list[object] = []

        async def read() -> None:
            got.extend(await taken(subscription, 4))

        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        for number in range(4):
            hub.publish("ba"[number % 2], "t", number)
            autojump_clock.jump(0.001)
        await wait_all_tasks_blocked()
        assert got == [0, 1, 2, 3]
        nursery.cancel_scope.cancel()


async def test_a_loss_comes_as_an_event_and_moves_the_position(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    """A block is told what a socket's client is told: which offsets, of which types, before any later event."""
    hub = open_hub(limits=Limits(lag_events=3))
    async with trio.open_nursery() as nursery, hub.subscribe("a") as subscription:
        await nursery.start(hub.run)
        for number in range(1, 11):
            hub.publish("a", "t", number)
        await wait_all_tasks_blocked()
        notice = await anext(subscription)
        assert (notice.type, notice.channel, notice.offset) == ("dropped", "a", 0)
        assert isinstance(notice.data, dict)
        assert (notice.data["count"], notice.data["types"]) == (7, {"t": 7})
        assert notice.data["ranges"] == [{"lane": "normal", "from": 1, "to": 7, "count": 7}]
        assert notice.data["position"] == str(subscription.positions["a"])
        assert subscription.positions["a"].offset == 7
        assert await taken(subscription, 3) == [8, 9, 10]
        assert hub.statistics().dropped == 7
        nursery.cancel_scope.cancel()


async def test_positions_tell_where_to_go_on(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    """What was delivered to the block but not taken by it comes again; what it took does not."""
    hub = open_hub()
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        async with hub.subscribe("a") as subscription:
            assert subscription.positions == {"a": subscription.subscribed["a"].position}
            for number in range(1, 7):
                hub.publish("a", "t", number)
            assert await taken(subscription, 2) == [1, 2]
            kept = subscription.positions["a"]
            assert kept.offset == 2
        async with hub.subscribe("a", since=FromPosition(kept)) as subscription:
            outcome = subscription.subscribed["a"]
            assert (outcome.recovered, outcome.replayed) == (True, 4)
            hub.publish("a", "t", 7)
            assert await taken(subscription, 5) == [3, 4, 5, 6, 7]
        async with hub.subscribe("a", where={"type": "none"}, since=LastEvents(3)) as subscription:
            assert subscription.subscribed["a"].replayed == 0
            assert subscription.positions["a"].offset == 7
        nursery.cancel_scope.cancel()


async def test_a_reader_that_falls_behind_catches_up(open_hub: OpenHub, autojump_clock: MockClock) -> None:
    hub = open_hub()
    async with trio.open_nursery() as nursery, hub.subscribe("a") as subscription:
        await nursery.start(hub.run)
        for number in range(1, 4):
            hub.publish("a", "t", number)
            await wait_all_tasks_blocked()
        assert subscription.statistics().behind
        assert subscription.statistics().backlog_events == 3
        assert await taken(subscription, 3) == [1, 2, 3]
        with trio.move_on_after(1):
            await anext(subscription)
        assert not subscription.statistics().behind
        assert hub.publish("a", "t", 4).sent == 1
        assert await taken(subscription, 1) == [4]
        nursery.cancel_scope.cancel()


async def test_a_channel_that_disconnects_ends_the_iteration_where_it_can_go_on(
    open_hub: OpenHub, autojump_clock: MockClock
) -> None:
    """Rather than lose an event it ends, once; nothing after the gap may be taken for what follows the last event."""
    hub = open_hub(limits=Limits(lag_events=3), namespaces=STRICT)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        got: list[object] = []
        async with hub.subscribe("s") as subscription:
            for number in range(1, 4):
                hub.publish("s", "t", number)
                await wait_all_tasks_blocked()
            got += await taken(subscription, 1)
            for number in range(4, 8):
                hub.publish("s", "t", number)
                await wait_all_tasks_blocked()
            with pytest.raises(HubClosed):
                await anext(subscription)
            hub.publish("s", "t", 8)
            await wait_all_tasks_blocked()
            with pytest.raises(HubClosed):
                await anext(subscription)
            kept = subscription.positions["s"]
        assert hub.statistics().disconnected_slow == 1
        assert hub.statistics().subscribers == 0
        async with hub.subscribe("s", since=FromPosition(kept)) as subscription:
            newest = hub.position("s")
            assert newest is not None
            for event in [await anext(subscription) for _ in range(newest.offset - len(got))]:
                got.append(event.data)
        assert got == [1, 2, 3, 4, 5, 6, 7, 8]
        assert hub.statistics().dropped == 0
        nursery.cancel_scope.cancel()
