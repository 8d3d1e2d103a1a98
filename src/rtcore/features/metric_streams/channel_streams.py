"""
Streams that are made of other channels: `flow_executions` of the workflows, `alert_events` of the alerts.

Each follows its channel while somebody watches, from where it stood the last time: what was published in between is
made up for as far as the channel's history goes. Who may not read the channel may not read the stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from rtcore.features.metric_streams.flow_state import FlowBoard
from rtcore.features.metric_streams.stream import Sample
from rtcore.hub.hub import Hub
from rtcore.values.events import Event, Json
from rtcore.values.positions import FromOffset, FromPosition, Since

__all__ = ["ALERTS", "WORKFLOWS", "AlertEvents", "Flows"]

WORKFLOWS: Final = "workflows"
ALERTS: Final = "alerts"


class _Follower:
    """
    Takes the events of a channel, each once, over all the times that it follows it.

    Args:
        hub: Where the channel is.
        channel: Its name.
        take: Told of each event.
        missed: Told how many events nobody can tell of any more: they left the history before it followed again. Of
            another life of the channel nobody knows how many there were.
    """

    def __init__(
        self, hub: Hub, channel: str, take: Callable[[Event], None], missed: Callable[[int], None] = lambda _: None
    ) -> None:
        self._hub = hub
        self._channel = channel
        self._take = take
        self._missed = missed
        self._since: Since = FromOffset(1)
        self.caught_up = trio.Event()
        """Set while it follows, and has taken what was published before."""

    async def follow(self) -> None:
        """Follow until cancelled."""
        try:
            async with self._hub.subscribe(self._channel, since=self._since) as events:
                began = events.subscribed[self._channel]
                owed = began.replayed
                if began.recovered is False:
                    self._missed(began.position.offset - self._settled_in(began.position.epoch))
                while True:
                    if owed <= 0:
                        self.caught_up.set()
                    event = await anext(events)
                    self._take(event)
                    self._since = FromPosition(events.positions[self._channel])
                    owed -= 1
        finally:
            self.caught_up = trio.Event()

    def _settled_in(self, epoch: str) -> int:
        """Up to which offset it has had everything, in this life of the channel."""
        since = self._since
        return since.position.offset if isinstance(since, FromPosition) and since.position.epoch == epoch else 0


class Flows:
    """
    `flow_executions`: which workflows run, and how they ended.

    Args:
        hub: Where the workflows are.
    """

    def __init__(self, hub: Hub) -> None:
        self._board = FlowBoard(hub.limits.metric_entries)
        self._follower = _Follower(hub, WORKFLOWS, self._take, self._board.miss)
        self.follow = self._follower.follow

    async def sample(self) -> dict[str, Json]:
        """The sample of now, once what was published before is counted in."""
        await self._follower.caught_up.wait()
        return self._board.document()

    def _take(self, event: Event) -> None:
        self._board.take(event.type, event.data, event.timestamp)


class AlertEvents:
    """
    `alert_events`: what became of alerts, one by one.

    Args:
        hub: Where the alerts are.
        push: Publishes a sample.
    """

    def __init__(self, hub: Hub, push: Callable[[Sample], None]) -> None:
        self._push = push
        self.follow = _Follower(hub, ALERTS, self._take).follow

    def _take(self, event: Event) -> None:
        data = event.data if isinstance(event.data, dict) else {"data": event.data}
        self._push({"event": event.type, **data})
