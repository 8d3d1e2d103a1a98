"""The activity timeline over a hub: what becomes an activity, who may see it, and what it costs."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
import trio

import rtcore
from rtcore.application import ApplicationHub
from rtcore.features.activity.activities import ActivitySearch
from rtcore.features.activity.settings import ActivitySettings
from rtcore.features.activity.timeline import ActivityQuery
from rtcore.features.settings import FeatureSettings
from rtcore.testing import open_test_hub, open_test_server
from rtcore.values.channels import Namespace, Scope
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

ANN = Identity(user="ann", workspace="w1")
SECRET = "s" * 40
KEYS = rtcore.AuthenticationSettings(keys={"main": rtcore.KeySettings(algorithm="HS256", secret=SECRET)})
NAMESPACES = {
    "team": Namespace(scope=Scope.WORKSPACE),
    "mine": Namespace(scope=Scope.USER),
    "secret": Namespace(read_roles=frozenset({"boss"})),
}


def types(hub: ApplicationHub, identity: Identity | None = None, **query: Any) -> list[str]:
    return [each.type for each in hub.activity.search(ActivityQuery(**query), identity=identity)]


async def test_events_of_features_become_activities(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        async with hub.workflow("nightly") as workflow, workflow.task("index", task_id="t1") as task:
            task.progress(40)
        hub.publish("prices", "price.changed", {"id": "x"})
        assert types(hub) == ["workflow.completed", "task.completed"], "what comes by the dozen is no activity"
        (done,) = hub.activity.search(ActivityQuery(related="t1"))
        assert (done.category, done.title, done.channel, done.related["task_id"]) == ("task", "index", "tasks", "t1")
        event = hub.history("tasks", since=rtcore.from_offset(done.offset or 0)).events[0]
        assert event.type == "task.completed"


async def test_applications_have_categories_of_their_own(autojump_clock: Any) -> None:
    settings = FeatureSettings(activity=ActivitySettings(categories={"price": "market"}, left_out=("changed",)))
    async with open_test_hub(features=settings) as hub:
        hub.publish("prices", "price.changed", {})
        hub.publish("prices", "price.fixed", {})
        hub.publish("tasks", "task.progress", {})
        assert types(hub, categories=frozenset({"market"})) == ["price.fixed"]
        assert types(hub) == ["task.progress", "price.fixed"]
        hub.activity.record("billing", "invoice.sent", "Invoice 7", actor="ann", related={"invoice_id": "7"})
        (found,) = hub.activity.search(ActivityQuery(related="7"))
        assert (found.actor, found.title, found.channel, found.offset) == ("ann", "Invoice 7", None, None)


async def test_activity_is_for_those_who_could_see_the_event(autojump_clock: Any) -> None:
    async with open_test_hub(namespaces=NAMESPACES) as hub:
        for channel in ("tasks", "team:w1", "team:w1:x", "team:w2", "mine:ann", "mine:bob", "secret", "team", "mine"):
            hub.publish(channel, f"task.at-{channel.replace(':', '-')}", {})
        hub.activity.record("c", "own", "t", workspace="w1")
        hub.activity.record("c", "hers", "t", user="ann")
        assert types(hub, ANN) == [
            "hers",
            "own",
            "task.at-mine-ann",
            "task.at-team-w1-x",
            "task.at-team-w1",
            "task.at-tasks",
        ]
        assert types(hub, Identity(user="bob")) == ["task.at-mine-bob", "task.at-tasks"]
        assert types(hub, rtcore.Identity(user="", workspace="default")) == ["task.at-tasks"]
        assert types(hub, Identity(user="cy", roles={"boss"})) == ["task.at-secret", "task.at-tasks"]


async def test_activity_of_a_user_in_a_workspace_is_his_there_only() -> None:
    """Two workspaces may have an `ann`; and no name with a colon moves the border between the two."""
    async with open_test_hub() as hub:
        hub.activity.record("c", "t", "in w1", user="ann", workspace="w1")
        hub.activity.record("c", "t", "anywhere", user="ann")
        hub.activity.record("c", "t", "colons", user="b:c", workspace="a")

        def seen(user: str, workspace: str | None) -> list[str]:
            who = Identity(user=user, workspace=workspace, roles={"admin"})
            return [each.title for each in hub.activity.search(ActivityQuery(), identity=who)]

        assert seen("ann", "w1") == ["anywhere", "in w1"]
        assert seen("ann", "w2") == seen("ann", None) == ["anywhere"]
        assert seen("bob", "w1") == seen("w1", "ann") == seen("c", "a:b") == seen("c", "b") == []
        assert seen("b:c", "a") == ["colons"]


async def test_activity_of_a_role_is_for_those_who_may_read_the_channel(autojump_clock: Any) -> None:
    """Of a workspace's channel in that workspace; of a restricted channel for whom it is restricted to."""
    namespaces = {"jobs": Namespace(scope=Scope.WORKSPACE, read_roles=frozenset({"worker"}))}
    async with open_test_hub(namespaces=namespaces) as hub:
        hub.access.restrict("tasks:hidden", lambda identity: identity.user == "ann")
        hub.publish("jobs:w1:x", "task.of-jobs", {})
        hub.publish("tasks:hidden", "task.hidden", {})
        worker = Identity(user="bob", workspace="w1", roles={"worker"})
        assert types(hub, worker) == ["task.of-jobs"]
        assert types(hub, ANN) == ["task.hidden"]
        assert types(hub, Identity(user="bob", workspace="w2", roles={"worker"})) == []
        can_read = hub.access.can_read
        for place, reads in (("channel_activity:jobs:w1", worker), ("channel_activity:tasks:hidden", ANN)):
            assert can_read(reads, place)
            assert not can_read(worker if reads is ANN else ANN, place)
        for nothing in ("channel_activity", "channel_activity:"):
            assert not can_read(Identity(user="root", roles={"admin", "boss"}), nothing)


