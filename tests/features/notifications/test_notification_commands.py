"""Notifications over connections: states, several connections of one user, pages, senders, and who may."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.server.profile_settings import ProfileSettings
from rtcore.testing import open_test_server
from rtcore.values.events import parse_timestamp
from rtcore.values.identity import Identity
from tests.features.notifications.conftest import OpenTeam, refusal

# Reading


async def test_state_is_what_is_unread_and_the_events_follow_it(autojump_clock: Any, open_team: OpenTeam) -> None:
    async with open_team(page_notifications=2) as team:
        send = team.hub.notifications.send
        sent = [await send(user="ann", workspace="acme", title=str(number)) for number in range(4)]
        wide = await send(workspace="acme", title="all")
        await team.hub.notifications.read("ann", sent[0].id, wide.id, workspace="acme")
        client, own, all_of_it = await team.visit("ann")
        assert (own["unread"], own["more"], [each["title"] for each in own["notifications"]]) == (3, True, ["3", "2"])
        assert own["read"] == {"up_to": None, "ids": [sent[0].id, wide.id]}
        assert (all_of_it["unread"], all_of_it["notifications"]) == (0, [])
        reply = await client.request("notification.read", {"up_to": sent[2].id})
        assert reply["data"] == {"ids": [sent[1].id, sent[2].id], "unread": 1}
        event = await client.expect("notification.read")
        assert (event["data"]["up_to"], event["data"]["unread"]) == (sent[2].id, 1)
        reply = await client.request("notification.unread")
        assert reply["data"] == {"unread": 1, "user": 1, "workspace": 0}


async def test_every_connection_of_a_user_learns_what_one_has_read(autojump_clock: Any, open_team: OpenTeam) -> None:
    async with open_team() as team:
        first, _, _ = await team.visit("ann")
        second, _, _ = await team.visit("ann")
        other, _, _ = await team.visit("bob")
        wide = await team.hub.notifications.send(workspace="acme", title="all")
        for client in (first, second, other):
            assert (await client.expect("notification"))["data"]["id"] == wide.id
        await first.request("notification.read", {"ids": [wide.id]})
        for client in (first, second):
            assert (await client.expect("notification.read"))["data"]["ids"] == [wide.id]
        await other.receive_nothing()


async def test_reading_up_to_ids_that_nobody_had_keeps_nothing_of_them(
    autojump_clock: Any, open_team: OpenTeam
) -> None:
    """What was read is written at each step: a client must not make it as long as it likes."""
    async with open_team() as team:
        client, _, _ = await team.visit("ann")
        sent = [await team.hub.notifications.send(user="ann", workspace="acme", title=str(n)) for n in range(2)]
        for _ in sent:
            await client.expect("notification")
        for number in range(20):
            await client.request("notification.read", {"up_to": f"{sent[0].id[:12]}-{number + 0xFFFFFF00:08x}"})
        document: Any = await team.hub.store.get("notification_readers", "acme/ann/marks")
        assert [id for id, _ in document["positions"]] == [sent[0].id]
        event = await client.expect("notification.read")
        assert event["data"]["up_to"] == sent[0].id
        await client.receive_nothing()


async def test_dismissed_is_out_of_sight_of_its_reader_alone(autojump_clock: Any, open_team: OpenTeam) -> None:
    async with open_team() as team:
        client, _, _ = await team.visit("ann")
        wide = await team.hub.notifications.send(workspace="acme", title="all")
        own = await team.hub.notifications.send(user="ann", workspace="acme", title="own")
        await client.receive_events(2)
        reply = await client.request("notification.dismiss", {"ids": [wide.id, own.id, f"{wide.id[:12]}-00000000"]})
        assert reply["data"] == {"ids": [own.id, wide.id], "unread": 0}
        event = await client.expect("notification.withdrawn")
        assert event["data"] == {"ids": [own.id, wide.id], "reason": "dismissed", "unread": 0}
        assert (await client.request("notification.list"))["data"]["notifications"] == []
        assert (await client.request("notification.dismiss", {"ids": [wide.id]}))["data"]["ids"] == []
        assert [each.user for each in await wide.receipts()] == ["ann"], "it was seen"
        _, _, state = await team.visit("bob")
        assert state["unread"] == 1


async def test_pages_go_back_through_both_kinds_in_order(autojump_clock: Any, open_team: OpenTeam) -> None:
    async with open_team() as team:
        client, _, _ = await team.visit("ann")
        targets: list[dict[str, Any]] = [{"user": "ann"}, {}, {"user": "bob"}, {}, {"user": "ann"}]
        for number, target in enumerate(targets):
            await team.hub.notifications.send(workspace="acme", title=str(number), **target)
        page = (await client.request("notification.list", {"limit": 3}))["data"]
        assert ([each["title"] for each in page["notifications"]], page["more"], page["unread"]) == (
            ["4", "3", "1"],
            True,
            4,
        )
        await client.request("notification.read", {"ids": [page["notifications"][0]["id"]]})
        page = (await client.request("notification.list", {"after": page["notifications"][2]["id"]}))["data"]
        assert ([each["title"] for each in page["notifications"]], page["more"]) == (["0"], False)
        page = (await client.request("notification.list", {"unread_only": True}))["data"]
        assert [each["title"] for each in page["notifications"]] == ["3", "1", "0"]
        read = (await client.request("notification.list", {"limit": 1}))["data"]["notifications"][0]
        assert (read["title"], read["read"], "read_at" in read) == ("4", True, True)


async def test_client_is_shown_what_came_since_its_last_visit(autojump_clock: Any, open_team: OpenTeam) -> None:
    """A visit lasts as long as any of the user's connections; a restart changes nothing."""
    store = rtcore.MemoryStore()
    async with open_team(store) as team:
        client, own, _ = await team.visit("ann")
        assert (own["last_visit"], own["since_last_visit"]) == (None, 0)
        await team.hub.notifications.send(user="ann", workspace="acme", title="seen")
        await trio.sleep(10)
        other, own, _ = await team.visit("ann")
        assert own["last_visit"] is None, "she has been here all the time"
        await client.aclose()
        await trio.sleep(10)
        await other.aclose()
        left = await moment(team)
        await trio.sleep(5)
        await team.hub.notifications.send(user="ann", workspace="acme", title="missed")
    async with open_team(store) as team:
        await trio.sleep(100)
        client, own, _ = await team.visit("ann")
        assert (own["since_last_visit"], own["unread"]) == (1, 2)
        assert abs(parse_timestamp(own["last_visit"]) - left) < 0.01
        page = (await client.request("notification.list", {"since": "last_visit"}))["data"]
        assert [each["title"] for each in page["notifications"]] == ["missed"]
        page = (await client.request("notification.list", {"since": own["last_visit"]}))["data"]
        assert [each["title"] for each in page["notifications"]] == ["missed"]


