"""Numbers that the hub counts as it works; read through `Hub.statistics()`."""

from __future__ import annotations

from attrs import Factory, define

from rtcore.hub.latency import LatencyHistogram

__all__ = ["Counters"]


@define(eq=False)
class Counters:
    """Running totals since the hub began; plain integers, so that counting costs next to nothing."""

    published: int = 0
    delivered: int = 0
    """Events handed to a subscriber, each subscriber counted."""
    dropped: int = 0
    """Events that a slow subscriber lost, each named in a notice."""
    conflated: int = 0
    """Events that a newer one of the same key stood for."""
    replayed: int = 0
    """Events of the past handed out by subscriptions, replays and history requests."""
    subscribed: int = 0
    """Subscriptions ever begun, one a channel."""
    disconnected_slow: int = 0
    """Subscribers closed because they did not keep up."""
    latency: LatencyHistogram = Factory(LatencyHistogram)
    """From publication to the write, by event type."""
    events_by_type: dict[str, int] = Factory(dict)

    def count_published(self, event_type: str, maximum_types: int) -> None:
        """Count an event, also by its type; types beyond `maximum_types` count as `other`."""
        self.published += 1
        by_type = self.events_by_type
        if event_type not in by_type and len(by_type) >= maximum_types:
            event_type = "other"
        by_type[event_type] = by_type.get(event_type, 0) + 1