async def test_tail_has_all_that_a_client_may_see_and_no_more(autojump_clock: Any) -> None:
    """An endpoint that begins with it: the shared timeline, the workspace's, the user's, the member's, his roles'."""
    settings = rtcore.Settings(authentication=KEYS)
    async with open_test_hub() as hub, open_test_server(settings, hub=hub) as server:

        def token(user: str, workspace: str, *roles: str) -> str:
            claims = {"sub": user, "workspace": workspace, "roles": roles, "exp": hub.clock() + 600}
            return jwt.encode(claims, SECRET, "HS256")

        ann = await server.connect("/ws/activity", token=token("ann", "w1", "worker"))
        twin = await server.connect("/ws/activity", token=token("ann", "w2"))
        for client, channels in ((ann, 5), (twin, 4)):
            for _ in range(channels):
                await client.expect("subscribed")
        for title, whose in WHOSE.items():
            hub.activity.record("c", "t", title, **whose)
        hub.publish("queues:w1", "queue.paused", {"name": "jobs"})
        seen = [(await ann.expect("activity"))["data"]["title"] for _ in range(5)]
        assert sorted(seen) == ["all", "ann", "ann of w1", "jobs", "w1"]
        assert sorted([(await twin.expect("activity"))["data"]["title"] for _ in range(2)]) == ["all", "ann"]
        await ann.receive_nothing()
        await twin.receive_nothing()


WHOSE: dict[str, dict[str, str]] = {
    "all": {},
    "w1": {"workspace": "w1"},
    "ann": {"user": "ann"},
    "ann of w1": {"workspace": "w1", "user": "ann"},
    "bob of w1": {"workspace": "w1", "user": "bob"},
}


async def test_busy_users_push_out_no_timeline_of_a_workspace() -> None:
    async with open_test_hub(features=FeatureSettings(activity=ActivitySettings(timelines=2))) as hub:
        hub.activity.record("c", "kept", "t", workspace="w1")
        for number in range(5):
            hub.activity.record("c", "t", "t", user=str(number))
            hub.activity.record("c", "t", "t", user=str(number), workspace="w1")
        assert types(hub, ANN) == ["kept"]
        assert hub.activity.statistics().timelines == 5


async def test_search_over_a_connection_sees_no_more(autojump_clock: Any) -> None:
    settings = rtcore.Settings(namespaces=NAMESPACES)
    async with open_test_hub(namespaces=NAMESPACES) as hub, open_test_server(settings, hub=hub) as server:
        for channel in ("tasks", "team:w1", "mine:ann"):
            hub.publish(channel, "task.completed", {"name": channel})
        client = await server.connect()
        page = (await client.request("activity.search", {"text": "t"}))["data"]
        assert [each["title"] for each in page["activities"]] == ["tasks"]


