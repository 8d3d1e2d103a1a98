"""A client that comes back and missed nothing is not told of a loss, and one that missed something always is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from rtcore.hub.channel_lives import ChannelLives
from rtcore.hub.hub import Hub
from rtcore.values.channels import Namespace
from rtcore.values.limits import Limits
from rtcore.values.positions import FromPosition, Position, WithinSeconds

OpenHub = Callable[..., Hub]


async def leave(hub: Hub, channel: str) -> Position:
    """Where a subscriber stood that was alone there and is gone."""
    async with hub.subscribe("elsewhere") as events:
        return hub.attach_cursor(events, channel).position


async def come_back(hub: Hub, channel: str, position: Position) -> tuple[bool | None, int]:
    async with hub.subscribe("elsewhere") as events:
        begun = hub.attach_cursor(events, channel, since=FromPosition(position))
        return begun.recovered, begun.replayed


async def test_quiet_channel_goes_on_where_its_only_subscriber_left(open_hub: OpenHub) -> None:
    """Following four channels of which three are quiet, each short outage told of three losses that there were not."""
    hub = open_hub()
    position = await leave(hub, "quiet")
    assert hub.position("quiet") is None, "nobody is there, and there was no event"
    assert await come_back(hub, "quiet", position) == (True, 0)


async def test_first_event_while_its_only_subscriber_is_away_is_replayed(open_hub: OpenHub) -> None:
    hub = open_hub()
    position = await leave(hub, "quiet")
    hub.publish("quiet", "t", 1)
    assert await come_back(hub, "quiet", position) == (True, 1)


async def test_page_of_a_channel_that_is_not_there_can_be_gone_on_with(open_hub: OpenHub) -> None:
    """Who polls begins before the first event as a rule."""
    hub = open_hub()
    position = hub.history("quiet").position
    hub.publish("quiet", "t", 1)
    page = hub.history("quiet", since=FromPosition(position))
    assert (page.recovered, [event.data for event in page.events]) == (True, [1])


async def test_forgotten_channel_begins_anew_although_nobody_published_since(open_hub: OpenHub) -> None:
    hub = open_hub(limits=Limits(channels=1))
    position = await leave(hub, "a")
    hub.publish("a", "t", 1)
    hub.publish("b", "t", 1)  # takes its place, and its event is gone
    assert await come_back(hub, "a", position) == (False, 0)


async def test_channel_that_keeps_no_history_begins_anew_after_each_event(open_hub: OpenHub) -> None:
    hub = open_hub(namespaces={"pulse": Namespace(history_events=0)})
    async with hub.subscribe("elsewhere") as events:
        before = hub.attach_cursor(events, "pulse").position
        hub.publish("pulse", "t", 1)
    assert hub.position("pulse") is None
    assert await come_back(hub, "pulse", before) == (False, 0)
    again = await leave(hub, "pulse")
    assert await come_back(hub, "pulse", again) == (True, 0)


async def test_events_that_grew_too_old_do_not_end_a_channel(open_hub: OpenHub, autojump_clock: Any) -> None:
    """Who had them all has lost nothing, however often it comes back."""
    hub = open_hub(limits=Limits(history_seconds=60.0))
    position = hub.publish("news", "t", 1).position
    await trio.sleep(3600)
    for _ in range(3):
        assert await come_back(hub, "news", position) == (True, 0)


async def test_time_that_the_hub_was_there_for_is_recovered_on_a_channel_without_events(
    open_hub: OpenHub, autojump_clock: Any
) -> None:
    hub = open_hub()
    await trio.sleep(50)
    for seconds, recovered in ((40.0, True), (60.0, False)):
        async with hub.subscribe("elsewhere") as events:
            assert hub.attach_cursor(events, "quiet", since=WithinSeconds(seconds)).recovered is recovered, seconds


async def test_channel_with_a_state_is_not_taken_for_the_same_again(open_hub: OpenHub) -> None:
    """Its feature publishes nothing while the channel is not there, so its state may be another without an event."""
    hub = open_hub()
    hub.registry.join(object(), snapshots={"board": lambda identity, channel: {}})
    position = await leave(hub, "board:1")
    assert await come_back(hub, "board:1", position) == (False, 0)


def test_epochs_of_two_hubs_differ() -> None:
    """A restarted server must not take an old position for its own."""
    first, second = (ChannelLives(lambda: 0.0).life("tasks").epoch for _ in range(2))
    assert first != second
    assert len(first) == 10
