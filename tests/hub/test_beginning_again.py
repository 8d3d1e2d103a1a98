"""Subscribing again from a place in the past, before a loss was told: each event is given or named, and never both."""

from __future__ import annotations

from typing import Any

import pytest

from rtcore.values.channels import Namespace, Overflow
from rtcore.values.limits import Limits


async def lose(talk: Any, **options: Any) -> Any:
    """A client that was sent ten events of two kinds, has lost the first five, and does not know it yet."""
    client = talk(limits=Limits(lag_events=5), **options)
    client.hub.registry.join(object(), snapshots={"state": lambda identity, channel: "state"})
    for channel in ("tasks", "state"):
        await client.say("subscribe", {"channels": [channel]})
    client.subscriber.taking = False
    client.subscriber.fall_behind()
    return client


def publish(client: Any, channel: str, **options: Any) -> None:
    for number in range(1, 11):
        client.hub.publish(channel, "odd" if number % 2 else "even", number, **options)


async def begin_again(client: Any, channel: str, since: object, **more: object) -> tuple[list[int], list[Any]]:
    """Subscribe again: what was given, and what was said of the loss."""
    await client.say("subscribe", {"channels": [channel], "since": since, **more})
    client.subscriber.taking = True
    client.subscriber.flush()
    messages = [message for message in client.received() if message["type"] != "subscribed"]
    given = [message["data"] for message in messages if message["type"] != "dropped"]
    return given, [message["data"] for message in messages if message["type"] == "dropped"]


async def test_what_is_given_after_all_is_not_told_as_dropped(talk: Any) -> None:
    client = await lose(talk)
    publish(client, "tasks")
    assert await begin_again(client, "tasks", {"offset": 1}) == (list(range(1, 11)), [])


async def test_what_lies_before_the_new_place_is_told_exactly(talk: Any) -> None:
    client = await lose(talk)
    publish(client, "tasks")
    given, [dropped] = await begin_again(client, "tasks", {"offset": 3})
    assert given == list(range(3, 11))
    assert dropped["ranges"] == [{"lane": "normal", "from": 1, "to": 2, "count": 2}]
    assert (dropped["count"], dropped["types"]) == (2, {"odd": 1, "even": 1})


async def test_other_lanes_of_a_loss_are_told_or_given_for_themselves(talk: Any) -> None:
    client = await lose(talk)
    for number, lane in enumerate(["low", "normal"] * 2 + ["low"] + ["normal"] * 4, 1):
        await client.say("publish", {"channel": "tasks", "type": "x", "data": number, "lane": lane})
    given, [dropped] = await begin_again(client, "tasks", {"offset": 3})
    assert sorted(given) == list(range(3, 10))
    assert dropped["ranges"] == [
        {"lane": "normal", "from": 2, "to": 2, "count": 1},
        {"lane": "low", "from": 1, "to": 2, "count": 1},
    ]
    assert dropped["types"] == {"x": 2}


async def test_loss_is_told_whole_where_nothing_of_it_is_given(talk: Any) -> None:
    client = await lose(talk)
    publish(client, "tasks")
    given, [dropped] = await begin_again(client, "tasks", {"last": 2})
    assert given == [9, 10]
    assert dropped["ranges"] == [{"lane": "normal", "from": 1, "to": 5, "count": 5}]


async def test_what_a_new_filter_leaves_out_is_neither_given_nor_named(talk: Any) -> None:
    client = await lose(talk)
    publish(client, "tasks")
    given, dropped = await begin_again(client, "tasks", {"offset": 1}, where={"type": "odd"})
    assert (given, dropped) == ([1, 3, 5, 7, 9], [])


@pytest.mark.parametrize("position", ["0000000000-3", None])
async def test_a_position_makes_good_for_every_loss(talk: Any, position: str | None) -> None:
    """What followed it is given, or `recovered: false` says that some is gone."""
    client = await lose(talk)
    position = position or str(client.hub.history("tasks").position)
    publish(client, "tasks")
    assert await begin_again(client, "tasks", position) == (list(range(1, 11)), [])


@pytest.mark.parametrize("since", [{"last": 2}, {"position": "0000000000-3"}])
async def test_a_state_makes_good_for_every_loss(talk: Any, since: dict[str, object]) -> None:
    client = await lose(talk)
    publish(client, "state")
    given, dropped = await begin_again(client, "state", since)
    assert given == ([9, 10] if "last" in since else [])
    assert dropped == []


async def test_loss_of_a_channel_that_conflates_is_told_whole_rather_than_guessed_at(talk: Any) -> None:
    """Which of the older events a newer one stood for when it was dropped is not known any more."""
    client = await lose(talk, namespaces={"tasks": Namespace(overflow=Overflow.CONFLATE)})
    publish(client, "tasks")
    given, [dropped] = await begin_again(client, "tasks", {"offset": 3})
    assert given == list(range(3, 11))
    assert (dropped["count"], dropped["ranges"][0]["to"]) == (5, 5)
    client = await lose(talk, namespaces={"tasks": Namespace(overflow=Overflow.CONFLATE)})
    publish(client, "tasks")
    assert (await begin_again(client, "tasks", {"offset": 1}))[1] == []
