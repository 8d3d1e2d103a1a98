"""The timeline is whole: every feature's events are on it, whoever watches, once each and under their category."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from rtcore.application import ApplicationHub
from rtcore.features.activity.settings import CATEGORIES, ActivitySettings
from rtcore.features.activity.timeline import ActivityQuery
from rtcore.features.settings import FeatureSettings
from rtcore.testing import open_test_hub
from rtcore.values.identity import Identity

PAGE = Path(__file__).parents[3] / "docs" / "features" / "activity.md"
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| ([^|]*) \|$", re.MULTILINE)
ROWS = [
    (category, re.findall(r"`([^`]+)`", beginnings), re.findall(r"`([^`]+)`", types))
    for category, beginnings, types in ROW.findall(PAGE.read_text(encoding="utf-8"))
]
BOB = Identity(user="bob", workspace="acme")
WORKER = Identity(user="cy", workspace="acme", roles={"worker"})


def found(hub: ApplicationHub, identity: Identity) -> list[tuple[str, str]]:
    """Title and type, oldest first."""
    return [(each.title, each.type) for each in hub.activity.search(ActivityQuery(), identity=identity)][::-1]


def test_page_has_the_categories_that_are_built_in() -> None:
    shown = {beginning: category for category, beginnings, _ in ROWS for beginning in beginnings}
    assert shown == dict(CATEGORIES)


@pytest.mark.parametrize(("category", "type"), [(category, type) for category, _, types in ROWS for type in types])
async def test_event_of_the_page_is_an_activity_of_its_category(category: str, type: str) -> None:
    async with open_test_hub() as hub:
        hub.publish("c", type, {})
        (activity,) = hub.activity.search(ActivityQuery())
        assert (activity.category, activity.type) == (category, type)


LEFT_OUT = (
    *("task.progress", "tool.output", "output.chunk", "presence:update", "presence:activity", "presence:typing"),
    *("queue_depth_changed", "session_update", "typing_indicator", "message_updated", "stream_update"),
    *("notification.read", "notification.receipt", "notification.updated"),
)


@pytest.mark.parametrize("type", LEFT_OUT)
async def test_what_comes_by_the_dozen_is_no_activity(type: str) -> None:
    async with open_test_hub() as hub:
        hub.publish("c", type, {})
        assert hub.activity.statistics().recorded == 0


@pytest.mark.parametrize("watched", [False, True])
async def test_timeline_does_not_depend_on_who_watches(watched: bool, autojump_clock: Any) -> None:
    channels = ("notifications:acme:bob", "workspace_notifications:acme", "queues:acme", "member_outputs:acme:bob")
    async with open_test_hub() as hub, AsyncExitStack() as stack:
        if watched:
            await stack.enter_async_context(hub.subscribe(*channels))
        to_bob = await hub.notifications.send(user="bob", workspace="acme", title="for bob", sender="ann")
        await hub.notifications.send(workspace="acme", title="for all")
        await hub.notifications.read("bob", to_bob.id, workspace="acme")
        await to_bob.withdraw()
        queue = hub.queues.open("jobs", workspace="acme")
        await queue.put(1)
        await queue.pause()
        async with hub.outputs.text("answer", workspace="acme", user="bob") as output:
            output.write("x")
        of_bob = [
            ("for bob", "notification"),
            ("for all", "notification"),
            ("notification.withdrawn", "notification.withdrawn"),
            ("answer", "output.started"),
            ("answer", "output.completed"),
        ]
        assert found(hub, BOB) == of_bob, "an output is told on two channels, and is one activity"
        assert [type for _, type in found(hub, WORKER)] == ["notification", "queue.paused"]
        assert found(hub, Identity(user="bob", workspace="other")) == []
        newest = hub.activity.search(ActivityQuery(text="for bob"), identity=BOB)[0]
        assert (newest.actor, newest.offset) == ("ann", 1 if watched else None)
        assert newest.channel == "notifications:acme:bob"


async def test_notification_to_nobody_who_is_there_makes_no_channel(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        await hub.notifications.send(user="bob", workspace="acme", title="for bob")
        assert hub.channels() == []
        assert hub.statistics().published == 0
        assert found(hub, BOB) == [("for bob", "notification")]


async def test_follower_is_told_of_what_nobody_else_is_told(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.subscribe("member_activity:acme:bob") as events:
        await hub.notifications.send(user="bob", workspace="acme", title="for bob")
        event: Any = await events.__anext__()
        assert (event.data["title"], event.data["actor"], event.data["offset"]) == ("for bob", None, None)


async def test_longest_beginning_has_the_say(autojump_clock: Any) -> None:
    settings = ActivitySettings(categories={"task.review": "review", "deploy": "ops"}, left_out=("task.dull",))
    async with open_test_hub(features=FeatureSettings(activity=settings)) as hub:
        for type in ("task.review.done", "task.review", "task.reviewed", "deploy", "task.dull", "task"):
            hub.publish("c", type, {})
        kinds = [(each.category, each.type) for each in hub.activity.search(ActivityQuery())][::-1]
        assert kinds == [
            ("review", "task.review.done"),
            ("review", "task.review"),
            ("task", "task.reviewed"),
            ("ops", "deploy"),
            ("task", "task"),
        ]