async def moment(team: Any) -> float:
    await trio.testing.wait_all_tasks_blocked()
    return float(team.hub.clock())


async def test_endpoint_can_begin_with_the_inbox_though_it_has_to_be_read_first(
    autojump_clock: Any, open_team: OpenTeam
) -> None:
    """A profile subscribes as soon as the client is known; what comes meanwhile is in the state."""
    profile = ProfileSettings(path="/bell", channels=("workspace_notifications:{workspace}",))
    async with open_team() as team:
        await team.hub.notifications.send(workspace="default", title="t")
        settings = rtcore.Settings(profiles={"bell": profile})
        async with open_test_server(settings, hub=team.hub) as server:
            client = await server.connect("/bell")
            reply = await client.expect("subscribed")
            state = reply["data"]["channels"]["workspace_notifications:default"]["snapshot"]
            assert (state["unread"], state["last_visit"]) == (1, None)
            await team.hub.notifications.send(workspace="default", title="t")
            await client.expect("notification")


# Sending


async def test_client_sends_changes_and_withdraws_and_is_told_who_reads(
    autojump_clock: Any, open_team: OpenTeam
) -> None:
    async with open_team() as team:
        boss = await team.connect("boss", "publisher")
        await boss.request("subscribe", {"channels": ["notifications:acme:boss"]})
        ann, _, _ = await team.visit("ann")
        asked = {"user": "ann", "title": "Read me", "receipts": True, "actions": [{"id": "ok", "label": "OK"}]}
        sent = (await boss.request("notification.send", asked))["data"]
        assert (sent["user"], sent["workspace"], sent["sender"], sent["repeated"]) == ("ann", "acme", "boss", False)
        assert (await ann.expect("notification"))["data"]["sender"] == "boss"
        await ann.request("notification.read", {"ids": [sent["id"]]})
        receipt = (await boss.expect("notification.receipt"))["data"]
        assert (receipt["id"], receipt["user"]) == (sent["id"], "ann")
        receipts = (await boss.request("notification.receipts", {"id": sent["id"]}))["data"]
        assert receipts == {"id": sent["id"], "receipts": [{"user": "ann", "at": receipt["at"]}]}
        await ann.expect("notification.read")
        revision = {"id": sent["id"], "progress": 100, "status": "completed"}
        changed = (await boss.request("notification.update", revision))["data"]
        assert changed["progress"] == {"value": 100, "status": "completed"}
        assert (await ann.expect("notification.updated"))["data"]["progress"] == changed["progress"]
        await ann.request("notification.act", {"id": sent["id"], "action": "ok"})
        acted = (await boss.expect("notification.acted"))["data"]
        assert (acted["id"], acted["action"], acted["by"]) == (sent["id"], "ok", "ann")
        await ann.expect("notification.updated")
        await boss.request("notification.withdraw", {"id": sent["id"]})
        assert (await ann.expect("notification.withdrawn"))["data"] == {"ids": [sent["id"]], "reason": "withdrawn"}


