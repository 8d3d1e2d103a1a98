"""Whoever may only read must not take the room of those who publish."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rtcore.errors import RequestError
from rtcore.hub.hub import Hub
from rtcore.values.limits import Limits

LIMITS = Limits(channels=4, unpublished_channels=2)


def names(hub: Hub) -> list[str]:
    return [channel.name for channel in hub.channels()]


async def test_names_without_an_event_leave_room_for_publishers(talk: Any) -> None:
    client = talk(limits=LIMITS)
    client.hub.publish("tasks", "t", 1)
    await client.say("subscribe", {"channels": ["made-up.1", "made-up.2"]})
    error = await client.refused("subscribe", {"channels": ["made-up.3"]})
    assert error["code"] == "limit.too_many_channels"
    client.hub.publish("tools", "t", 1)
    assert len(client.hub.history("tasks").events) == 1, "its history did not have to go"


async def test_channel_with_an_event_counts_no_more(talk: Any) -> None:
    client = talk(limits=LIMITS)
    await client.say("subscribe", {"channels": ["a", "b"]})
    client.hub.publish("a", "t", 1)
    (reply, *_) = await client.say("subscribe", {"channels": ["c"]})
    assert reply["type"] == "subscribed"


async def test_names_that_nobody_wants_any_more_are_given_back(open_hub: Callable[..., Hub]) -> None:
    hub = open_hub(limits=LIMITS)
    for number in range(10):
        async with hub.subscribe(f"{number}", f"{number}.more"):
            with pytest.raises(RequestError, match="unpublished_channels=2"):
                async with hub.subscribe("third"):
                    pass


async def test_publications_that_fail_leave_no_name_for_ever(open_hub: Callable[..., Hub]) -> None:
    hub = open_hub(limits=LIMITS)
    for number in range(10):
        with pytest.raises(RequestError):
            hub.publish(f"{number}", "t", float("nan"))
    async with hub.subscribe("a", "b"):
        pass


async def test_names_without_an_event_push_no_history_out(open_hub: Callable[..., Hub]) -> None:
    """The bound of published channels is reached, nobody reads them, and a reader names all that it may."""
    hub = open_hub(limits=Limits(channels=2, unpublished_channels=5))
    hub.publish("tasks", "t", 1)
    hub.publish("tools", "t", 1)
    async with hub.subscribe(*(f"made-up.{number}" for number in range(5))):
        assert [len(hub.history(name).events) for name in ("tasks", "tools")] == [1, 1]
        assert hub.statistics().channels == 7
        assert names(hub)[-2:] == ["tasks", "tools"]
    assert hub.statistics().channels == 2


async def test_first_event_takes_the_place_of_the_least_recently_published_that_nobody_reads(
    open_hub: Callable[..., Hub],
) -> None:
    hub = open_hub(limits=Limits(channels=3, unpublished_channels=5))
    async with hub.subscribe("read", "wanted"):
        for name in ("read", "old", "new", "wanted"):
            hub.publish(name, "t", 1)
        assert names(hub) == ["read", "new", "wanted"]
        hub.publish("new", "t", 2)
        hub.publish("another", "t", 1)
        assert names(hub) == ["read", "wanted", "another"]


async def test_publication_without_room_leaves_the_subscription_as_it_was(open_hub: Callable[..., Hub]) -> None:
    hub = open_hub(limits=Limits(channels=1, unpublished_channels=5))
    async with hub.subscribe("wanted") as events:
        async with hub.subscribe("tasks"):
            hub.publish("tasks", "t", 1)
            with pytest.raises(RequestError, match="channels=1, each with subscribers"):
                hub.publish("wanted", "t", 1)
        hub.publish("wanted", "t", 2)
        hub.broadcaster.flush()
        assert (await anext(events)).data == 2


async def test_hub_knows_whether_anybody_listens(open_hub: Any) -> None:
    """A feature whose events are worth nothing later asks before it publishes one."""
    hub = open_hub()
    assert not hub.is_subscribed("c")
    hub.publish("c", "t", 1)
    assert not hub.is_subscribed("c"), "events alone are nobody"
    async with hub.subscribe("c"):
        assert hub.is_subscribed("c")
    assert not hub.is_subscribed("c")
