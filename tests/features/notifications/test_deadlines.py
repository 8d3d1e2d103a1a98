"""What happens by itself: notifications go when their time is over, and to the next in line when nobody reads them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.errors import StoreError
from rtcore.features.notifications.inbox import Inbox
from rtcore.features.notifications.notification import Place
from rtcore.store.store import Change
from rtcore.testing import open_test_hub
from tests.features.notifications.conftest import OpenTeam, take

CHANNEL = "notifications:default:ann"


async def test_notification_goes_by_itself_when_its_time_is_over(autojump_clock: Any) -> None:
    """To the second, and with one timer for all of them."""
    async with open_test_hub() as hub, hub.subscribe(CHANNEL) as events:
        before = len(hub.timeouts)
        sent = [await hub.notifications.send(user="ann", title="t", expires_after=64 - each) for each in range(5)]
        assert len(hub.timeouts) == before + 1, "however many deadlines"
        began = trio.current_time()
        gone = [event async for event in take(events, 6)][5]
        assert (gone.data, round(trio.current_time() - began, 3)) == ({"ids": [sent[4].id], "reason": "expired"}, 60.0)
        await trio.sleep(10)
        assert await hub.store.read("notifications") == []
        assert (len(hub.timeouts), hub.notifications.statistics().ended) == (before, 5)


async def test_what_is_not_read_in_time_goes_to_the_next_in_line(autojump_clock: Any) -> None:
    async with (
        open_test_hub() as hub,
        hub.subscribe(CHANNEL, "notifications:default:boss") as events,
        hub.subscribe("notifications:default:bob") as bobs,
        hub.subscribe("notifications:default:carol") as carols,
    ):
        sent = await hub.notifications.send(
            user="ann", title="Down", kind="alert", sender="boss", escalate=[("bob", 300), ("carol", 600)]
        )
        began = trio.current_time()
        copy = (await bobs.__anext__()).data
        assert isinstance(copy, dict)
        assert round(trio.current_time() - began, 3) == 300
        assert (copy["title"], copy["level"]) == ("Down", "warning")
        assert copy["escalated_from"] == {"id": sent.id, "user": "ann", "step": 1}
        told = [event async for event in take(events, 3)][1:]
        assert {event.channel for event in told} == {CHANNEL, "notifications:default:boss"}
        assert told[0].data == {
            "id": sent.id, "escalated_id": copy["id"], "to": "bob", "step": 1, "level": "warning"
        }  # fmt: skip
        second = (await carols.__anext__()).data
        assert isinstance(second, dict)
        assert (round(trio.current_time() - began, 3), second["level"]) == (600, "error")
        assert hub.notifications.statistics().escalated == 2


@pytest.mark.parametrize("reader", ["ann", "bob"])
async def test_whoever_has_it_and_reads_it_ends_the_escalation(reader: str, autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        sent = await hub.notifications.send(user="ann", title="Down", escalate=[("bob", 300), ("carol", 600)])
        await trio.sleep(301)
        copies = (await hub.notifications.get(sent.id)).notification.copies
        outcome = await hub.notifications.read(reader, up_to=copies[-1])
        assert len(outcome.ids) == 1
        await trio.sleep(1000)
        assert await hub.notifications.unread("carol") == 0
        assert hub.notifications.statistics().escalated == 1


async def test_choice_about_an_escalated_one_counts_for_whoever_waits(autojump_clock: Any, open_team: OpenTeam) -> None:
    async with open_team() as team:
        bob, _, _ = await team.visit("bob")
        sent = await team.hub.notifications.send(
            user="ann",
            workspace="acme",
            title="Down",
            actions=[{"id": "take", "label": "Take"}],
            escalate=[("bob", 30)],
        )
        async with trio.open_nursery() as nursery:

            async def take_over() -> None:
                copy = (await bob.expect("notification"))["data"]
                await bob.request("notification.act", {"id": copy["id"], "action": "take"})

            nursery.start_soon(take_over)
            taken = await sent.action()
        assert taken is not None
        assert (taken.by, taken.at - sent.notification.created_at) == ("bob", 30)
        ann, _, _ = await team.visit("ann")
        error = await ann.request("notification.act", {"id": sent.id, "action": "take"})
        assert error["data"]["code"] == "request.conflict"
        assert error["data"]["message"] == "data.action: bob has chosen take"


class NoVisitStore(rtcore.MemoryStore):
    """Cannot keep when users were here last."""

    async def write(self, changes: Iterable[Change]) -> None:
        changes = list(changes)
        if any(change.key.endswith("/visit") for change in changes):
            raise StoreError("no")
        await super().write(changes)


async def test_visit_that_cannot_be_written_does_not_keep_what_is_due(autojump_clock: Any) -> None:
    async with open_test_hub(store=NoVisitStore()) as hub:
        await hub.notifications.send(user="ann", title="t", expires_after=5)
        await hub.notifications.send(user="ann", title="Down", escalate=[("bob", 6)])
        hub.notifications._deadlines.note_visit(Place("default", "ann"), hub.clock())
        await trio.sleep(7)
        statistics = hub.notifications.statistics()
        assert (statistics.ended, statistics.escalated) == (1, 1)


async def test_visits_that_end_all_at_once_are_written_however_many(autojump_clock: Any) -> None:
    """As when a network fails. In one write they would be more than the store takes, again at each try."""
    store, number = rtcore.MemoryStore(), 20_000
    for rests in (False, True):
        async with open_test_hub(store=store) as hub:
            for each in range(number):
                hub.notifications._deadlines.note_visit(Place(f"{rests}", f"{each:x<900}"), hub.clock())
            if rests:
                await trio.sleep(1)
                assert hub.notifications._deadlines.visited_at(Inbox(Place("True", f"{0:x<900}"))) is None
        assert len(await store.read("notification_readers", prefix=f"{rests}/")) == number


async def test_feature_that_is_not_used_costs_no_timer(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        await trio.testing.wait_all_tasks_blocked()
        assert len(hub.timeouts) == 0