async def test_client_that_repeats_a_request_sends_once(autojump_clock: Any, open_team: OpenTeam) -> None:
    async with open_team() as team:
        boss = await team.connect("boss", "publisher")
        asked = {"user": "ann", "title": "t", "idempotency_key": "k1"}
        first = (await boss.request("notification.send", asked))["data"]
        again = (await boss.request("notification.send", asked))["data"]
        assert (again["id"], again["repeated"]) == (first["id"], True)
        other = await team.connect("eve", "publisher")
        assert (await other.request("notification.send", asked))["data"]["repeated"] is False, "a key has an owner"
        refused = await boss.request("notification.send", {**asked, "title": "other"})
        assert refused["data"]["code"] == "request.conflict"
        assert refused["data"]["field"] == "data.idempotency_key"


async def test_first_choice_counts_for_a_whole_workspace(autojump_clock: Any, open_team: OpenTeam) -> None:
    async with open_team() as team:
        ann, _, _ = await team.visit("ann")
        bob, _, _ = await team.visit("bob")
        actions = [{"id": "take", "label": "Take"}]
        sent = await team.hub.notifications.send(workspace="acme", title="Who?", actions=actions)
        act = {"id": sent.id, "action": "take"}
        assert (await ann.request("notification.act", act))["data"]["by"] == "ann"
        assert (await ann.request("notification.act", act))["data"]["by"] == "ann", "a second time is no other choice"
        assert (await bob.request("notification.act", act))["data"]["code"] == "request.conflict"
        assert (await bob.expect("notification"))["data"]["id"] == sent.id
        assert (await bob.expect("notification.updated"))["data"]["taken"]["by"] == "ann"
        assert [await team.hub.notifications.unread(user, workspace="acme") for user in ("ann", "bob")] == [0, 1]


# Who may, and what is refused


