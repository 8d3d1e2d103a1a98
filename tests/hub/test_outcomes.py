"""What `publish` says of its subscribers: each is counted once, whatever became of its events."""

from __future__ import annotations

from typing import Any

import pytest

from rtcore.values.channels import Namespace, Overflow
from rtcore.values.events import Lane
from rtcore.values.limits import Limits


async def behind(talk: Any, **options: Any) -> Any:
    """A client that takes nothing."""
    client = talk(**options)
    await client.say("subscribe", {"channels": ["a", "b"]})
    client.subscriber.taking = False
    client.subscriber.fall_behind()
    return client


def counts(client: Any, data: object, channel: str = "a", **options: Any) -> tuple[int, int, int, int]:
    outcome = client.hub.publish(channel, "x", data, **options)
    return outcome.matched, outcome.sent, outcome.queued, outcome.dropped


async def test_one_that_loses_many_events_for_a_large_one_is_one(talk: Any) -> None:
    client = await behind(talk, limits=Limits(lag_bytes=4000))
    assert [counts(client, "y" * 50) for _ in range(20)] == [(1, 0, 1, 0)] * 20
    assert counts(client, "z" * 3500, "b") == (1, 0, 0, 1)
    assert client.subscriber.dropped > 1


async def test_each_subscriber_counts_for_itself(talk: Any) -> None:
    slow = await behind(talk, limits=Limits(lag_bytes=4000))
    for _ in range(20):
        counts(slow, "y" * 50)
    roomy = await behind(talk, hub=slow.hub)
    quick = talk(hub=slow.hub)
    await quick.say("subscribe", {"channels": ["a"]})
    assert counts(roomy, "z" * 3500) == (3, 1, 1, 1)


async def test_one_that_loses_the_event_itself_is_dropped(talk: Any) -> None:
    client = await behind(talk, limits=Limits(lag_events=2))
    assert [counts(client, n) for n in range(2)] == [(1, 0, 1, 0)] * 2
    assert counts(client, 2, lane=Lane.LOW) == (1, 0, 0, 1)
    assert [waiting.event.data for waiting in client.subscriber.cursors["a"].waiting()] == [0, 1]


async def test_what_takes_the_place_of_an_older_one_needs_no_room(talk: Any) -> None:
    client = await behind(talk, limits=Limits(lag_events=1), namespaces={"a": Namespace(overflow=Overflow.CONFLATE)})
    assert [counts(client, n, key="k") for n in range(3)] == [(1, 0, 1, 0)] * 3


@pytest.mark.parametrize("first", ["a", "b"])
async def test_one_that_is_disconnected_for_it_is_dropped(talk: Any, first: str, monkeypatch: Any) -> None:
    """Also where it is an older event, of another channel, that may not go."""
    client = await behind(talk, limits=Limits(lag_events=1), namespaces={"b": Namespace(overflow=Overflow.DISCONNECT)})
    monkeypatch.setattr(type(client.subscriber), "overflowed", lambda subscriber: client.hub.detach(subscriber))
    assert counts(client, 1, "b") == (1, 0, 1, 0)
    assert counts(client, 2, first) == (1, 0, 0, 1)
    assert counts(client, 3, first) == (0, 0, 0, 0)
