"""The past over the wire, and what a client says that it has dealt with."""

from __future__ import annotations

from typing import Any

import pytest

from rtcore.values.limits import Limits


async def test_replay_goes_through_the_filter_of_the_subscription(talk: Any) -> None:
    client = talk()
    for number in range(6):
        client.hub.publish("a", "t", {"n": number, "even": number % 2 == 0})
    await client.say("subscribe", {"channels": ["a"], "where": {"even": True}})
    (reply,) = await client.say("replay", {"channel": "a", "since": {"offset": 2}}, id=1)
    assert reply["type"] == "replayed"
    assert [event["data"]["n"] for event in reply["data"]["events"]] == [2, 4]
    assert reply["data"]["events"][0]["position"]
    assert (reply["data"]["recovered"], reply["data"]["more"], reply["data"]["missing"]) == (True, False, 0)


async def test_replay_takes_the_ranges_of_a_notice_as_they_are(talk: Any) -> None:
    client = talk(limits=Limits(lag_events=2))
    await client.say("subscribe", {"channels": ["a"]})
    client.subscriber.taking = False
    for number in range(1, 8):
        client.hub.publish("a", "t", number)
        client.hub.broadcaster.flush()
    client.subscriber.taking = True
    client.hub.broadcaster.mark(client.subscriber)
    dropped, *rest = client.received()
    assert dropped["type"] == "dropped"
    (reply,) = await client.say("replay", {"channel": "a", "ranges": dropped["data"]["ranges"]})
    repaired = [event["data"] for event in reply["data"]["events"]]
    assert sorted(repaired + [event["data"] for event in rest]) == list(range(1, 8))


async def test_replay_comes_in_pages(talk: Any) -> None:
    client = talk(limits=Limits(replay_events=2))
    for number in range(5):
        client.hub.publish("a", "t", number)
    await client.say("subscribe", {"channels": ["a"]})
    seen: list[int] = []
    since: Any = {"offset": 1}
    more = True
    while more:
        (reply,) = await client.say("replay", {"channel": "a", "since": since})
        seen += [event["data"] for event in reply["data"]["events"]]
        since, more = reply["data"]["position"], reply["data"]["more"]
    assert seen == list(range(5))


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [
        ({"channel": "b"}, "request.unknown_channel", "data.channel"),
        ({}, "request.malformed", "data.channel"),
        (
            {"channel": "a", "since": {"offset": 1}, "ranges": [{"lane": "low", "from": 1, "to": 2}]},
            "request.malformed",
            "data.ranges",
        ),
        (
            {"channel": "a", "ranges": [{"lane": "low", "from": 2, "to": 1}]},
            "request.invalid_position",
            "data.ranges[0]",
        ),
        (
            {"channel": "a", "ranges": [{"lane": "low", "from": 0, "to": 1}]},
            "request.invalid_position",
            "data.ranges[0]",
        ),
        ({"channel": "a", "ranges": [{"lane": "x", "from": 1, "to": 1}]}, "request.malformed", "data.ranges[0].lane"),
        ({"channel": "a", "ranges": [{"lane": "low", "from": 1}]}, "request.malformed", "data.ranges[0].to"),
        ({"channel": "a", "ranges": {}}, "request.malformed", "data.ranges"),
        ({"channel": "a", "ranges": [{"lane": "low", "from": 1, "to": 1}] * 101}, "limit.too_large", "data.ranges"),
        ({"channel": "a", "since": {"positions": {"b": "e-1"}}}, "request.invalid_position", "data.since.positions"),
    ],
)
async def test_unusable_replay_is_refused_with_its_field(talk: Any, data: Any, code: str, field: str) -> None:
    client = talk()
    await client.say("subscribe", {"channels": ["a"]})
    error = await client.refused("replay", data, id=1)
    assert (error["code"], error["field"]) == (code, field)


async def test_range_of_any_size_costs_no_more_than_what_is_held(talk: Any) -> None:
    client = talk()
    client.hub.publish("a", "t", 1)
    await client.say("subscribe", {"channels": ["a"]})
    for last in (2**63 - 1, 2**63, 2**64 - 1):
        (reply,) = await client.say("replay", {"channel": "a", "ranges": [{"lane": "normal", "from": 1, "to": last}]})
        assert len(reply["data"]["events"]) == 1
        beyond = {"lane": "normal", "from": last, "to": last}
        (reply,) = await client.say("replay", {"channel": "a", "ranges": [beyond]})
        assert reply["data"]["events"] == []


async def test_history_needs_no_subscription(talk: Any) -> None:
    client = talk()
    for number in range(4):
        client.hub.publish("a", "t", {"n": number})
    (reply,) = await client.say(
        "history", {"channel": "a", "since": {"last": 3}, "where": {"n": {"lt": 3}}, "limit": 1}
    )
    assert reply["type"] == "history"
    assert [event["data"]["n"] for event in reply["data"]["events"]] == [0]
    assert reply["data"]["more"] is True
    (reply,) = await client.say("history", {"channel": "nothing-here"})
    assert reply["data"]["events"] == []
    assert (await client.refused("history", {"channel": "a", "limit": 0}))["field"] == "data.limit"


# ack


async def test_acknowledgement_is_kept_and_never_goes_back(talk: Any) -> None:
    client = talk()
    await client.say("subscribe", {"channels": ["a"]})
    first = str(client.hub.publish("a", "t", 1).position)
    second = str(client.hub.publish("a", "t", 2).position)
    client.received()
    (reply,) = await client.say("ack", {"positions": {"a": second}}, id=1)
    assert (reply["type"], reply["data"]) == ("acked", {"positions": {"a": second}})
    (reply,) = await client.say("ack", {"positions": {"a": first}}, id=2)
    assert reply["data"] == {"positions": {"a": second}}
    assert str(client.subscriber.cursors["a"].acknowledged) == second
    assert await client.say("ack", {"positions": {"a": second}}) == [], "no id, no answer"


@pytest.mark.parametrize(
    ("positions", "code", "field"),
    [
        ({"b": "e-1"}, "request.unknown_channel", "data.positions.b"),
        ({"a": "ffffffffff-1"}, "request.invalid_position", "data.positions.a"),
        ({"a": 5}, "request.malformed", "data.positions.a"),
        ({"a": "x"}, "request.invalid_position", "data.positions.a"),
        ({}, "request.malformed", "data.positions"),
        ([], "request.malformed", "data.positions"),
    ],
)
async def test_unusable_acknowledgement_is_refused(talk: Any, positions: Any, code: str, field: str) -> None:
    client = talk()
    await client.say("subscribe", {"channels": ["a"]})
    error = await client.refused("ack", {"positions": positions})
    assert (error["code"], error["field"]) == (code, field)


async def test_acknowledgement_of_the_future_is_refused(talk: Any) -> None:
    client = talk()
    await client.say("subscribe", {"channels": ["a"]})
    epoch = client.subscriber.cursors["a"].position.epoch
    assert (await client.refused("ack", {"positions": {"a": f"{epoch}-9"}}))["code"] == "request.invalid_position"
