"""The state behind a channel, told with a subscription: never beside changes that would be counted twice."""

from __future__ import annotations

from typing import Any

import pytest

from rtcore.errors import ErrorCode, RequestError
from rtcore.values.channels import Namespace
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

LAMP = object()


class Count:
    """A feature whose state is how many events it has published."""

    def __init__(self, client: Any) -> None:
        self.hub = client.hub
        self.count = 0
        self.hub.registry.join(self, snapshots={"count": lambda identity, channel: {"count": self.count}})

    def publish(self, times: int = 1) -> None:
        for _ in range(times):
            self.count += 1
            self.hub.publish("count", "inc", self.count)


async def begin(client: Any, since: object = None, channel: str = "count", **more: object) -> tuple[Any, list[Any]]:
    """Subscribe: how the channel began, and the data of the events that followed at once."""
    reply, *events = await client.say("subscribe", {"channels": [channel], "since": since, **more})
    return reply["data"]["channels"][channel], [event["data"] for event in events]


async def test_state_behind_a_channel_comes_with_the_position_it_is_of(talk: Any) -> None:
    client = talk()
    state = {"on": 0}

    def snapshot(identity: Identity, channel: str) -> Any:
        return {"of": channel, "for": identity.user, **state}

    client.hub.registry.join(LAMP, snapshots={"lamps": snapshot, "kept": lambda identity, channel: b'{"ready":1}'})
    client.hub.publish("lamps:a", "on", {})
    state["on"] = 1
    (reply,) = await client.say("subscribe", {"channels": ["lamps:a", "kept", "other"]})
    channels = reply["data"]["channels"]
    assert channels["lamps:a"]["snapshot"] == {"of": "lamps:a", "for": "u1", "on": 1}
    assert channels["lamps:a"]["position"].endswith("-1")
    assert channels["kept"]["snapshot"] == {"ready": 1}
    assert "snapshot" not in channels["other"]


async def test_state_is_not_told_to_who_goes_on_and_is_given_the_changes(talk: Any) -> None:
    """A page that applies both would count them twice: text would be doubled, an end seen again."""
    client = talk()
    count = Count(client)
    count.publish()
    position = str(client.hub.history("count").position)
    count.publish(2)
    told, events = await begin(client, {"position": position})
    assert "snapshot" not in told
    assert events == [2, 3]
    told, events = await begin(client, {"position": str(client.hub.history("count").position)})
    assert told["snapshot"] == {"count": 3}, "nothing follows: it is as good as new"
    assert events == []


@pytest.mark.parametrize("since", [{"last": 2}, {"offset": 2}, {"seconds": 60}, {"timestamp": "2025-01-15T12:00:00Z"}])
async def test_state_comes_with_a_past_that_was_asked_for(talk: Any, since: dict[str, object]) -> None:
    """Whoever comes for the first time and wants the last events too has no state yet; which it knows, it is told."""
    client = talk()
    count = Count(client)
    count.publish(3)
    told, events = await begin(client, since)
    assert told["snapshot"] == {"count": 3}
    assert told["snapshot_offset"] == 3, "what follows up to here is in the state already"
    assert events == [1, 2, 3][-told["replayed"] :]
    count.publish()
    (event,) = client.received()
    assert (event["offset"], event["data"]) == (4, 4)


async def test_past_that_was_asked_for_is_given_as_far_as_it_is_held_beside_a_state(talk: Any) -> None:
    """Of a server younger than an hour, `seconds: 3600` asks for more than it can know; what it has is still wanted."""
    client = talk(limits=Limits(history_events=2))
    Count(client).publish(5)
    told, events = await begin(client, {"seconds": 3600})
    assert (told["recovered"], told["replayed"], told["snapshot"]) == (False, 2, {"count": 5})
    assert events == [4, 5]


