"""Every call can be cancelled at each of its awaits, and then nothing is left: no lock, no pin, no half of a step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.features.notifications.notification import Place
from rtcore.store.store import Change
from rtcore.testing import open_test_hub


class CountingStore(rtcore.MemoryStore):
    """Cancels a scope at the n-th of its calls, before or after the work: where a real one can be cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.left = -1
        self.scope: trio.CancelScope | None = None

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0 and self.scope is not None:
            self.scope.cancel()

    async def read(self, collection: str, **span: Any) -> Any:
        self._count()
        found = await super().read(collection, **span)
        self._count()
        return found

    async def get(self, collection: str, key: str) -> Any:
        self._count()
        found = await super().get(collection, key)
        self._count()
        return found

    async def write(self, changes: Iterable[Change]) -> None:
        self._count()
        await super().write(changes)
        self._count()


Call = Callable[[rtcore.ApplicationHub, str, str], Awaitable[object]]

CALLS: dict[str, Call] = {
    "send": lambda hub, own, wide: hub.notifications.send(user="bob", title="t", escalate=[("carol", 5)]),
    "send once": lambda hub, own, wide: hub.notifications.send(user="bob", title="t", idempotency_key="k"),
    "replace": lambda hub, own, wide: hub.notifications.send(user="ann", title="t", key="k"),
    "read": lambda hub, own, wide: hub.notifications.read("ann", own, wide),
    "update": lambda hub, own, wide: hub.notifications.update(own, body="b"),
    "withdraw": lambda hub, own, wide: hub.notifications.withdraw(own),
    "dismiss": lambda hub, own, wide: hub.notifications._reading.dismiss(Place("default", "ann"), [own, wide]),
    "act": lambda hub, own, wide: hub.notifications._reading.act(Place("default", "ann"), wide, "a"),
    "receipts": lambda hub, own, wide: hub.notifications.receipts(wide),
    "unread": lambda hub, own, wide: hub.notifications.unread("ann"),
}


@pytest.mark.parametrize("name", CALLS)
async def test_cancelled_call_has_either_happened_or_left_no_trace(name: str, autojump_clock: Any) -> None:
    """What memory shows afterwards is what a restart shows."""
    cancelled_somewhere = False
    for at in range(1, 40):
        store = CountingStore()
        async with open_test_hub(store=store, features=features()) as hub:
            actions = [{"id": "a", "label": "A"}]
            own = await hub.notifications.send(user="ann", title="own", key="k", actions=actions)
            wide = await hub.notifications.send(workspace="default", title="wide", actions=actions)
            await hub.notifications.send(user="x", title="pushes the others out of memory")
            await hub.notifications.send(user="y", title="pushes the others out of memory")
            await trio.testing.wait_all_tasks_blocked()
            with trio.CancelScope() as scope:
                store.scope, store.left = scope, at
                await CALLS[name](hub, own.id, wide.id)
            store.scope = None
            cancelled_somewhere |= scope.cancelled_caught
            assert hub.notifications.desk.inboxes.busy == hub.notifications.sending.busy == 0
            assert hub.notifications.desk.waiting == 0
            shown = await picture(hub)
        async with open_test_hub(store=store) as again:
            assert await picture(again) == shown
        if not scope.cancel_called:
            assert cancelled_somewhere
            return
    raise AssertionError("the call has no end")


async def picture(hub: rtcore.ApplicationHub) -> list[Any]:
    """All inboxes as they are, in memory where they are there."""
    shown: list[Any] = []
    for user in (None, "ann", "bob", "carol"):
        async with hub.notifications.desk.inboxes.use(Place("default", user)) as (inbox,):
            shown.append((list(inbox), inbox.marks))
    return shown


def features() -> rtcore.FeatureSettings:
    return rtcore.FeatureSettings(notifications=rtcore.NotificationSettings(cache_bytes=1))


async def test_task_that_waits_for_a_choice_can_be_cancelled(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        sent = await hub.notifications.send(user="ann", title="t")
        with trio.move_on_after(5) as scope:
            await sent.action()
        assert scope.cancelled_caught
        assert hub.notifications.desk.waiting == 0


async def test_block_that_is_cancelled_while_it_ends_says_so(autojump_clock: Any) -> None:
    store = CountingStore()
    async with open_test_hub(store=store) as hub:
        with trio.CancelScope() as scope:
            async with hub.notifications.progress(user="ann", title="t") as progress:
                store.scope, store.left = scope, 1
        assert scope.cancelled_caught
        current = (await hub.notifications.get(progress.id)).notification.progress
        assert current is not None
        assert current.status == "cancelled"


async def test_client_that_goes_while_its_inbox_is_read_leaves_nothing(autojump_clock: Any, open_team: Any) -> None:
    class SlowStore(rtcore.MemoryStore):
        async def read(self, collection: str, **span: Any) -> Any:
            if collection == "notifications":
                await trio.sleep(5)
            return await super().read(collection, **span)

    async with open_team(SlowStore()) as team:
        client = await team.connect("ann")
        await client.send("subscribe", {"channels": ["notifications:acme:ann"]})
        await trio.sleep(1)
        await client.aclose()
        await trio.sleep(20)
        assert [channel.name for channel in team.hub.channels()] == ["connections"]
        statistics = team.hub.notifications.statistics()
        assert (statistics.visitors, team.hub.notifications.desk.inboxes.busy) == (0, 0)
