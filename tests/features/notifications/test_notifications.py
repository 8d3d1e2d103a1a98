"""Notifications in the server's process: sending, changing, waiting for a choice, progress."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.errors import ErrorCode
from rtcore.features.notifications.notification import Level, Place, ProgressStatus
from rtcore.store.memory_store import MemoryStore
from rtcore.testing import open_test_hub
from tests.features.notifications.conftest import OpenTeam, take

REFUSED = rtcore.RequestError
CHANNEL = "notifications:default:ann"


async def types_of(events: rtcore.Subscription, count: int) -> list[str]:
    return [(await events.__anext__()).type for _ in range(count)]


# Sending


async def test_notification_is_unread_until_its_user_reads_it(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.subscribe(CHANNEL) as events:
        sent = await hub.notifications.send(user="ann", title="Hi", kind="mention", level="success", data={"post": 7})
        event = await events.__anext__()
        assert isinstance(event.data, dict)
        assert {name: event.data[name] for name in ("id", "user", "kind", "level", "title", "data")} == {
            "id": sent.id, "user": "ann", "kind": "mention", "level": "success", "title": "Hi", "data": {"post": 7}
        }  # fmt: skip
        assert await hub.notifications.unread("ann") == 1
        outcome = await hub.notifications.read("ann", sent.id)
        assert (outcome.ids, outcome.unread) == ((sent.id,), 0)
        assert (await hub.notifications.read("ann", sent.id)).ids == (), "the second time it changes nothing"
        assert await types_of(events, 1) == ["notification.read"]
        await trio.testing.wait_all_tasks_blocked()
        assert hub.notifications.statistics().read == 1


async def test_one_to_a_workspace_is_kept_once_and_read_by_each(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.subscribe("workspace_notifications:acme") as events:
        sent = await hub.notifications.send(workspace="acme", title="All hands", kind="alert")
        assert (await events.__anext__()).type == "notification"
        await trio.sleep(10)
        await hub.notifications.read("ann", sent.id, workspace="acme")
        await trio.sleep(10)
        await hub.notifications.read("bob", up_to=sent.id, workspace="acme")
        unread = [await hub.notifications.unread(user, workspace="acme") for user in ("ann", "bob", "carol")]
        assert unread == [0, 0, 1]
        assert await hub.notifications.unread("ann", workspace="other") == 0, "another workspace never sees it"
        receipts = await sent.receipts()
        assert [(each.user, each.at - sent.notification.created_at) for each in receipts] == [("ann", 10), ("bob", 20)]
        assert len(await hub.store.read("workspace_notifications")) == 1


async def test_users_of_one_name_in_two_workspaces_are_two(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.subscribe("notifications:w2:ann") as events:
        await hub.notifications.send(user="ann", workspace="w1", title="t")
        assert [await hub.notifications.unread("ann", workspace=name) for name in ("w1", "w2")] == [1, 0]
        with trio.move_on_after(1):
            await events.__anext__()
            raise AssertionError("it was told to another")


async def test_crisis_goes_in_the_high_lane(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.subscribe("workspace_notifications:default") as events:
        for kind in ("alert", "crisis"):
            await hub.notifications.send(workspace="default", title="t", kind=kind)
        lanes = {(await events.__anext__()).lane for _ in range(2)}
        assert lanes == {rtcore.Lane.NORMAL, rtcore.Lane.HIGH}


async def test_newer_one_of_a_key_takes_the_place_of_the_older(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.subscribe(CHANNEL) as events:
        first = await hub.notifications.send(user="ann", title="1 message", key="chat:7")
        await hub.notifications.read("ann", first.id)
        second = await hub.notifications.send(user="ann", title="2 messages", key="chat:7")
        assert await hub.notifications.unread("ann") == 1
        assert await types_of(events, 2) == ["notification", "notification.read"]
        gone, new = await events.__anext__(), await events.__anext__()
        assert (gone.type, gone.data) == ("notification.withdrawn", {"ids": [first.id], "reason": "replaced"})
        assert isinstance(new.data, dict)
        assert (new.data["id"], new.data["replaces"]) == (second.id, [first.id])
        with pytest.raises(REFUSED, match="there is no such notification"):
            await hub.notifications.receipts(first.id)


async def test_what_is_sent_twice_with_one_key_is_sent_once(autojump_clock: Any) -> None:
    """For a day: then the key is forgotten, and so is the place where it was kept."""
    async with open_test_hub() as hub:
        first = await hub.notifications.send(user="ann", title="t", idempotency_key="k")
        again = await hub.notifications.send(user="ann", title="t", idempotency_key="k")
        assert (again.id, await hub.notifications.unread("ann")) == (first.id, 1)
        with pytest.raises(REFUSED) as caught:
            await hub.notifications.send(user="ann", title="other", idempotency_key="k")
        assert caught.value.code is ErrorCode.CONFLICT
        await trio.sleep(hub.limits.idempotency_seconds + 1)
        assert await hub.store.read("notification_requests") == []
        assert (await hub.notifications.send(user="ann", title="other", idempotency_key="k")).id != first.id


async def test_withdrawn_one_is_gone_for_everybody(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.subscribe(CHANNEL) as events:
        sent = await hub.notifications.send(user="ann", title="t", expires_after=50, escalate=[("bob", 5)])
        await sent.withdraw()
        assert await types_of(events, 2) == ["notification", "notification.withdrawn"]
        assert await hub.notifications.unread("ann") == 0
        for collection in ("notifications", "notification_places", "notification_deadlines"):
            assert await hub.store.read(collection) == [], collection
        with pytest.raises(REFUSED, match="there is no such notification"):
            await sent.withdraw()


async def test_oldest_are_forgotten_when_there_are_too_many(autojump_clock: Any) -> None:
    async with open_test_hub(features=features(kept_notifications=3)) as hub, hub.subscribe(CHANNEL) as events:
        sent = [await hub.notifications.send(user="ann", title=str(number)) for number in range(5)]
        assert await hub.notifications.unread("ann") == 3
        forgotten = [event.data async for event in take(events, 7) if event.type == "notification.withdrawn"]
        assert forgotten == [{"ids": [each.id], "reason": "forgotten"} for each in sent[:2]]
        assert len(await hub.store.read("notification_places")) == 3


async def test_notification_to_somebody_who_is_away_costs_no_channel(autojump_clock: Any) -> None:
    """Ten thousand users who are not there must not push out the history of those who are."""
    async with open_test_hub() as hub:
        await hub.notifications.send(user="ann", title="t")
        await hub.notifications.send(workspace="acme", title="t")
        assert hub.channels() == []


def features(**notifications: Any) -> rtcore.FeatureSettings:
    return rtcore.FeatureSettings(notifications=rtcore.NotificationSettings(**notifications))


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "title: missing"),
    ({"title": ""}, "title: expected 1 to title_length=200 characters, got 0"),
    ({"title": "x" * 201}, "title: expected 1 to title_length=200 characters, got 201"),
    ({"title": 5, "user": "a"}, "title: expected text"),
    ({"title": "t"}, "user: expected a user, or a workspace, or both"),
    ({"title": "t", "user": ""}, "user: expected 1 to 255 characters, got 0"),
    ({"title": "t", "user": "a\udc00"}, "user: a name with a lone surrogate has no channel"),
    ({"title": "t", "user": "@" * 80}, "user: channel name of 262 characters exceeds the limit of 255"),
    ({"title": "t", "workspace": "w" * 255}, "workspace: channel name of 279 characters exceeds the limit of 255"),
    ({"title": "t", "user": "u" * 200, "workspace": "w" * 200}, "user: channel name of 415 characters exceeds"),
    ({"title": "t", "user": "a", "kind": "gossip"}, "kind: expected one of alert, approval, crisis, mention, message"),
    ({"title": "t", "user": "a", "level": "fatal"}, "level: expected one of info, success, warning, error"),
    ({"title": "t", "user": "a", "body": "x" * 4001}, "body: expected 1 to body_length=4000 characters, got 4001"),
    ({"title": "t", "user": "a", "data": "x" * 20_000}, "notification of 20"),
    ({"title": "t", "user": "a", "expires_after": 0}, "expires_after: expected a number of at least 0.001"),
    ({"title": "t", "user": "a", "expires_after": 2592001}, "expires_after: expected at most kept_seconds=2592000"),
    ({"title": "t", "user": "a", "progress": 101}, "progress: expected a number from 0 to 100"),
    ({"title": "t", "user": "a", "persistent": 1}, "persistent: expected true or false"),
    ({"title": "t", "user": "a", "actions": [{"id": "x"}]}, "actions[0].label: missing"),
    ({"title": "t", "user": "a", "actions": [{"id": "x", "label": "X"}] * 2}, "actions[1].id: another action has this"),
    ({"title": "t", "user": "a", "actions": [{"id": "x", "label": "X", "url": "javascript:alert(1)"}]},
     "actions[0].url: expected https:, http:, or a path such as /posts/7"),
    ({"title": "t", "user": "a", "actions": [{"id": "x", "label": "X", "url": "//evil.example"}]}, "actions[0].url: "),
    ({"title": "t", "user": "a", "actions": [{"id": str(n), "label": "X"} for n in range(6)]},
     "actions: expected at most actions=5, got 6"),
    ({"title": "t", "user": "a", "actions": 5}, "actions: expected several, such as a list, got 5"),
    ({"title": "t", "user": "a", "escalate": [(f"u{n}", n + 1) for n in range(11)]},
     "escalate: expected at most escalation_steps=10, got 11"),
    ({"title": "t", "user": "a", "escalate": 5}, "escalate: expected several, such as a list, got 5"),
    ({"title": "t", "user": "a", "expires_after": 1, "escalate": [("b", 2)]},
     "escalate[0].after: expected less than expires_after=1, got 2"),
    ({"title": "t", "user": "a", "expires_after": 9, "escalate": [("b", 5), ("c", 9)]},
     "escalate[1].after: expected less than expires_after=9, got 9"),
    ({"title": "t", "user": "a", "escalate": [("b", 2592000)]},
     "escalate[0].after: expected less than kept_seconds=2592000, got 2592000"),
    ({"title": "t", "workspace": "w", "escalate": [("b", 5)]}, "escalate: only what is sent to a user goes to another"),
    ({"title": "t", "user": "a", "escalate": [("a", 5)]}, "escalate[0].user: a is in line already"),
    ({"title": "t", "user": "a", "escalate": [("b", 5), ("c", 4)]}, "escalate[1].after: expected more than the 5 sec"),
    ({"title": "t", "user": "a", "escalate": [("b" * 250, 5)]}, "escalate[0].user: channel name of 2"),
    ({"title": "t", "user": "a", "escalate": [("b", 0)]}, "escalate[0].after: expected a number of at least 0.001"),
    ({"title": "t", "user": "a", "escalate": ["b"]}, "escalate[0]: expected an object"),
    ({"title": "t", "user": "a", "sender": "x" * 250}, "sender: channel name of 2"),
    ({"title": "t", "user": "a", "sender": 5}, "sender: expected text, got 5"),
    ({"title": "t", "user": "a", "workspace": "w" * 245}, "workspace: channel name of 261 characters exceeds"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda value: None if isinstance(value, dict) else value)
async def test_what_cannot_be_sent_is_refused_and_leaves_nothing(arguments: dict[str, Any], message: str) -> None:
    async with open_test_hub() as hub:
        with pytest.raises(REFUSED) as caught:
            await hub.notifications.send(**({"title": None} | arguments))
        assert caught.value.message[: len(message)] == message
        assert await hub.store.read("notification_places") == []


# Choices


async def test_sender_waits_for_what_somebody_chooses(autojump_clock: Any, open_team: OpenTeam) -> None:
    async with open_team() as team:
        client, _, _ = await team.visit("ann")
        actions = [{"id": "retry", "label": "Retry"}, {"id": "skip", "label": "Skip", "url": "/posts/7"}]
        sent = await team.hub.notifications.send(user="ann", workspace="acme", title="Failed", actions=actions)
        assert (await client.expect("notification"))["data"]["actions"] == actions
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.request, "notification.act", {"id": sent.id, "action": "retry"})
            taken = await sent.action()
        assert taken is not None
        assert (taken.action, taken.by) == ("retry", "ann")
        assert await (await team.hub.notifications.get(sent.id)).action() == taken, "whoever asks later is told as well"
        assert await team.hub.notifications.unread("ann", workspace="acme") == 0, "what was chosen was read"
        assert team.hub.notifications.statistics().waiting == 0


@pytest.mark.parametrize("how", ["withdraw", "expire", "replace"])
async def test_waiting_for_a_choice_ends_with_the_notification(how: str, autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        arguments: dict[str, Any] = {"user": "ann", "title": "t", "key": "k", "expires_after": 60}
        sent = await hub.notifications.send(**arguments)
        async with trio.open_nursery() as nursery:
            if how == "withdraw":
                nursery.start_soon(sent.withdraw)
            elif how == "replace":
                nursery.start_soon(lambda: hub.notifications.send(**arguments))
            assert await sent.action() is None
        assert await sent.action() is None


async def test_waiting_for_a_choice_ends_with_the_hub(autojump_clock: Any) -> None:
    async def wait(sent: Any) -> None:
        with pytest.raises(rtcore.HubClosed):
            await sent.action()

    async with trio.open_nursery() as nursery, open_test_hub() as hub:
        nursery.start_soon(wait, await hub.notifications.send(user="ann", title="t"))
        await trio.testing.wait_all_tasks_blocked()


# Progress


async def test_progress_is_told_at_once_and_its_end_is_written(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.subscribe(CHANNEL) as events:
        async with hub.notifications.progress(user="ann", title="Import") as progress:
            progress.update(40, "4 of 10")
            assert [event.data["progress"] async for event in take(events, 2)] == [
                {"value": 0, "status": "running"},
                {"value": 40, "status": "running"},
            ]
            ((_, kept),) = await hub.store.read("notifications")
            assert isinstance(kept, dict)
            assert kept["progress"]["value"] == 0, "not a write for each step"  # type: ignore[index, call-overload]
        end = (await events.__anext__()).data
        assert isinstance(end, dict)
        assert (end["progress"], end["level"], end["body"]) == (
            {"value": 100, "status": "completed"},
            "success",
            "4 of 10",
        )
        ((_, kept),) = await hub.store.read("notifications")
        assert isinstance(kept, dict)
        assert kept["body"] == "4 of 10"
        with pytest.raises(ValueError, match="value: expected a number from 0 to 100, got 101"):
            progress.update(101)
        assert hub.notifications.desk.progressing == {}


@pytest.mark.parametrize("cancelled", [False, True])
async def test_block_that_breaks_off_says_so_and_lets_its_exception_out(cancelled: bool, autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        with trio.CancelScope() as scope, pytest.RaisesGroup(RuntimeError) if not cancelled else trio.CancelScope():
            async with trio.open_nursery(), hub.notifications.progress(user="ann", title="Import") as progress:
                progress.update(40)
                if not cancelled:
                    raise RuntimeError("no more")
                scope.cancel()
                await trio.sleep_forever()
        end = (await hub.notifications.get(progress.id)).notification
        assert end.progress is not None
        assert (end.progress.value, end.progress.status, end.level) == (
            (40, ProgressStatus.CANCELLED, Level.WARNING) if cancelled else (40, ProgressStatus.FAILED, Level.ERROR)
        )


async def test_progress_of_a_process_that_ended_is_interrupted(autojump_clock: Any) -> None:
    """What `update` told without a block goes on: it may be another process that tells it."""
    store = rtcore.MemoryStore()
    async with open_test_hub(store=store) as hub:
        await hub.notifications.send(user="ann", title="by id", progress=10)
        block = hub.notifications.progress(user="ann", title="block")
        await block.__aenter__()
    async with open_test_hub(store=store) as hub:
        found = {}
        for key, _ in await store.read("notifications"):
            current = (await hub.notifications.get(key.rpartition("/")[2])).notification
            assert current.progress is not None
            found[current.title] = current.progress.status
        assert found == {"by id": ProgressStatus.RUNNING, "block": ProgressStatus.INTERRUPTED}


async def test_progress_is_not_lost_when_the_inbox_leaves_memory(autojump_clock: Any) -> None:
    async with (
        open_test_hub(features=features(cache_bytes=1)) as hub,
        hub.notifications.progress(user="ann", title="Import") as progress,
    ):
        progress.update(40)
        for user in ("bob", "carol", "dave"):
            await hub.notifications.send(user=user, title="t")
        assert hub.notifications.desk.inboxes.ready(Place("default", "ann")) is None, "it has left memory"
        progress.update(50)
        current = (await hub.notifications.get(progress.id)).notification
        assert current.progress is not None
        assert current.progress.value == 50


async def test_notification_is_changed_by_its_id(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.subscribe(CHANNEL) as events:
        sent = await hub.notifications.send(user="ann", title="t", progress=0)
        await hub.notifications.update(sent.id, progress=70, body="nearly", level="warning")
        changed = [event async for event in take(events, 2)][1]
        assert isinstance(changed.data, dict)
        assert (changed.type, changed.data["progress"], changed.data["body"], changed.data["level"]) == (
            "notification.updated",
            {"value": 70, "status": "running"},
            "nearly",
            "warning",
        )
        with pytest.raises(REFUSED, match="there is no such notification"):
            await hub.notifications.update("nothing", progress=1)


async def test_changed_one_may_not_be_larger_than_a_new_one(autojump_clock: Any) -> None:
    """One to a workspace goes to everybody there, however it became so large."""
    async with open_test_hub(limits=rtcore.Limits(notification_bytes=600)) as hub:
        notifications = hub.notifications
        sent = await notifications.send(user="ann", title="t", body="x" * 300)
        with pytest.raises(rtcore.RequestError, match="exceeds notification_bytes=600") as caught:
            await notifications.update(sent.id, body="x" * 600)
        assert caught.value.code == "limit.too_large"
        assert (await notifications.get(sent.id)).notification.body == "x" * 300
        async with notifications.progress(title="t", user="ann") as progress:
            with pytest.raises(rtcore.RequestError, match="exceeds notification_bytes=600"):
                progress.update(10, body="x" * 600)


async def test_one_as_large_as_may_be_can_still_end(autojump_clock: Any) -> None:
    """Nobody could tell from a size how its progress ended; nor, where the limit is lower now, that it did."""
    store = MemoryStore()
    async with open_test_hub(store=store, limits=rtcore.Limits(notification_bytes=600)) as hub:
        body = "x"
        while True:
            try:
                sent = await hub.notifications.send(user="ann", title="t", body=body, progress=0)
            except rtcore.RequestError:
                break
            body += "x"
        changed = await hub.notifications.update(sent.id, title="u", progress=33.125, level="warning")
        assert (changed.title, changed.level) == ("u", Level.WARNING)
    async with open_test_hub(store=store, limits=rtcore.Limits(notification_bytes=300)) as hub:
        changed = await hub.notifications.update(sent.id, status="cancelled")
        assert changed.progress is not None
        assert changed.progress.status is ProgressStatus.CANCELLED
