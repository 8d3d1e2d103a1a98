"""Values that the hub hands back."""

from __future__ import annotations

from attrs import frozen

from rtcore.values.events import Event, Lane
from rtcore.values.hot import value
from rtcore.values.positions import Position

__all__ = ["Batch", "HistoryPage", "PublishOutcome", "Range", "Subscribed"]


@value(unsafe_hash=True)
class PublishOutcome:
    """
    What became of an event at the moment of its publication: `matched == sent + queued + dropped`, where `dropped`
    counts subscribers that had to lose something to make room, be it this event or older ones: each once, however many
    events it lost.
    """

    channel: str
    epoch: str
    offset: int
    matched: int
    """Subscribers whose filter lets the event pass."""
    queued: int
    """Of these, subscribers that are behind and have room for it."""
    dropped: int
    """Of these, subscribers that are behind and had no room left."""

    @property
    def position(self) -> Position:
        """Everything on the channel up to this event."""
        return Position.at(self.epoch, self.offset)

    @property
    def sent(self) -> int:
        """Of those that matched, subscribers with nothing waiting: the event leaves in this tick's write."""
        return self.matched - self.queued - self.dropped


@frozen(kw_only=True)
class Subscribed:
    """How a subscription to one channel began."""

    channel: str
    position: Position
    """Everything up to here is settled; replayed and live events follow."""
    recovered: bool | None
    """Whether everything that was asked for is still held; None where nothing was asked for."""
    replayed: int
    """Events of the past that follow before the first live one."""


@frozen(kw_only=True)
class Range:
    """Offsets `first` to `last`, both included, of one lane: what a `dropped` notice names and `replay` takes back."""

    lane: Lane
    first: int
    last: int


@frozen(kw_only=True)
class Batch:
    """
    A window that closes after so many events or so long, whichever comes first; an event of the high lane closes it at
    once.
    """

    events: int
    seconds: float


@frozen(kw_only=True)
class HistoryPage:
    """Events of the past, oldest first."""

    channel: str
    events: tuple[Event, ...]
    recovered: bool
    """Whether everything that was asked for is in this page or still to be had from `position` on."""
    missing: int
    """Offsets that were asked for by number and are no longer held."""
    position: Position
    """Where to go on from."""
    more: bool
    """Whether a limit cut the page short."""