async def test_live_tail_follows_the_list_without_gap_or_repeat(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        hub.publish("tasks", "task.completed", {"name": "a"})
        client = await server.connect("/ws/activity")
        first = (await client.expect("subscribed"))["data"]["channels"]["activity"]["snapshot"]
        assert [each["title"] for each in first["activities"]] == ["a"]
        for _ in range(3):  # that of its workspace, and two that its role may read
            await client.expect("subscribed")
        hub.publish("tasks", "task.failed", {"name": "b"})
        event = (await client.expect("activity"))["data"]
        assert (event["title"], event["type"], event["sequence"]) == ("b", "task.failed", 2)
        await client.receive_nothing()
        await client.request("set_filters", {"where": {"category": "tool"}})
        hub.publish("tasks", "task.failed", {"name": "c"})
        hub.publish("tools", "tool.failed", {"name": "d"})
        assert (await client.expect("activity"))["data"]["title"] == "d"


async def test_nothing_is_published_for_nobody(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        hub.publish("tasks", "task.completed", {})
        assert hub.position("activity") is None
        assert hub.statistics().published == 1
        async with hub.subscribe("activity"):
            hub.publish("tasks", "task.completed", {})
            assert hub.statistics().published == 3


async def test_pages_and_export_have_their_bounds(autojump_clock: Any) -> None:
    settings = FeatureSettings(activity=ActivitySettings(page=2, exported=3, kept=4))
    async with open_test_hub(features=settings) as hub, open_test_server(hub=hub) as server:
        for number in range(6):
            hub.publish("tasks", "task.completed", {"name": str(number)})
        client = await server.connect()
        page = (await client.request("activity.search", {"limit": 2}))["data"]
        assert ([each["title"] for each in page["activities"]], page["more"]) == (["5", "4"], True)
        await client.send("activity.search", {"limit": 3}, id=1)
        refused = (await client.expect("error"))["data"]
        assert refused["message"] == "data.limit: expected a whole number from 1 to page=2, got 3"
        assert (refused["code"], refused["field"]) == ("request.malformed", "data.limit")
        page = (await client.request("activity.search", {"before": page["activities"][-1]["sequence"]}))["data"]
        assert ([each["title"] for each in page["activities"]], page["more"]) == (["3", "2"], False)
        assert len(hub.activity.export(ActivitySearch(), ANN)) == 3
        assert len(hub.activity.export(ActivitySearch(limit=1), ANN)) == 1
        with pytest.raises(rtcore.RequestError, match=r"limit: expected a whole number from 1 to exported=3, got 4"):
            hub.activity.export(ActivitySearch(limit=4), ANN)
        statistics = hub.activity.statistics()
        assert (statistics.recorded, statistics.kept, statistics.timelines) == (6, 4, 1)


async def test_quiet_timelines_are_forgotten_first(autojump_clock: Any) -> None:
    settings = FeatureSettings(activity=ActivitySettings(timelines=2))
    async with open_test_hub(features=settings) as hub:
        hub.publish("tasks", "task.completed", {})
        for workspace in ("w1", "w2", "w1", "w3"):
            hub.activity.record("c", workspace, "t", workspace=workspace)
        assert types(hub) == ["w3", "w1", "w1", "task.completed"]


async def test_types_that_strangers_make_up_are_not_kept_for_ever(autojump_clock: Any) -> None:
    async with open_test_hub(limits=Limits(event_types=10)) as hub:
        for number in range(100):
            hub.publish("c", f"task.made-up-{number}", {})
        assert len(hub.activity._category_of_type) == 10
        assert hub.activity.statistics().recorded == 100


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"category": "task"}, 'data.category: expected an array, got text'),
        ({"category": []}, "data.category: expected 1 to 32 entries, got 0"),
        ({"category": ["x" * 129]}, "data.category[0]: expected 1 to 128 characters, got 129"),
        ({"text": ""}, "data.text: expected 1 to 200 characters, got 0"),
        ({"related": "x" * 201}, "data.related: expected 1 to 200 characters, got 201"),
        ({"since": "yesterday"}, 'data.since: expected an RFC 3339 timestamp, got "yesterday"'),
        ({"until": 5}, "data.until: expected an RFC 3339 timestamp, got 5"),
        ({"before": 0}, "data.before: expected a whole number from 1 to 9007199254740992, got 0"),
        ({"limit": 0}, "data.limit: expected a whole number from 1 to page=100, got 0"),
        ({"limit": 10_001}, "data.limit: expected a whole number from 1 to page=100, got 10001"),
        ({"limit": 1.5}, "data.limit: expected a whole number, got 1.5"),
        ({"actors": "a"}, "data.actors: unknown field"),
    ],
)
async def test_bad_searches_are_refused(data: Any, message: str, autojump_clock: Any) -> None:
    async with open_test_server() as server:
        client = await server.connect()
        await client.send("activity.search", data, id=1)
        assert (await client.expect("error"))["data"]["message"] == message


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"workspace": ""}, "workspace: an empty name has no channel"),
        ({"user": ""}, "user: an empty name has no channel"),
        ({"user": "x" * 300}, "user: channel name of 314 characters exceeds the limit of 255"),
        ({"workspace": "ä" * 50}, "workspace: channel name of 319 characters exceeds the limit of 255"),
        ({"user": "\udc00"}, "user: a name with a lone surrogate has no channel: UTF-8 cannot carry it"),
    ],
)
async def test_timeline_of_nobody_is_refused(place: Any, message: str) -> None:
    async with open_test_hub() as hub:
        with pytest.raises(rtcore.RequestError) as caught:
            hub.activity.record("c", "t", "title", **place)
        assert (caught.value.message, caught.value.field) == (message, next(iter(place)))