async def test_state_is_not_told_again_while_changes_of_it_are_on_their_way(talk: Any) -> None:
    """It would be of a later position than the one that is told with it, and those events would be counted twice."""
    client = talk()
    count = Count(client)
    await begin(client)
    count.publish(2)
    await client.session.handle_message(b'{"type": "subscribe", "data": {"channels": ["count"]}}')
    reply, *events = client.received()
    told = reply["data"]["channels"]["count"]
    assert (told["position"][-6:], "snapshot" in told) == ("-2.0.2", False)
    assert [event["data"] for event in events] == [1, 2]
    told, events = await begin(client)
    assert (told["snapshot"], events) == ({"count": 2}, []), "nothing is owed: the state is that of the position"


async def test_state_is_not_told_again_before_a_loss(talk: Any) -> None:
    """The position that is told with it lies before what was dropped, and the notice of that is still to come."""
    client = talk(limits=Limits(lag_events=2))
    count = Count(client)
    await begin(client)
    await begin(client, channel="plain")
    client.subscriber.taking = False
    client.hub.publish("plain", "on", None)
    client.hub.broadcaster.flush()
    count.publish()
    for _ in range(2):
        client.hub.publish("plain", "on", None)
    assert client.subscriber.cursors["count"].caught_up, "its only event was pushed out"
    told, _ = await begin(client)
    assert ("snapshot" in told, told["position"][-6:]) == (False, "-1.0.1")
    client.subscriber.taking = True
    client.subscriber.flush()
    dropped = client.received()[0]
    assert (dropped["type"], dropped["data"]["channel"]) == ("dropped", "count")


async def test_recalled_events_are_in_the_state_before_them(talk: Any) -> None:
    """The last value of a gauge is sent to look at; the state that precedes it knows of it."""
    client = talk(namespaces={"count": Namespace(recall_events=1)})
    count = Count(client)
    count.publish(3)
    told, events = await begin(client)
    assert (told["replayed"], events) == (1, [3])
    assert (told["snapshot"], told["snapshot_offset"]) == ({"count": 3}, 3)
    told, events = await begin(client)
    assert (told["snapshot"], told["snapshot_offset"], events) == ({"count": 3}, 3, [])


async def test_state_stands_for_a_past_that_is_not_whole(talk: Any) -> None:
    """What is left of the changes is of no use without those that are gone; but where there is no state it is all."""
    client = talk()
    client.hub.registry.join(LAMP, snapshots={"lamps": lambda identity, channel: "state"})
    for channel in ("lamps:a", "plain"):
        client.hub.publish(channel, "on", 1)
    since = {"positions": {"lamps:a": "0000000000-7", "plain": "0000000000-7"}}
    reply, event = await client.say("subscribe", {"channels": ["lamps:a", "plain"], "since": since})
    told = reply["data"]["channels"]
    assert told["lamps:a"]["snapshot"] == "state"
    assert (told["lamps:a"]["recovered"], told["lamps:a"]["replayed"]) == (False, 0)
    assert (told["plain"]["recovered"], told["plain"]["replayed"], event["channel"]) == (False, 1, "plain")
    client.hub.publish("lamps:a", "on", 2)
    (event,) = client.received()
    assert event["data"] == 2


@pytest.mark.parametrize("state", [ValueError("no such lamp"), RequestError(ErrorCode.BUSY, "later"), {1: object()}])
async def test_state_that_cannot_be_told_leaves_nothing_behind(talk: Any, state: object) -> None:
    """All or nothing: a client that was told an error must not get events, nor another filter on what it had."""

    def snapshot(identity: Identity, channel: str) -> Any:
        if isinstance(state, Exception):
            raise state
        return state

    client = talk()
    client.hub.registry.join(LAMP, snapshots={"bad": snapshot})
    client.hub.attach_cursor(client.subscriber, "bad:held")
    for channels in (["plain", "bad:new"], ["bad:held", "plain"]):
        error = await client.refused("subscribe", {"channels": channels, "where": {"n": 1}})
        assert error["code"] == ("limit.busy" if isinstance(state, RequestError) else "server.internal")
        assert list(client.subscriber.cursors) == ["bad:held"]
        assert client.subscriber.cursors["bad:held"].view.where.everything
    assert not client.hub.is_subscribed("plain")
