"""
Places in a channel's stream.

A channel numbers its events 1, 2, 3 ... (offsets) within an epoch; a new epoch begins when continuity is lost. A
subscriber that kept up owes nothing below one offset. One that fell behind may have seen a high event before an older
low one, so its position is one offset per lane: every event of the lane up to and including that offset was delivered,
left out by the filter, or named in a `dropped` notice. The text form is opaque to clients: they hand back what they
last got.
"""

from __future__ import annotations

import re
import secrets

from attrs import frozen

from rtcore.values.hot import value

__all__ = [
    "FromOffset",
    "FromPosition",
    "FromTimestamp",
    "LastEvents",
    "Position",
    "Since",
    "WithinSeconds",
    "from_offset",
    "from_position",
    "last",
    "new_epoch",
    "since_timestamp",
    "within",
]

_TEXT = re.compile(r"([a-z0-9]{1,16})-(\d{1,18})(?:\.(\d{1,18})\.(\d{1,18}))?", re.ASCII)


def new_epoch() -> str:
    """Ten random characters: long enough that a restarted server does not take an old position for its own."""
    return secrets.token_hex(5)


@value(unsafe_hash=True)
class Position:
    """All events up to one offset per lane, within an epoch."""

    epoch: str
    high: int
    normal: int
    low: int

    @classmethod
    def at(cls, epoch: str, offset: int) -> Position:
        """The position of a subscriber that has had everything up to `offset` (0: nothing yet)."""
        return cls(epoch, offset, offset, offset)

    @classmethod
    def parse(cls, text: str) -> Position:
        """
        Read the text form.

        Raises:
            ValueError: If `text` is not a position, whatever its content.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError("not a position")
        epoch, high, normal, low = match.groups()
        if normal is None:
            return cls.at(epoch, int(high))
        return cls(epoch, int(high), int(normal), int(low))

    @property
    def offset(self) -> int:
        """Everything up to and including this offset is settled in every lane."""
        return min(self.high, self.normal, self.low)

    @property
    def furthest(self) -> int:
        """The newest offset settled in any lane."""
        return max(self.high, self.normal, self.low)

    def settled(self, lane: int, offset: int) -> bool:
        """Whether the event at `offset` of `lane` (0 high, 1 normal, 2 low) is behind this position."""
        return offset <= (self.high, self.normal, self.low)[lane]

    def __str__(self) -> str:
        if self.high == self.normal == self.low:
            return f"{self.epoch}-{self.high}"
        return f"{self.epoch}-{self.high}.{self.normal}.{self.low}"


@frozen
class FromPosition:
    """Everything after a position that this or an earlier connection was given."""

    position: Position


@frozen
class FromOffset:
    """Everything from this offset on, the event at `offset` included."""

    offset: int


@frozen
class FromTimestamp:
    """Everything published at or after this time, in Unix seconds."""

    timestamp: float


@frozen
class WithinSeconds:
    """Everything published within the last so many seconds."""

    seconds: float


@frozen
class LastEvents:
    """The newest `count` events that pass the filter."""

    count: int


Since = FromPosition | FromOffset | FromTimestamp | WithinSeconds | LastEvents


def last(count: int) -> LastEvents:
    """
    The newest events, to begin a subscription with.

    Raises:
        ValueError: If `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    return LastEvents(count)


def from_position(position: Position | str) -> FromPosition:
    """
    Everything after a position that an earlier subscription ended with, as a value or as text.

    Raises:
        ValueError: If text is not a position.
    """
    return FromPosition(Position.parse(position) if isinstance(position, str) else position)


def from_offset(offset: int) -> FromOffset:
    """Everything from an offset on, that one included."""
    return FromOffset(offset)


def since_timestamp(timestamp: float) -> FromTimestamp:
    """Everything published at or after a time, in Unix seconds."""
    return FromTimestamp(timestamp)


def within(seconds: float) -> WithinSeconds:
    """Everything published within the last so many seconds."""
    return WithinSeconds(seconds)
