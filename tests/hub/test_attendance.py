"""Features are told when a channel of theirs gets its first subscriber, and when the last has gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from rtcore.errors import RequestError
from rtcore.hub.hub import Hub
from rtcore.hub.registry import FeatureRegistry
from rtcore.values.limits import Limits
from rtcore.values.positions import last

Told = list[tuple[str, bool]]


@asynccontextmanager
async def open_told(limits: Limits | None = None) -> AsyncIterator[tuple[Hub, Told]]:
    told: Told = []
    hub = Hub(limits=limits)
    hub.registry.join(object(), attendance={"lamps": lambda channel, attended: told.append((channel, attended))})
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        yield hub, told
        nursery.cancel_scope.cancel()


async def test_first_and_last_subscriber_are_told_and_none_between() -> None:
    """What costs something per listener would cost it again for each of a thousand dashboards."""
    async with open_told() as (hub, told):
        async with hub.subscribe("lamps:a", "other"):
            async with hub.subscribe("lamps:a", where={"x": 1}), hub.subscribe("lamps"):
                assert told == [("lamps:a", True), ("lamps", True)]
            assert told[2:] == [("lamps", False)]
        assert told[3:] == [("lamps:a", False)]


async def test_a_subscription_that_moves_is_no_coming_and_going() -> None:
    async with open_told() as (hub, told):
        hub.publish("lamps:a", "on", 1)
        async with hub.subscribe("lamps:a") as subscription:
            hub.attach_cursor(subscription, "lamps:a")
            hub.attach_cursor(subscription, "lamps:a", since=last(1))
            assert told == [("lamps:a", True)]
        assert told == [("lamps:a", True), ("lamps:a", False)]


async def test_subscription_that_is_refused_tells_nobody() -> None:
    """Its channel is not there; whoever began to work for it would never be told to end."""
    async with open_told(Limits(unpublished_channels=1)) as (hub, told):
        with pytest.raises(RequestError):
            async with hub.subscribe("lamps:a", "lamps:b"):
                raise AssertionError("there is no room for the second")
        assert told == [("lamps:a", True), ("lamps:a", False)]


def test_a_namespace_has_one_who_is_told() -> None:
    registry = FeatureRegistry()
    attendance: Any = {"lamps": lambda channel, attended: None}
    registry.join(object(), attendance=attendance)
    with pytest.raises(ValueError, match="taken already: lamps"):
        registry.join(open_told, attendance=attendance)