async def test_timeline_is_of_one_user_whatever_he_is_called() -> None:
    """Also of an event on his channel; and nobody whose name is the escaped form of another's sees it."""
    async with open_test_hub(namespaces={"inbox": rtcore.Namespace(scope=rtcore.Scope.USER)}) as hub:
        hub.activity.record("c", "t", "recorded", user="a@b")
        hub.activity.record("c", "t", "of all", workspace="a:b")
        hub.publish(f"inbox:{rtcore.channel_part('a@b')}", "task.failed", {"name": "published"})

        def seen(user: str, workspace: str | None) -> list[str]:
            who = rtcore.Identity(user=user, workspace=workspace)
            return [each.title for each in hub.activity.search(rtcore.ActivityQuery(), identity=who)]

        assert seen("a@b", "a") == ["published", "recorded"]
        assert seen("a@b", "a:b") == ["published", "of all", "recorded"]
        for user in ("a~40b", "a", "a~7E40b", "", "\udc00", "ä" * 255):
            assert seen(user, "a~3Ab") == [], user


async def test_observer_costs_unknown_types_one_look(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        hub.publish("c", "price", 1)
        assert hub.activity._category_of_type == {"price": None}
        assert hub.activity.statistics().recorded == 0
        await trio.lowlevel.checkpoint()


async def test_what_is_of_one_member_is_on_his_timeline(autojump_clock: Any) -> None:
    """`name:WORKSPACE:USER` is neither the workspace's nor that of whoever has the workspace's name."""
    async with open_test_hub() as hub, hub.subscribe("notifications:acme:alice"):
        await hub.notifications.send(user="alice", workspace="acme", title="SALARY of alice")
        strangers = [("acme", "globex"), ("bob", "acme"), ("alice", "globex"), ("alice", None)]
        for user, workspace in strangers:
            who = Identity(user=user, workspace=workspace, roles={"admin", "publisher"})
            assert hub.activity.search(ActivityQuery(text="salary"), identity=who) == []
        alice = Identity(user="alice", workspace="acme")
        (found,) = hub.activity.search(ActivityQuery(text="salary"), identity=alice)
        assert (found.category, found.channel) == ("notification", "notifications:acme:alice")


async def test_long_names_and_strange_text_harm_no_page(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, open_test_server(hub=hub) as server:
        client = await server.connect("/ws/activity")
        for _ in range(4):  # the shared one, that of its workspace, and two that its role may read
            await client.expect("subscribed")
        hub.publish("room", "task.x", {"a" * 900_000 + "_id": "v", "task_id": "t1", "name": "n" * 1000})
        hub.activity.record("c", "t", "\ud800" * 300, actor="\ud800", related={"b" * 500: "\ud800"})
        assert (await client.expect("activity"))["data"]["related"] == {"task_id": "t1"}
        await client.expect("activity")
        page = (await client.request("activity.search", {}))["data"]["activities"]
        assert [each["related"] for each in page] == [{"b" * 64: "?"}, {"task_id": "t1"}]
        assert [len(each["title"]) for each in page] == [200, 200]


async def test_want_of_room_keeps_nobody_from_publishing(autojump_clock: Any) -> None:
    async with open_test_hub(limits=Limits(channels=1)) as hub, hub.subscribe("activity"), hub.subscribe("tasks"):
        hub.publish("tasks", "task.completed", {})
        hub.publish("tasks", "task.completed", {})
        assert hub.activity.statistics().recorded == 2