BAD: list[tuple[str, Any, str, str]] = [
    ("notification.read", {}, "request.malformed", "data.ids: expected either ids or up_to"),
    ("notification.read", {"ids": ["a"], "up_to": "a"}, "request.malformed", "data.ids: expected either ids or up_to"),
    ("notification.read", {"ids": []}, "request.malformed", "data.ids: expected 1 to 1000 entries, got 0"),
    ("notification.read", {"ids": "a"}, "request.malformed", "data.ids: expected an array"),
    ("notification.read", {"ids": [5]}, "request.malformed", "data.ids[0]: expected text"),
    ("notification.read", {"ids": ["x" * 65]}, "limit.too_large", "data.ids[0]: expected 1 to 64 characters, got 65"),
    ("notification.read", {"upto": "a"}, "request.malformed", "data.upto: unknown field"),
    ("notification.dismiss", {}, "request.malformed", "data.ids: missing"),
    ("notification.act", {"id": "a"}, "request.malformed", "data.action: missing"),
    ("notification.act", {"id": "a", "action": "b"}, "request.not_found", "data.id: there is no such notification"),
    ("notification.act", {"id": "MINE", "action": "b"}, "request.not_found", "data.action: the notification has"),
    ("notification.act", {"id": "YOURS", "action": "ok"}, "request.not_found", "data.id: there is no such"),
    ("notification.list", {"limit": 0}, "request.malformed", "data.limit: expected a whole number from 1 to page_"),
    ("notification.list", {"since": "soon"}, "request.malformed", 'data.since: expected "last_visit" or a time'),
    ("notification.list", {"after": ""}, "request.malformed", "data.after: expected 1 to 64 characters, got 0"),
    ("notification.update", {"id": "MINE", "title": 5}, "request.malformed", "data.title: expected text"),
    ("notification.unread", {"x": 1}, "request.malformed", "data.x: unknown field"),
    ("notification.send", {"user": "b", "title": "t"}, "access.denied", "needs one of the roles admin, publisher"),
    ("notification.update", {"id": "MINE", "progress": 1}, "request.not_found", "data.id: there is no such notif"),
    ("notification.update", {"id": "MINE", "status": "interrupted"}, "request.malformed", "data.status: expected one"),
    ("notification.withdraw", {"id": "MINE"}, "request.not_found", "data.id: there is no such notification"),
    ("notification.receipts", {"id": "MINE"}, "request.not_found", "data.id: there is no such notification"),
    ("subscribe", {"channels": ["notifications:acme:bob"]}, "access.denied", "not allowed to read this channel"),
    ("subscribe", {"channels": ["notifications:other:ann"]}, "access.denied", "not allowed to read this channel"),
    ("subscribe", {"channels": ["notifications:acme"]}, "access.denied", "not allowed to read this channel"),
    ("subscribe", {"channels": ["workspace_notifications:other"]}, "access.denied", "not allowed to read this channel"),
    ("publish", {"channel": "notifications:acme:ann", "type": "notification", "data": 1}, "access.denied", "not all"),
]  # fmt: skip


@pytest.mark.parametrize(("type", "data", "code", "message"), BAD)
async def test_bad_input_is_refused_in_words(
    type: str, data: Any, code: str, message: str, autojump_clock: Any, open_team: OpenTeam
) -> None:
    """Another's notification is refused in the words of one that is not there."""
    async with open_team() as team:
        actions = [{"id": "ok", "label": "OK"}]
        for user, word in (("ann", "MINE"), ("bob", "YOURS")):
            sent = await team.hub.notifications.send(user=user, workspace="acme", title="t", actions=actions)
            if data.get("id") == word:
                data = {**data, "id": sent.id}
        got = await refusal(await team.connect("ann"), type, data)
        assert (got[0], got[1][: len(message)]) == (code, message)


