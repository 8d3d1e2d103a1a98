"""Snapshots of the hub."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from rtcore.hub.latency import LatencySnapshot
from rtcore.hub.results import Batch
from rtcore.values.positions import Position

__all__ = ["ChannelStatistics", "HubStatistics", "SubscriberStatistics", "ViewStatistics"]


@frozen(kw_only=True)
class ChannelStatistics:
    """One channel."""

    name: str
    """Its name."""
    position: Position
    """Its newest event; offset 0 while it has none."""
    subscribers: int
    """Connections and blocks that are subscribed to it."""
    views: int
    """Distinct combinations of filter, encoding and window among them."""
    history_events: int
    """Events held for replay."""
    history_bytes: int
    """Bytes of their encoded text."""


@frozen(kw_only=True)
class ViewStatistics:
    """One view: those subscribers of a channel who want the same events in the same form."""

    channel: str
    """Name of the channel."""
    filtered: bool
    """Whether its filter leaves anything out."""
    batch: Batch | None
    """Its window; None where each event is sent at once."""
    subscribers: int
    """Connections and blocks that share it."""
    behind: int
    """Of these, the ones that take nothing just now."""
    events: int
    """Events held, ready to be sent or replayed."""
    bytes: int
    """Bytes of their encoded text."""
    pending_events: int
    """Of these, the ones that wait for the open window to close."""


@frozen(kw_only=True)
class SubscriberStatistics:
    """One connection, or one block in this process."""

    subscriptions: int
    """Channels that it is subscribed to."""
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
    """Channels, those without an event included."""
    views: int
    """Distinct combinations of channel, filter, encoding and window."""
    subscribers: int
    """Connections and blocks with at least one subscription."""
    subscriptions: int
    """Cursors: one per subscriber and channel."""
    published: int
    """Events published."""
    delivered: int
    """Events handed to a subscriber, each subscriber counted."""
    dropped: int
    """Events that a slow subscriber lost."""
    conflated: int
    """Events that a newer one of the same key stood for."""
    replayed: int
    """Events of the past handed out."""
    disconnected_slow: int
    """Subscribers closed because they did not keep up."""
    behind: int
    """Subscribers that take nothing just now."""
    backlog_events: int
    """Events waiting for them."""
    backlog_bytes: int
    """Bytes of the live ones among them."""
    history_events: int
    """Events held for replay."""
    history_bytes: int
    """Bytes of their encoded text."""
    events_by_type: Mapping[str, int]
    """Events published, by type; types beyond `Limits.event_types` as `other`."""
    latency: tuple[LatencySnapshot, ...]
    """From publication to the write, by event type."""
    timers: int
    """Deadlines waited for."""

    @property
    def average_queue_depth(self) -> float:
        """Events waiting per subscriber."""
        return self.backlog_events / self.subscribers if self.subscribers else 0.0
