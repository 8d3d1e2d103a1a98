"""`read_roles` hold for what a command tells as well as for a subscription: there is no way around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import jwt
import pytest
import trio.testing
from attrs import define

import rtcore
from rtcore.testing import TestClient, TestServer, open_test_hub, open_test_server

SECRET = "s" * 40
OWN, BOARD = "notifications", "workspace_notifications"
GUARDED = ("approvals", "presence", "typing", BOARD)


@define(eq=False)
class House:
    """A server whose namespaces only staff may read."""

    hub: rtcore.ApplicationHub
    server: TestServer

    async def connect(self, user: str, *roles: str) -> TestClient:
        claims = {"sub": user, "workspace": "w1", "roles": roles, "exp": self.hub.clock() + 600}
        return await self.server.connect(token=jwt.encode(claims, SECRET))


@asynccontextmanager
async def open_house(*guarded: str) -> AsyncIterator[House]:
    namespaces = {name: rtcore.Namespace(read_roles={"staff"}) for name in guarded}
    key = rtcore.KeySettings(algorithm="HS256", secret=SECRET)
    settings = rtcore.Settings(authentication=rtcore.AuthenticationSettings(keys={"main": key}), namespaces=namespaces)
    async with open_test_hub(namespaces=namespaces) as hub, open_test_server(settings, hub=hub) as server:
        yield House(hub, server)


@pytest.mark.parametrize("command", ["approval.list", "presence.list", "notification.list", "notification.unread"])
async def test_command_that_reads_is_refused_as_the_subscription_is(command: str, autojump_clock: Any) -> None:
    async with open_house(*GUARDED, OWN) as house:
        staff, bob = await house.connect("ann", "staff"), await house.connect("bob")
        namespace = {"approval": "approvals", "presence": "presence", "notification": BOARD}[command.partition(".")[0]]
        refused = [
            await bob.request("subscribe", {"channels": [f"{namespace}:w1"]}),
            await bob.request(command, {}),
        ]
        assert {reply["data"]["code"] for reply in refused} == {"access.denied"}
        assert (await staff.request(command, {}))["type"] != "error"


async def test_what_is_open_is_not_listed_for_whoever_may_not_read_it(autojump_clock: Any) -> None:
    async with open_house(*GUARDED) as house, trio.open_nursery() as nursery:
        ask = partial(house.hub.approvals.request, "Fire Bob?", details={"why": "secret"}, workspace="w1")
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        reply = await (await house.connect("bob")).request("approval.list", {})
        assert (reply["type"], "secret" in str(reply)) == ("error", False)
        nursery.cancel_scope.cancel()


async def test_who_may_type_and_not_read_is_not_told_who_else_types(autojump_clock: Any) -> None:
    """To type is to write: it is told to those who may read, and the answer says nothing of them."""
    async with open_house("typing") as house:
        staff, bob = await house.connect("ann", "staff"), await house.connect("bob")
        await staff.request("typing.start", {"conversation": "c"})
        for command in ("typing.start", "typing.stop"):
            reply = await bob.request(command, {"conversation": "c"})
            assert reply["data"] == {"conversation": "c"}
            users = (await staff.request("typing.start", {"conversation": "c"}))["data"]["users"]
            assert users == (["ann", "bob"] if command == "typing.start" else ["ann"])


# Notifications: two channels, read together


async def test_pages_and_figures_hold_only_the_notifications_that_may_be_read(autojump_clock: Any) -> None:
    async with open_house(BOARD) as house:
        send = partial(house.hub.notifications.send, workspace="w1")
        wide, own = await send(title="layoffs"), await send(title="hello", user="bob")
        staff, bob = await house.connect("ann", "staff"), await house.connect("bob")
        page = (await bob.request("notification.list", {}))["data"]
        assert ([each["id"] for each in page["notifications"]], page["unread"], page["more"]) == ([own.id], 1, False)
        unread = (await bob.request("notification.unread"))["data"]
        assert unread == {"unread": 1, "user": 1, "workspace": 0}
        page = (await staff.request("notification.list", {}))["data"]
        assert [each["id"] for each in page["notifications"]] == [wide.id]


async def test_notifications_that_may_not_be_read_are_not_marked_nor_chosen_either(autojump_clock: Any) -> None:
    """What the answers say of them would be said of what nobody may know to be there."""
    async with open_house(BOARD) as house:
        send = partial(house.hub.notifications.send, workspace="w1", actions=[{"id": "ok", "label": "OK"}])
        wide, own = await send(title="layoffs"), await send(title="hello", user="bob")
        bob = await house.connect("bob")
        chosen = await bob.request("notification.act", {"id": wide.id, "action": "ok"})
        assert chosen["data"]["code"] == "request.not_found"
        for command in ("notification.read", "notification.dismiss"):
            assert (await bob.request(command, {"ids": [wide.id]}))["data"] == {"ids": [], "unread": 1}
        assert await house.hub.notifications.receipts(wide.id) == []
        reply = await bob.request("notification.read", {"up_to": own.id})
        assert reply["data"] == {"ids": [own.id], "unread": 0}