SENDERS: list[tuple[list[str], dict[str, Any], str | None]] = [
    (["publisher"], {"user": "b"}, None),
    (["admin"], {"workspace": "acme"}, None),
    (["admin"], {"workspace": "other"}, "data.workspace: not allowed to send to another workspace"),
    (["publisher"], {"workspace": "other"}, "data.workspace: not allowed to send to another workspace"),
    (["publisher"], {"user": "b", "workspace": "other"}, "data.workspace: not allowed to send to another workspace"),
    (["publisher"], {}, "data.user: expected a user, or a workspace, or both"),
    (["publisher"], {"user": "b", "kind": "x"}, "data.kind: expected one of"),
    (["publisher"], {"user": "b", "escalate": [{"user": "b", "after": 1}]}, "data.escalate[0].user: b is in line al"),
]


@pytest.mark.parametrize(("roles", "data", "message"), SENDERS)
async def test_role_and_workspace_decide_who_sends_to_whom(
    roles: list[str], data: dict[str, Any], message: str | None, autojump_clock: Any, open_team: OpenTeam
) -> None:
    async with open_team() as team:
        client = await team.connect("ann", *roles)
        reply = await client.request("notification.send", {"title": "t", **data})
        if message is None:
            assert reply["type"] == "notification.sent"
        else:
            assert (reply["type"], reply["data"]["message"][: len(message)]) == ("error", message)


async def test_channel_below_a_workspaces_shows_nobodys_inbox(autojump_clock: Any, open_team: OpenTeam) -> None:
    """`workspace_notifications:acme:ann` is in the scope of all members, so its state must not be ann's."""
    async with open_team() as team:
        await team.hub.notifications.send(user="ann", workspace="acme", title="secret")
        bob = await team.connect("bob")
        for channel in ("workspace_notifications:acme:ann", "notifications:acme:bob:ann"):
            reply = await bob.request("subscribe", {"channels": [channel]})
            assert reply["data"]["channels"][channel]["snapshot"] is None


async def test_whoever_has_no_identity_sees_its_workspaces_and_has_no_inbox(autojump_clock: Any) -> None:
    async with open_test_server() as server:
        hub = server.hub
        assert isinstance(hub, rtcore.ApplicationHub)
        await hub.notifications.send(workspace="default", title="t")
        client = await server.connect()
        channel = "workspace_notifications:default"
        reply = await client.request("subscribe", {"channels": [channel]})
        assert reply["data"]["channels"][channel]["snapshot"]["unread"] == 1
        assert [each["title"] for each in (await client.request("notification.list"))["data"]["notifications"]] == ["t"]
        for type, data in (
            ("notification.read", {"up_to": "a"}),
            ("notification.dismiss", {"ids": ["a"]}),
            ("notification.act", {"id": "a", "action": "b"}),
        ):
            assert await refusal(client, type, data) == (
                "access.denied",
                "there is no inbox without a token that says whose",
            )


async def test_administrator_takes_back_what_is_in_its_own_workspace(autojump_clock: Any, open_team: OpenTeam) -> None:
    async with open_team() as team:
        own = await team.hub.notifications.send(user="ann", workspace="acme", title="t")
        other = await team.hub.notifications.send(user="ann", workspace="other", title="t")
        admin = await team.connect("root", "admin")
        assert (await admin.request("notification.withdraw", {"id": own.id}))["type"] == "notification.gone"
        assert (await refusal(admin, "notification.withdraw", {"id": other.id}))[0] == "request.not_found"


def test_no_role_opens_anothers_inbox() -> None:
    hub = rtcore.ApplicationHub()
    for identity in (
        Identity(user="root", workspace="acme", roles={"admin", "publisher"}),
        Identity(user="ann", workspace="other", roles={"admin"}),
        Identity(user="ann", roles={"admin"}),
    ):
        assert not hub.access.can_read(identity, "notifications:acme:ann")
        assert not hub.access.can_publish(identity, "notifications:acme:ann")
    assert hub.access.can_read(Identity(user="ann", workspace="acme"), "notifications:acme:ann")
