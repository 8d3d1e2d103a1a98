"""What was escalated is one notification to its sender: changed, taken back and decided for all who have it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.errors import ErrorCode, RequestError
from rtcore.features.notifications.notification import Notification, Place, ProgressStatus
from rtcore.store.store import Change
from rtcore.testing import open_test_hub

STEPS = [("bob", 10), ("carol", 20)]
BUTTONS = [{"id": "retry", "label": "Retry"}]


async def inbox_of(hub: rtcore.ApplicationHub, user: str) -> list[Notification]:
    async with hub.notifications.desk.inboxes.use(Place("default", user)) as (inbox,):
        return list(inbox)


async def escalate(hub: rtcore.ApplicationHub, **more: Any) -> tuple[str, str, str]:
    """Ids of one that nobody has read: as ann, bob and carol have it."""
    sent = await hub.notifications.send(user="ann", title="Down", escalate=STEPS, actions=BUTTONS, **more)
    await trio.sleep(30)
    bob, carol = (await hub.notifications.get(sent.id)).notification.copies
    return sent.id, bob, carol


@pytest.mark.parametrize("which", [0, 1])
async def test_withdrawn_one_is_seen_by_nobody(which: int, autojump_clock: Any) -> None:
    """Or bob would go on with what is done; by whichever id, since the sender is told all of them."""
    store = rtcore.MemoryStore()
    async with open_test_hub(store=store) as hub, hub.subscribe("notifications:default:bob") as events:
        ids = await escalate(hub)
        await hub.notifications.withdraw(ids[which])
        for user in ("ann", "bob", "carol"):
            assert await inbox_of(hub, user) == []
            assert await hub.notifications.unread(user) == 0
        told = [event async for event in _until(events, "notification.withdrawn")][-1]
        assert told.data == {"ids": [ids[1]], "reason": "withdrawn"}
    for collection in ("notifications", "notification_places", "notification_deadlines"):
        assert await store.read(collection) == []


async def _until(events: rtcore.Subscription, type: str) -> Any:
    async for event in events:
        yield event
        if event.type == type:
            return


@pytest.mark.parametrize("which", [0, 2])
async def test_change_is_for_everybody_who_has_it(which: int, autojump_clock: Any) -> None:
    """The level alone is as high as it has risen, until the sender says another."""
    store = rtcore.MemoryStore()
    async with open_test_hub(store=store) as hub:
        ids = await escalate(hub, progress=5)
        changed = await hub.notifications.update(ids[which], title="Up", body="again", progress=60)
        assert changed.id == ids[which]
        levels = []
        for user in ("ann", "bob", "carol"):
            (shown,) = await inbox_of(hub, user)
            assert (shown.title, shown.body, shown.progress and shown.progress.value) == ("Up", "again", 60)
            levels.append(shown.level.value)
        assert levels == ["info", "warning", "error"]
        await hub.notifications.update(ids[which], level="success", status="completed")
        before = [await inbox_of(hub, user) for user in ("ann", "bob", "carol")]
        assert {each.level.value for (each,) in before} == {"success"}
        assert {each.progress and each.progress.status for (each,) in before} == {ProgressStatus.COMPLETED}
    async with open_test_hub(store=store) as hub:
        assert [await inbox_of(hub, user) for user in ("ann", "bob", "carol")] == before


async def test_choice_is_shown_to_everybody_who_has_it(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        ids = await escalate(hub)
        await hub.notifications._reading.act(Place("default", "carol"), ids[2], "retry")
        taken = [(await inbox_of(hub, user))[0].taken for user in ("ann", "bob", "carol")]
        assert [each and (each.by, each.action) for each in taken] == [("carol", "retry")] * 3


async def test_what_somebody_has_dismissed_is_not_in_the_way(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        ids = await escalate(hub)
        await hub.notifications._reading.dismiss(Place("default", "bob"), [ids[1]])
        await hub.notifications.update(ids[0], title="Up")
        assert [[each.title for each in await inbox_of(hub, user)] for user in ("ann", "bob", "carol")] == [
            ["Up"], [], ["Up"]
        ]  # fmt: skip
        await hub.notifications._reading.dismiss(Place("default", "ann"), [ids[0]])
        await hub.notifications.withdraw(ids[2])
        assert await inbox_of(hub, "carol") == [], "alone by now, and still its sender's"
        with pytest.raises(RequestError) as refused:
            await hub.notifications.withdraw(ids[2])
        assert refused.value.code is ErrorCode.NOT_FOUND


class SlowStore(rtcore.MemoryStore):
    """Has a step to take before each write."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], Awaitable[None]] | None = None

    async def write(self, changes: Iterable[Change]) -> None:
        before, self.before = self.before, None
        if before is not None:
            await before()
        await super().write(changes)


@pytest.mark.parametrize("step", ["withdraw", "update"])
async def test_step_that_comes_while_it_goes_on_to_the_next_includes_that(step: str, autojump_clock: Any) -> None:
    """Who has it is looked up before all are held: by then there may be one more."""
    store = SlowStore()
    async with open_test_hub(store=store) as hub, trio.open_nursery() as nursery:
        sent = await hub.notifications.send(user="ann", title="Down", escalate=STEPS)
        gate = trio.Event()
        store.before = gate.wait
        await trio.sleep(11)
        assert await inbox_of(hub, "bob") == [], "being written"
        if step == "withdraw":
            nursery.start_soon(hub.notifications.withdraw, sent.id)
        else:
            nursery.start_soon(lambda: hub.notifications.update(sent.id, title="Up"))
        await trio.testing.wait_all_tasks_blocked()
        gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert [each.title for each in await inbox_of(hub, "bob")] == ([] if step == "withdraw" else ["Up"])


async def test_progress_that_is_told_during_another_change_does_not_go_back(autojump_clock: Any) -> None:
    store = SlowStore()
    async with open_test_hub(store=store) as hub, hub.subscribe("notifications:default:ann") as events:
        async with hub.notifications.progress(user="ann", title="Import") as progress:

            async def tell() -> None:
                progress.update(40)

            store.before = tell
            await hub.notifications.update(progress.id, title="Import 2")
            (shown,) = await inbox_of(hub, "ann")
            assert (shown.title, shown.progress and shown.progress.value) == ("Import 2", 40)
            assert hub.notifications.desk.progressing[progress.id] == shown
        told = [event.data async for event in _until_completed(events)]
        values = [data["progress"]["value"] for data in told]
        assert values == sorted(values)


async def _until_completed(events: rtcore.Subscription) -> Any:
    async for event in events:
        yield event
        if isinstance(event.data, dict) and "completed" in str(event.data.get("progress")):
            return


async def test_progress_that_is_told_while_its_end_is_written_is_too_late(autojump_clock: Any) -> None:
    """Or what is shown would be another end than the one that a restart shows."""
    store = SlowStore()
    async with open_test_hub(store=store) as hub, hub.notifications.progress(user="ann", title="Import") as progress:
        progress.update(10)

        async def tell() -> None:
            progress.update(40)

        store.before = tell
        await hub.notifications.update(progress.id, status="cancelled")
        (shown,) = await inbox_of(hub, "ann")
        assert shown.progress is not None
        assert (shown.progress.value, shown.progress.status) == (10, ProgressStatus.CANCELLED)
        ((_, document),) = await store.read("notifications")
        assert isinstance(document, dict)
        assert document["progress"] == {"value": 10, "status": "cancelled", "attached": True}
