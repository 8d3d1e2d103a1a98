"""Presence as clients of a server and code in its process see it."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from rtcore.errors import RequestError
from rtcore.features.presence.appearance import Appearance
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits
from rtcore.values.shown import show

PATIENT = Limits(ping_seconds=0, idle_seconds=0)
"""For clients that say nothing for minutes."""


async def test_members_see_who_comes_what_he_does_and_that_he_leaves(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces() as there:
        ann, bob = await there.member("ann"), await there.member("bob")
        joined = await ann.request("presence.join", {"page": "/board"})
        assert joined["type"] == "presence.joined"
        assert joined["data"] == {
            "workspace": "w1",
            "user_id": "ann",
            "status": "online",
            "page": "/board",
            "activity": None,
            "since": "2025-06-15T15:06:40.000Z",
        }
        subscribed = await bob.request("subscribe", {"channels": ["presence:w1"]})
        told = subscribed["data"]["channels"]["presence:w1"]
        assert [record["user_id"] for record in told["snapshot"]["users"]] == ["ann"]
        assert (told["snapshot"]["total"], told["snapshot"]["more"]) == (1, False)
        await trio.sleep(1)
        await bob.request("presence.join", {"status": "away"})
        update = (await bob.expect("presence:update"))["data"]
        assert [record["status"] for record in update["joined"]] == ["away"]
        assert (update["left"], update["changed"], update["total"]) == ([], [], 2)
        await ann.request("presence.update", {"activity": "editing"})
        (record,) = (await bob.expect("presence:activity"))["data"]["users"]
        assert (record["user_id"], record["page"], record["activity"]) == ("ann", "/board", "editing")
        await ann.request("presence.update", {"page": "", "activity": "none"})
        (record,) = (await bob.expect("presence:activity"))["data"]["users"]
        assert (record["page"], record["activity"]) == (None, None)
        await ann.request("presence.update", {"status": "away"})
        (record,) = (await bob.expect("presence:update"))["data"]["changed"]
        assert (record["user_id"], record["status"]) == ("ann", "away")
        now = trio.current_time()
        assert (await ann.request("presence.leave"))["type"] == "presence.left"
        assert (await bob.expect("presence:update"))["data"]["left"] == ["ann"]
        assert trio.current_time() - now <= 0.11, "who says good-bye is gone at once"


async def test_reload_shows_nobody_leaving(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces() as there:
        ann, bob = await there.member("ann"), await there.member("bob")
        await ann.request("presence.join", {"page": "/a"})
        await bob.request("subscribe", {"channels": ["presence:w1"]})
        await ann.close(1001)
        await trio.sleep(4)
        again = await there.member("ann")
        await again.request("presence.join", {"page": "/a"})
        await bob.receive_nothing(20)
        assert there.hub.presence.statistics().lingering == 0
        assert there.hub.presence.user("ann", "w1").connections == 1


async def test_connection_that_breaks_is_gone_after_the_grace(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces() as there:
        ann, bob = await there.member("ann"), await there.member("bob")
        await ann.request("presence.join")
        await bob.request("subscribe", {"channels": ["presence:w1"]})
        ann.stream.cut()
        assert (await bob.expect("presence:update"))["data"]["left"] == ["ann"]
        assert trio.current_time() == pytest.approx(5.0)
        assert there.names() == []


async def test_half_open_connection_is_gone_after_the_ping_and_the_grace(
    autojump_clock: Any, open_workspaces: Any
) -> None:
    """A laptop that was shut: no reset ever comes, and only an unanswered ping tells. 25 s, 20 s, and 5 s of grace."""
    async with open_workspaces() as there:
        ann, bob = await there.member("ann"), await there.member("bob")
        await ann.request("presence.join")
        await bob.request("subscribe", {"channels": ["presence:w1"]})
        ann.stream.clog()
        update = await bob.expect("presence:update")
        assert update["data"]["left"] == ["ann"]
        assert trio.current_time() == pytest.approx(50.0, abs=0.2)
        assert there.hub.presence.statistics().workspaces == 0


async def test_user_leaves_with_the_last_of_several_connections(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces(grace_seconds=0) as there:
        bob = await there.member("bob")
        await bob.request("subscribe", {"channels": ["presence:w1"]})
        tabs = [await there.member("ann") for _ in range(3)]
        for number, tab in enumerate(tabs):
            await tab.request("presence.join", {"page": f"/{number}"})
        await bob.receive_events(2)
        assert there.hub.presence.user("ann", "w1").connections == 3
        await tabs[2].close()
        (record,) = (await bob.expect("presence:activity"))["data"]["users"]
        assert record["page"] == "/1"
        await tabs[0].close()
        await bob.receive_nothing(1)
        await tabs[1].close()
        assert (await bob.expect("presence:update"))["data"]["left"] == ["ann"]


async def test_workspaces_never_see_each_other(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces() as there:
        ann, eve = await there.member("ann", "w1"), await there.member("ann", "w2")
        await ann.request("presence.join", {"page": "/secret"})
        await eve.request("subscribe", {"channels": ["presence:w2"]})
        await eve.request("presence.join")
        update = (await eve.expect("presence:update"))["data"]
        assert [record["page"] for record in update["joined"]] == [None]
        for channel in ("presence:w1", "presence:w1:x", "typing:w1:c"):
            assert (await eve.request("subscribe", {"channels": [channel]}))["data"]["code"] == "access.denied"
        listed = (await eve.request("presence.list"))["data"]
        assert (listed["workspace"], listed["total"]) == ("w2", 1)
        await ann.request("presence.leave")
        await eve.receive_nothing(5)
        below = await eve.request("subscribe", {"channels": ["presence:w2:x"]})
        assert below["data"]["channels"]["presence:w2:x"]["snapshot"] is None


async def test_nobody_publishes_presence_from_outside(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces() as there:
        ann = await there.member("ann")
        for channel in ("presence:w1", "typing:w1:c"):
            made_up = {"channel": channel, "type": "presence:update", "data": {}}
            assert (await ann.request("publish", made_up))["data"]["code"] == "access.denied"


async def test_long_list_comes_in_pages_that_go_on_where_one_ended(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces(list_users=3, list_users_maximum=4) as there:
        for number in range(10):
            there.hub.presence.set(f"u{number}", workspace="w1")
        await trio.sleep(1)
        ann = await there.member("ann")
        told = (await ann.request("subscribe", {"channels": ["presence:w1"]}))["data"]["channels"]["presence:w1"]
        users, page = told["snapshot"]["users"], told["snapshot"]
        assert (len(users), page["total"]) == (3, 10)
        while page["more"]:
            page = (await ann.request("presence.list", {"after": users[-1]["user_id"], "limit": 4}))["data"]
            assert page["position"] == told["position"]
            users += page["users"]
        assert [record["user_id"] for record in users] == [f"u{number}" for number in range(10)]


async def test_silent_connection_is_away_and_back_when_it_speaks(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces(away_seconds=60.0, limits=PATIENT) as there:
        ann, bob = await there.member("ann"), await there.member("bob")
        await bob.request("subscribe", {"channels": ["presence:w1"]})
        await ann.request("presence.join", {"page": "/a"})
        await bob.expect("presence:update")
        await trio.sleep(30)
        await ann.request("presence.update")
        bob.timeout = 1000
        (record,) = (await bob.expect("presence:update"))["data"]["changed"]
        assert (record["status"], trio.current_time()) == ("away", 90.0)
        await ann.request("presence.update")
        (record,) = (await bob.expect("presence:update"))["data"]["changed"]
        assert (record["status"], record["page"]) == ("online", "/a")


async def test_invisible_user_is_not_in_the_list(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces() as there:
        ann, bob = await there.member("ann"), await there.member("bob")
        await bob.request("subscribe", {"channels": ["presence:w1"]})
        joined = await ann.request("presence.join", {"status": "offline", "page": "/secret"})
        assert (joined["data"]["status"], joined["data"]["page"]) == ("offline", None)
        await bob.receive_nothing(1)
        assert there.names() == []
        await ann.request("presence.update", {"status": "online"})
        assert (await bob.expect("presence:update"))["data"]["joined"][0]["page"] == "/secret"


async def test_guest_has_a_name_of_his_own_choice(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces(tokens=False) as there:
        ann = await there.server.connect()
        assert (await ann.request("presence.update"))["data"]["field"] == "data.name"
        assert (await ann.request("presence.join", {"name": "Ann"}))["data"]["user_id"] == "guest:Ann"
        assert (await ann.request("presence.update", {"page": "/a"}))["data"]["user_id"] == "guest:Ann"
        assert (await ann.request("presence.join", {"name": "Anna"}))["data"]["user_id"] == "guest:Anna"
        assert there.names("default") == ["guest:Anna"], "one connection is one user"


async def test_guest_who_signs_in_is_somebody_else(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces() as there:
        presence, hub = there.hub.presence, there.hub
        async with hub.subscribe("presence:default") as subscription:
            guest = Identity(user="", workspace="default")
            presence.join(subscription, guest, Appearance(), name="Ann")
            presence.join(subscription, Identity(user="ann", workspace="w1"), Appearance())
            assert (there.names("default"), there.names("w1")) == ([], ["ann"])
        await trio.sleep(6)
        assert there.names("w1") == []
        assert presence.statistics().workspaces == 0


async def test_connection_that_is_over_leaves_no_ghost(
    autojump_clock: Any, open_workspaces: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that was read with the end of its connection is carried out after it."""
    async with open_workspaces() as there:
        async with there.hub.subscribe("c") as subscription:
            pass
        monkeypatch.setattr(type(subscription), "over", True)
        there.hub.presence.join(subscription, Identity(user="ann", workspace="w1"), Appearance())
        there.hub.typing.write(subscription, Identity(user="ann", workspace="w1"), "c1")
        await trio.sleep(6)
        assert there.hub.presence.statistics().users == 0
        assert there.hub.typing.statistics().users == 0


