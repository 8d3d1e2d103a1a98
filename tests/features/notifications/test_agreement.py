"""
A client that does as the page says knows what is unread, whatever happens.

Random lives: sends of all kinds, reads from several connections, withdrawals, expiry, restarts, reconnects, inboxes
that leave memory. The client of this test keeps the state and the events as `docs/features/notifications.md` tells it
to; its unread set must equal the server's after every few steps.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
import trio
from attrs import define, field

import rtcore
from rtcore.features.notifications.inbox import unread_in
from rtcore.features.notifications.notification import Place
from rtcore.testing import TestClient
from tests.features.notifications.conftest import OpenTeam, Team

ANN, BOARD = Place("acme", "ann"), Place("acme")


@define(eq=False)
class Page:
    """What a page keeps: notifications by id, and marks that say of any id whether it was read."""

    client: TestClient
    shown: dict[str, Any] = field(factory=dict)
    position: str = ""
    read: set[str] = field(factory=set)
    last: dict[str, str] = field(factory=dict)

    async def subscribe(self, *, resume: dict[str, str] | None = None) -> None:
        """Both channels; with positions, where the connection before stood."""
        data: dict[str, Any] = {"channels": [ANN.channel, BOARD.channel]}
        if resume:
            data["since"] = {"positions": resume}
        reply = await self.client.request("subscribe", data)
        for name, each in reply["data"]["channels"].items():
            self.last[name] = each["position"]
            state = each.get("snapshot")
            assert (state is None) == (bool(resume) and each["recovered"] and each["replayed"] > 0)
            if state is None:  # what changed since it was here follows
                continue
            assert not state["more"], "the pages of this test are long enough"
            own = name == ANN.channel
            self.shown = {id: one for id, one in self.shown.items() if ("user" in one) != own}
            self.shown |= {one["id"]: one for one in state["notifications"]}
            self.position = max(self.position, state["read"]["up_to"] or "")
            self.read |= set(state["read"]["ids"])

    async def take(self) -> None:
        """Everything that has come."""
        while True:
            with trio.move_on_after(0.001) as nothing:
                event = await self.client.receive()
            if nothing.cancelled_caught:
                return
            self.last[event["channel"]] = event["position"]
            data = event["data"]
            known = data.get("id") in self.shown
            if event["type"] == "notification" or (event["type"] == "notification.updated" and known):
                self.shown[data["id"]] = data
            elif event["type"] == "notification.read":
                self.position = max(self.position, data.get("up_to", ""))
                self.read |= set(data.get("ids", ()))
            elif event["type"] == "notification.withdrawn":
                for id in data["ids"]:
                    self.shown.pop(id, None)
                if data["reason"] == "dismissed":  # one to the workspace may yet come on the other channel
                    self.read |= set(data["ids"])

    def unread(self) -> set[str]:
        return {id for id in self.shown if id > self.position and id not in self.read}


@pytest.mark.parametrize("seed", range(30))
async def test_unread_set_of_a_client_is_that_of_the_server(
    seed: int, autojump_clock: Any, open_team: OpenTeam
) -> None:
    dice, store = random.Random(seed), rtcore.MemoryStore()
    limits = rtcore.Limits(ping_seconds=0, idle_seconds=0)  # the clients of this test sleep
    settings = {"page_notifications": 500, "kept_notifications": 12, "cache_bytes": dice.choice([1, 5000, 10**6])}
    for _ in range(dice.randint(1, 3)):  # lives of the server
        async with open_team(store, limits, **settings) as team:
            pages = [await connect(team) for _ in range(2)]
            for _ in range(dice.randint(1, 5)):
                for _ in range(dice.randint(1, 8)):
                    await step(dice, team, pages)
                await agree(team, pages)
                if dice.random() < 0.4:
                    await reconnect(dice, team, pages)
                    await agree(team, pages)
        await trio.sleep(dice.choice([0, 40]))


async def connect(team: Team) -> Page:
    page = Page(await team.connect("ann"))
    await page.subscribe()
    return page


async def reconnect(dice: random.Random, team: Team, pages: list[Page]) -> None:
    """A connection breaks, things happen, and it resumes: with what it knew and its positions, or from nothing."""
    index = dice.randrange(len(pages))
    old = pages[index]
    await old.client.aclose()
    await trio.sleep(0.1)
    for _ in range(dice.randint(0, 5)):
        await step(dice, team, [page for page in pages if page is not old])
    if dice.random() < 0.5:
        pages[index] = await connect(team)
        return
    pages[index] = Page(await team.connect("ann"), shown=old.shown, position=old.position, read=old.read)
    resume = {name: old.last[name] for name in (ANN.channel, BOARD.channel) if name in old.last}
    await pages[index].subscribe(resume=resume)


async def step(dice: random.Random, team: Team, pages: list[Page]) -> None:
    notifications = team.hub.notifications
    known = [id for id, _ in await team.hub.store.read("notification_places")]
    choice = dice.random()
    if choice < 0.5 or not known:
        more: dict[str, Any] = {"user": "ann"} if dice.random() < 0.6 else {}
        more |= {"key": dice.choice("kl")} if dice.random() < 0.2 else {}
        more |= {"expires_after": dice.choice([1, 30])} if dice.random() < 0.2 else {}
        more |= {"kind": "crisis"} if dice.random() < 0.2 else {}
        await notifications.send(workspace="acme", title="t", **more)
        if dice.random() < 0.2:  # somebody else's leave no trace, but for the memory
            await notifications.send(workspace="acme", user=f"u{dice.randint(0, 5)}", title="t")
    elif choice < 0.65:
        await notifications.read("ann", *dice.sample(known, min(len(known), 2)), workspace="acme")
    elif choice < 0.75:
        await notifications.read("ann", up_to=dice.choice(known), workspace="acme")
    elif choice < 0.82:
        await notifications.withdraw(dice.choice(known))
    elif choice < 0.9 and pages:
        await dice.choice(pages).client.send("notification.dismiss", {"ids": [dice.choice(known)]})
        await trio.sleep(0.01)
    elif choice < 0.95:
        await notifications.update(dice.choice(known), progress=dice.randint(0, 100))
    else:
        await trio.sleep(dice.choice([0.5, 2, 35]))


async def agree(team: Team, pages: list[Page]) -> None:
    async with team.hub.notifications.desk.inboxes.use(ANN, BOARD) as (own, board):
        while True:
            for page in pages:
                await page.take()
            # Something may have expired while they did; between here and the end nothing does.
            heads = {place.channel: str(team.hub.position(place.channel)) for place in (ANN, BOARD)}
            if all(page.last == heads for page in pages):
                break
        unread = {each.id for inbox in (own, board) for each in unread_in(inbox, own.marks, now=0.0)}
        for page in pages:
            assert page.unread() == unread
