"""A publisher that keeps what it is given, to test code that publishes without any hub."""

from __future__ import annotations

from attrs import define, field, frozen

from rtcore.values.events import Json, Lane

__all__ = ["Published", "RecordingPublisher"]


@frozen(kw_only=True)
class Published:
    """One call of `publish`."""

    channel: str
    type: str
    data: dict[str, Json]
    lane: Lane | None
    key: str | None


@define(eq=False)
class RecordingPublisher:
    """Stands in for a hub: `Workflows(RecordingPublisher())`."""

    events: list[Published] = field(factory=list)
    """Everything published, in order."""
    refuse: dict[str, Exception] = field(factory=dict)
    """What to raise, by event type, instead of keeping the event."""

    def publish(
        self, channel: str, type: str, data: Json, *, lane: Lane | None = None, key: str | None = None
    ) -> object:
        """Keep the event, or raise what `refuse` has for its type."""
        if type in self.refuse:
            raise self.refuse[type]
        if not isinstance(data, dict):
            raise TypeError(f"data of {type} must be an object, not {data!r}")
        self.events.append(Published(channel=channel, type=type, data=data, lane=lane, key=key))
        return None

    @property
    def types(self) -> list[str]:
        """The event types, in order."""
        return [event.type for event in self.events]

    def data(self, type: str) -> list[dict[str, Json]]:
        """The data of every event of a type, in order."""
        return [event.data for event in self.events if event.type == type]
