"""One who sees the desk of a workspace and desks of his own is told one truth over all of them."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
import trio

import rtcore
from rtcore.application import ApplicationHub
from rtcore.testing import TestClient, TestServer, open_test_hub, open_test_server
from rtcore.values.identity import Identity

PATH = "/api/v1/admin/chat-dashboard/ws"
SECRET = "s" * 40
WITH_TOKENS = rtcore.Settings(
    authentication=rtcore.AuthenticationSettings(keys={"main": rtcore.KeySettings(algorithm="HS256", secret=SECRET)})
)
ANN = Identity(user="ann", workspace="acme", roles={"agent"})


async def dashboard(server: TestServer, hub: ApplicationHub, user: str, *roles: str) -> TestClient:
    client = await server.connect(PATH, subprotocols=())
    claims = {"sub": user, "workspace": "acme", "roles": [*roles], "exp": hub.clock() + 3600}
    await client.send("auth", {"token": jwt.encode(claims, SECRET)})
    await client.expect("auth_success")
    return client


async def heard(client: TestClient, *types: str) -> list[Any]:
    """Data of what comes within a second, of some types."""
    found = []
    with trio.move_on_after(1):
        while True:
            message = await client.receive()
            if message["type"] in types:
                found.append(message["data"])
    return found


async def test_length_of_the_queue_is_that_of_whoever_looks(autojump_clock: Any) -> None:
    """As `queue_updated` says it: not that of whichever desk changed last."""
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        ann, bob = await dashboard(server, hub, "ann", "agent"), await dashboard(server, hub, "bob", "agent")
        customer = await dashboard(server, hub, "eve")
        for number in range(4):
            hub.support_chat.desk(workspace="acme").open_session(f"a{number}", customer="c")
            await trio.sleep(0.5)
        for number in range(2):
            hub.support_chat.desk(workspace="acme", user="ann").open_session(f"o{number}", customer="c")
            await trio.sleep(0.5)
        told = [
            [each["queue_depth"] for each in await heard(who, "queue_depth_changed")] for who in (ann, bob, customer)
        ]
        assert told == [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4], []]
        await ann.send("request_queue_update")
        assert (await ann.expect("queue_updated"))["data"]["queue_depth"] == 6


async def test_length_of_the_queue_is_told_once_a_turn_and_where_it_changed(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        ann = await dashboard(server, hub, "ann", "agent")
        desk = hub.support_chat.desk(workspace="acme")
        for number in range(5):
            desk.open_session(f"s{number}", customer="c")
        assert await heard(ann, "queue_depth_changed") == [{"queue_depth": 5}]
        desk.open_session("s5", customer="c")
        desk.assign("s5", "a1")
        assert await heard(ann, "queue_depth_changed") == []
        desk.end_session("s0")
        assert await heard(ann, "queue_depth_changed") == [{"queue_depth": 4}]


async def test_dashboard_that_reads_late_is_told_the_length_as_it_then_is(autojump_clock: Any) -> None:
    """Not each that there was meanwhile: nothing is heaped up for it, and the last one is the truth."""
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        ann = await dashboard(server, hub, "ann", "agent")
        desk = hub.support_chat.desk(workspace="acme")
        for number in range(20):
            desk.open_session(f"s{number}", customer="c", subject="x" * 200)
            await trio.testing.wait_all_tasks_blocked()
        told = [each["queue_depth"] for each in await heard(ann, "queue_depth_changed")]
        assert (told[-1], len(told) < 20, told == sorted(set(told))) == (20, True, True)


async def test_dashboard_that_has_gone_is_told_nothing(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        ann = await dashboard(server, hub, "ann", "agent")
        await ann.aclose()
        await trio.testing.wait_all_tasks_blocked()
        hub.support_chat.desk(workspace="acme").open_session("s1", customer="c")
        await trio.testing.wait_all_tasks_blocked()
        assert len(hub.timeouts) == 0, "nobody looks, so nothing is timed"


async def test_lists_are_in_the_order_of_time_over_desks(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        shared, own = hub.support_chat.desk(workspace="acme"), hub.support_chat.desk(workspace="acme", user="ann")
        for desk, name in ((shared, "first"), (own, "second"), (shared, "third"), (own, "fourth")):
            desk.open_session(name, customer="c")
            await trio.sleep(1)
        outlook = hub.support_chat.outlook(ANN)
        names = ["first", "second", "third", "fourth"]
        waiting: Any = outlook.queue()["waiting_sessions"]
        assert [each["sessionId"] for each in waiting] == names
        for desk, name in ((shared, "first"), (own, "second"), (shared, "third"), (own, "fourth")):
            desk.assign(name, "a1")
        sessions: Any = outlook.sessions()
        assert [each["sessionId"] for each in sessions] == names
        for desk, name in ((own, "second"), (shared, "first"), (own, "fourth"), (shared, "third")):
            await trio.sleep(1)
            desk.end_session(name)
        ended: Any = outlook.ended()
        assert [each["sessionId"] for each in ended] == ["third", "fourth", "first", "second"]


async def test_what_is_told_says_whose_desk_it_is_of(autojump_clock: Any) -> None:
    """Two desks may have a session, an agent, of one id."""
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        desks = [hub.support_chat.desk(workspace="acme"), hub.support_chat.desk(workspace="acme", user="ann")]
        for desk in desks:
            desk.open_session("same", customer=f"of {desk.channel}")
        ann = await dashboard(server, hub, "ann", "agent")
        await ann.send("request_session_update", {"sessionId": "same"})
        both = (await ann.expect("session_update"))["data"]
        names = [desk.channel for desk in desks]
        assert sorted((each["desk"], each["customer"]) for each in both) == sorted(
            (name, f"of {name}") for name in names
        )
        await ann.send("request_session_update", {"sessionId": "same", "desk": names[1]})
        (one,) = (await ann.expect("session_update"))["data"]
        assert one["desk"] == names[1]
        for desk in desks:
            desk.assign("same", "a1")
            desk.message("same", "m1", sender="c")
            desk.message_status("same", "m1", "read")
            desk.typing("same", "c")
            desk.agent_status("a1", "active")
        types = ("message_created", "message_updated", "typing_indicator", "agent_status_changed")
        events = await heard(ann, *types)
        assert sorted(each["desk"] for each in events) == sorted(names * len(types))
        agents: Any = hub.support_chat.outlook(ANN).agents()
        assert sorted(each["desk"] for each in agents) == sorted(names)


@pytest.mark.parametrize("desk", ["support_chat:other", "member_support_chat:acme:bob", "nothing"])
async def test_naming_anothers_desk_shows_nothing(desk: str, autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(WITH_TOKENS, hub=hub) as server:
        hub.support_chat.desk(workspace="other").open_session("s1", customer="c")
        hub.support_chat.desk(workspace="acme", user="bob").open_session("s1", customer="c")
        ann = await dashboard(server, hub, "ann", "agent")
        await ann.send("request_session_update", {"sessionId": "s1", "desk": desk})
        assert (await ann.expect("error"))["data"]["message"] == "data.sessionId: no such session"
