"""Where the figures of a hub's snapshot come from."""

from __future__ import annotations

from collections.abc import Collection

from rtcore.hub.channel import Channel
from rtcore.hub.counters import Counters
from rtcore.hub.statistics import HubStatistics
from rtcore.hub.subscriber import Subscriber

__all__ = ["collect_statistics"]


def collect_statistics(
    counters: Counters, channels: Collection[Channel], subscribers: Collection[Subscriber], *, timers: int
) -> HubStatistics:
    """A snapshot of a hub; time grows with its channels and subscribers, so ask once a second, not once a message."""
    return HubStatistics(
        channels=len(channels),
        views=sum(len(channel.views) for channel in channels),
        subscribers=len(subscribers),
        subscriptions=sum(len(subscriber.cursors) for subscriber in subscribers),
        published=counters.published,
        delivered=counters.delivered,
        dropped=counters.dropped,
        conflated=counters.conflated,
        replayed=counters.replayed,
        disconnected_slow=counters.disconnected_slow,
        behind=sum(subscriber.blocked for subscriber in subscribers),
        backlog_events=sum(subscriber.waiting_events for subscriber in subscribers),
        backlog_bytes=sum(subscriber.waiting_bytes for subscriber in subscribers),
        history_events=sum(len(channel.log) for channel in channels),
        history_bytes=sum(channel.log.bytes for channel in channels),
        events_by_type=dict(counters.events_by_type),
        latency=counters.latency.snapshot(),
        timers=timers,
    )
