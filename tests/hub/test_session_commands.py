"""The commands of a client, over the real hub."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from rtcore.values.channels import Namespace, Overflow
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits


async def numbers(client: Any) -> list[Any]:
    return [message["data"] for message in client.received()]


# subscribe


async def test_subscribed_comes_before_the_first_event(talk: Any) -> None:
    client = talk()
    client.hub.publish("a", "t", 1)
    reply, event = await client.say("subscribe", {"channels": ["a"], "since": {"last": 5}}, id=1)
    assert (reply["type"], reply["id"]) == ("subscribed", 1)
    (state,) = reply["data"]["channels"].values()
    assert (state["recovered"], state["replayed"]) == (True, 1)
    assert event["data"] == 1


async def test_subscription_without_a_past_says_neither_yes_nor_no(talk: Any) -> None:
    client = talk()
    (reply,) = await client.say("subscribe", {"channels": ["a", "b"]})
    assert reply["data"]["channels"]["a"]["recovered"] is None
    assert list(reply["data"]["channels"]) == ["a", "b"]


async def test_subscription_to_many_is_all_or_nothing(talk: Any) -> None:
    client = talk(namespaces={"secret": Namespace(read_roles={"reader"})})
    error = await client.refused("subscribe", {"channels": ["a", "b", "secret"]})
    assert (error["code"], error["field"]) == ("access.denied", "data.channels[2]")
    assert not client.subscriber.cursors


async def test_want_of_room_in_the_hub_takes_the_new_ones_back(talk: Any) -> None:
    client = talk(limits=Limits(unpublished_channels=2))
    await client.say("subscribe", {"channels": ["a"], "where": {"x": 1}})
    error = await client.refused("subscribe", {"channels": ["a", "b", "c"], "where": {"x": 2}})
    assert error["code"] == "limit.too_many_channels"
    assert list(client.subscriber.cursors) == ["a"]
    client.hub.publish("a", "t", {"x": 1})
    assert await numbers(client) == [{"x": 1}], "the old subscription is as it was"


async def test_limit_of_subscriptions_counts_each_channel_once(talk: Any) -> None:
    client = talk(limits=Limits(channels_per_connection=2))
    assert (
        await client.say(
            "subscribe",
            {
                "channels": [
                    "a",
                    "a",
                ]
            },
        )
    )[0]["type"] == "subscribed"
    assert (await client.say("subscribe", {"channels": ["a", "b"]}))[0]["type"] == "subscribed"
    error = await client.refused("subscribe", {"channels": ["c"]})
    assert (error["code"], error["field"]) == ("limit.too_many_channels", "data.channels")


async def test_subscribing_again_replaces_filter_and_place(talk: Any) -> None:
    client = talk()
    for number in range(3):
        client.hub.publish("a", "t", {"n": number})
    await client.say("subscribe", {"channels": ["a"], "where": {"n": 0}})
    reply, *events = await client.say("subscribe", {"channels": ["a"], "where": {"n": [1, 2]}, "since": {"offset": 1}})
    assert reply["data"]["channels"]["a"]["replayed"] == 2
    assert [event["data"]["n"] for event in events] == [1, 2]
    client.hub.publish("a", "t", {"n": 0})
    client.hub.publish("a", "t", {"n": 1})
    assert await numbers(client) == [{"n": 1}]


async def test_subscription_goes_on_from_a_position(talk: Any) -> None:
    client = talk()
    first = client.hub.publish("a", "t", 1)
    client.hub.publish("a", "t", 2)
    for since in (str(first.position), {"position": str(first.position)}, {"positions": {"a": str(first.position)}}):
        reply, event = await client.say("subscribe", {"channels": ["a"], "since": since})
        assert reply["data"]["channels"]["a"]["recovered"] is True
        assert event["data"] == 2


async def test_position_of_another_life_is_not_recovered(talk: Any) -> None:
    client = talk()
    client.hub.publish("a", "t", 1)
    reply, event = await client.say("subscribe", {"channels": ["a"], "since": "ffffffffff-1"})
    assert reply["data"]["channels"]["a"]["recovered"] is False
    assert event["data"] == 1


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [
        ({"channels": ["a", "b"], "since": "e-1"}, "request.invalid_position", "data.since"),
        (
            {"channels": ["a"], "since": {"positions": {"b": "e-1"}}},
            "request.invalid_position",
            "data.since.positions.b",
        ),
        ({"channels": ["a"], "since": {"position": "*"}}, "request.invalid_position", "data.since.position"),
        ({"channels": ["a"], "since": {"offset": -1}}, "request.invalid_position", "data.since.offset"),
        ({"channels": ["a"], "since": {"last": 1.5}}, "request.malformed", "data.since.last"),
        ({"channels": ["a"], "since": {"last": 1, "offset": 1}}, "request.malformed", "data.since"),
        ({"channels": ["a"], "since": {"seconds": "9"}}, "request.malformed", "data.since.seconds"),
        ({"channels": ["a"], "since": {"timestamp": "2025-01-15"}}, "request.invalid_position", "data.since.timestamp"),
        ({"channels": ["a"], "where": []}, "request.invalid_filter", "data.where"),
        ({"channels": ["a"], "where": {"x": {"in": [1, []]}}}, "request.invalid_filter", "data.where.x.in[1]"),
        ({"channels": ["a"], "batch": {"events": 0}}, "request.malformed", "data.batch.events"),
        ({"channels": ["a"], "batch": {"events": 1001}}, "request.malformed", "data.batch.events"),
        ({"channels": ["a"], "batch": {"seconds": 0}}, "request.malformed", "data.batch.seconds"),
        ({"channels": ["a"], "batch": {"seconds": 11}}, "request.malformed", "data.batch.seconds"),
        ({"channels": ["a"], "batch": {"seconds": True}}, "request.malformed", "data.batch.seconds"),
        ({"channels": ["a"], "batch": {"max_events": 5}}, "request.malformed", "data.batch.max_events"),
        ({"channels": ["a"], "batch": False}, "request.malformed", "data.batch"),
        ({"channels": ["x" * 256]}, "request.unknown_channel", "data.channels[0]"),
        ({"channels": ["../etc"]}, "request.unknown_channel", "data.channels[0]"),
        ({"channels": [""]}, "request.unknown_channel", "data.channels[0]"),
        ({"channels": "a"}, "request.malformed", "data.channels"),
        ({"channels": [str(n) for n in range(129)]}, "limit.too_many_channels", "data.channels"),
    ],
)
async def test_unusable_subscription_is_refused_with_its_field(talk: Any, data: Any, code: str, field: str) -> None:
    client = talk()
    error = await client.refused("subscribe", data, id=1)
    assert (error["code"], error["field"]) == (code, field)
    assert not client.subscriber.cursors


async def test_batches_come_when_full_or_due(talk: Any, autojump_clock: trio.testing.MockClock) -> None:
    client = talk()
    async with trio.open_nursery() as nursery:
        await nursery.start(client.hub.run)
        await client.say("subscribe", {"channels": ["a"], "batch": {"events": 3, "seconds": 2}})
        for number in range(4):
            client.hub.publish("a", "t", number)
        (batch,) = client.received()
        assert [event["data"] for event in batch["data"]["events"]] == [0, 1, 2]
        await trio.sleep(2.1)
        (batch,) = client.received()
        assert (batch["type"], batch["data"]["events"][0]["data"]) == ("batch", 3)
        nursery.cancel_scope.cancel()


# unsubscribe, set_filters


async def test_unsubscribed_channel_is_silent(talk: Any) -> None:
    client = talk()
    await client.say("subscribe", {"channels": ["a", "b"]})
    (reply,) = await client.say("unsubscribe", {"channels": ["a"]}, id=1)
    assert (reply["type"], reply["data"]) == ("unsubscribed", {"channels": ["a"]})
    client.hub.publish("a", "t", 1)
    client.hub.publish("b", "t", 2)
    assert await numbers(client) == [2]


@pytest.mark.parametrize("type", ["unsubscribe", "set_filters"])
async def test_what_is_not_subscribed_is_named(talk: Any, type: str) -> None:
    client = talk()
    await client.say("subscribe", {"channels": ["a"]})
    error = await client.refused(type, {"channels": ["a", "b"]})
    assert (error["code"], error["field"]) == ("request.unknown_channel", "data.channels[1]")
    assert list(client.subscriber.cursors) == ["a"]


async def test_filters_are_replaced_for_some_or_all(talk: Any) -> None:
    client = talk()
    await client.say("subscribe", {"channels": ["a", "b"]})
    (reply,) = await client.say("set_filters", {"where": {"x": 1}, "channels": ["a"]}, id=1)
    assert (reply["type"], reply["data"]) == ("filters_set", {"channels": ["a"]})
    for channel in ("a", "b"):
        client.hub.publish(channel, "t", {"x": 2})
    assert [message["channel"] for message in client.received()] == ["b"]
    assert (await client.say("set_filters", {"where": None}))[0]["data"] == {"channels": ["a", "b"]}
    client.hub.publish("a", "t", {"x": 2})
    assert await numbers(client) == [{"x": 2}]


async def test_bad_filter_leaves_the_old_one(talk: Any) -> None:
    client = talk()
    await client.say("subscribe", {"channels": ["a"], "where": {"x": 1}})
    assert (await client.refused("set_filters", {"where": {"x": []}}))["field"] == "data.where.x"
    client.hub.publish("a", "t", {"x": 2})
    assert await numbers(client) == []


# publish


async def test_publisher_hears_what_became_of_its_event(talk: Any) -> None:
    client = talk()
    await client.say("subscribe", {"channels": ["a"]})
    event = {"channel": "a", "type": "t", "data": {"x": 1}, "lane": "high", "key": "k"}
    reply, delivered = await client.say("publish", event, id=1)
    assert reply["type"] == "published"
    assert reply["data"] == {
        "channel": "a",
        "offset": 1,
        "position": delivered["position"],
        "matched": 1,
        "sent": 1,
        "queued": 0,
        "dropped": 0,
    }
    assert (delivered["data"], delivered["key"]) == ({"x": 1}, "k")


async def test_publication_without_an_id_is_not_answered(talk: Any) -> None:
    client = talk()
    assert await client.say("publish", {"channel": "a", "type": "t", "data": None}) == []
    assert client.hub.statistics().published == 1


async def test_refused_publication_is_answered_also_without_an_id(talk: Any) -> None:
    client = talk(identity=Identity(user="reader"))
    error = await client.refused("publish", {"channel": "a", "type": "t", "data": None})
    assert (error["code"], error["field"]) == ("access.denied", "data.channel")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"type": "t", "data": 1}, "data.channel"),
        ({"channel": "a", "data": 1}, "data.type"),
        ({"channel": "a", "type": "t"}, "data.data"),
        ({"channel": "a", "type": "", "data": 1}, "data.type"),
        ({"channel": "a", "type": "x y", "data": 1}, "data.type"),
        ({"channel": "a", "type": "welcome", "data": 1}, "data.type"),
        ({"channel": "a", "type": "t" * 129, "data": 1}, "data.type"),
        ({"channel": "a", "type": 1, "data": 1}, "data.type"),
        ({"channel": "a", "type": "t", "data": 1, "lane": "urgent"}, "data.lane"),
        ({"channel": "a", "type": "t", "data": 1, "lane": 0}, "data.lane"),
        ({"channel": "a", "type": "t", "data": 1, "key": ""}, "data.key"),
        ({"channel": "a", "type": "t", "data": 1, "key": 5}, "data.key"),
        ({"channel": "a", "type": "t", "data": 1, "offset": 5}, "data.offset"),
    ],
)
async def test_unusable_publication_is_refused_with_its_field(talk: Any, data: Any, field: str) -> None:
    client = talk()
    error = await client.refused("publish", data, id=1)
    assert (error["code"], error["field"]) == ("request.malformed", field)
    assert client.hub.statistics().published == 0


async def test_oversized_event_names_its_data(talk: Any) -> None:
    client = talk(limits=Limits(message_bytes=100))
    error = await client.refused("publish", {"channel": "a", "type": "t", "data": "x" * 100}, id=1)
    assert (error["code"], error["field"]) == ("limit.too_large", "data.data")


async def test_publisher_waits_for_room_where_the_channel_says_so(talk: Any, autojump_clock: object) -> None:
    """The event goes out when the slow subscriber has taken something, and not before."""
    limits = Limits(lag_events=1)
    client = talk(limits=limits, namespaces={"a": Namespace(overflow=Overflow.WAIT)})
    await client.say("subscribe", {"channels": ["a"]})
    client.subscriber.taking = False
    client.hub.publish("a", "t", 1)
    client.hub.broadcaster.flush()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            client.session.handle_message, b'{"type":"publish","data":{"channel":"a","type":"t","data":2}}'
        )
        await trio.testing.wait_all_tasks_blocked()
        assert client.hub.statistics().published == 1
        client.subscriber.taking = True
        client.hub.broadcaster.mark(client.subscriber)
        client.hub.broadcaster.flush()
        client.hub.made_room()
    assert [message["data"] for message in client.received()] == [1, 2]