async def test_who_is_named_by_the_application_is_there_until_stale(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces(limits=PATIENT) as there:
        presence, bob = there.hub.presence, await there.member("bob")
        await bob.request("subscribe", {"channels": ["presence:w1"]})
        presence.set("robot", workspace="w1", page="/a")
        await bob.expect("presence:update")
        for _ in range(3):
            await trio.sleep(299)
            presence.set("robot", workspace="w1", page="/a")
        bob.timeout = 1000
        assert (await bob.expect("presence:update"))["data"]["left"] == ["robot"]
        assert trio.current_time() == pytest.approx(3 * 299 + 300)
        presence.set("robot", workspace="w1")
        presence.set("robot", workspace="w1", source="other")
        presence.unset("robot", workspace="w1")
        assert there.names() == ["robot"]
        presence.unset("robot", workspace="w1", source="other")
        presence.unset("nobody", workspace="w1")
        assert there.names() == []


async def test_block_holds_a_user_present_and_takes_him_along(autojump_clock: Any, open_workspaces: Any) -> None:
    async def work(presence: Any) -> None:
        async with presence.present("robot", workspace="w1", page="/a") as robot:
            await trio.sleep(1000)
            assert presence.user("robot", "w1").page == "/a"
            robot.show(status="away", activity="editing")
            seen = presence.user("robot", "w1")
            assert (seen.status, seen.page, seen.activity) == ("away", None, "editing")
            raise RuntimeError("by design")

    async with open_workspaces() as there:
        with pytest.raises(RuntimeError, match="by design"):
            await work(there.hub.presence)
        assert there.names() == []


async def test_hub_without_room_for_the_channel_tells_later(
    autojump_clock: Any, open_workspaces: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing that failed to be told may be missing from what is told next."""
    async with open_workspaces(limits=Limits(channels=1)) as there:
        presence = there.hub.presence
        async with there.hub.subscribe("taken", "presence:w1") as events:
            there.hub.publish("taken", "x", {})
            presence.set("ann", workspace="w1")
            await trio.sleep(5)
            presence.set("bob", workspace="w1")
            await trio.sleep(5)
            assert presence.page("w1").total == 0
            assert len(caplog.records) == 1, "said once, not at each try"
            assert "channels=1" in caplog.text
            there.hub.detach_cursor(events, "taken")
            await trio.sleep(2)
            assert presence.page("w1").total == 2


async def test_presence_goes_on_quietly_when_the_hub_has_closed(autojump_clock: Any, open_workspaces: Any) -> None:
    async with open_workspaces() as there:
        there.hub.close()
        there.hub.presence.set("ann", workspace="w1")
        there.hub.typing.start("c", "ann", workspace="w1")
        await trio.sleep(400)
        assert there.names() == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"user": ""}, ValueError, "user: expected 1 to 255 characters, got 0"),
        ({"user": "x" * 256}, ValueError, "user: expected 1 to 255 characters, got 256"),
        ({"user": "\udc00"}, ValueError, "user: expected 1 to 255 characters, got 1"),
        ({"user": "a", "status": "x"}, ValueError, 'status: expected one of "online", "away", "offline", got "x"'),
        ({"user": 5}, TypeError, "user: expected text, got 5"),
        ({"user": "a", "workspace": 5}, TypeError, "workspace: expected text, got 5"),
        ({"user": "a", "workspace": ""}, RequestError, "presence needs a workspace, and the token names none"),
        (
            {"user": "a", "workspace": "\udc00"},
            RequestError,
            "no channel of presence can be named after the workspace {workspace}: a name with a lone surrogate has no "
            "channel: UTF-8 cannot carry it",
        ),
        (
            {"user": "a", "workspace": "ä" * 42},
            RequestError,
            "no channel of presence can be named after the workspace {workspace}: channel name of 261 characters "
            "exceeds the limit of 255",
        ),
    ],
)
async def test_application_is_told_what_is_wrong(
    autojump_clock: Any, open_workspaces: Any, arguments: Any, error: type[Exception], message: str
) -> None:
    async with open_workspaces() as there:
        with pytest.raises(error) as refused:
            there.hub.presence.set(**arguments)
        assert str(refused.value) == message.format(workspace=show(arguments.get("workspace")))
        with pytest.raises(error):
            async with there.hub.presence.present(**arguments):
                pass
        with pytest.raises(ValueError, match="limit: expected a whole number of at least 1, got 0"):
            there.hub.presence.page(limit=0)
        assert there.hub.presence.statistics().users == 0
