"""Snapshots of the hub."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from rtcore.hub.latency import LatencySnapshot
from rtcore.values.positions import Position

__all__ = ["ChannelStatistics", "HubStatistics", "SubscriberStatistics"]


@frozen(kw_only=True)
class ChannelStatistics:
    """One channel."""

    name: str
    position: Position
    subscribers: int
    views: int
    history_events: int
    history_bytes: int


@frozen(kw_only=True)
class SubscriberStatistics:
    """One connection, or one block in this process."""

    subscriptions: int
    behind: bool
    """Whether it takes nothing just now."""
    backlog_events: int
    """Events waiting for it."""
    backlog_bytes: int
    """Bytes of the live ones among them."""
    dropped: int
    """Events that it has lost, each named in a notice."""
    positions: Mapping[str, Position]
    """What is settled, by channel."""


@frozen(kw_only=True)
class HubStatistics:
    """The whole hub; totals count since it began."""

    channels: int
    views: int
    subscribers: int
    """Connections and blocks with at least one subscription."""
    subscriptions: int
    """Cursors: one per subscriber and channel."""
    published: int
    delivered: int
    dropped: int
    conflated: int
    replayed: int
    disconnected_slow: int
    behind: int
    """Subscribers that take nothing just now."""
    backlog_events: int
    """Events waiting for them."""
    backlog_bytes: int
    history_events: int
    history_bytes: int
    events_by_type: Mapping[str, int]
    latency: tuple[LatencySnapshot, ...]
    """From publication to the write, by event type."""
    timers: int

    @property
    def average_queue_depth(self) -> float:
        """Events waiting per subscriber."""
        return self.backlog_events / self.subscribers if self.subscribers else 0.0
