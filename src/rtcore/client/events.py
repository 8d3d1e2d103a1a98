"""What a subscription yields: events, and notices of what did not come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from rtcore.values.events import Json, Lane
from rtcore.values.positions import Position

__all__ = [
    "DroppedNotice",
    "DroppedRange",
    "ReceivedEvent",
    "RecoveryNotice",
    "dropped_notice",
    "epoch_of",
    "recovery_notice",
]

DROPPED: Final = "dropped"
RECOVERED: Final = "connection.recovered"


def epoch_of(position: str) -> str | None:
    """The epoch that a position belongs to; None where the text is not of a form that this version knows."""
    try:
        return Position.parse(position).epoch
    except ValueError:
        return None


@frozen(kw_only=True, eq=False)
class ReceivedEvent:
    """An event as it arrived."""

    channel: str
    type: str
    data: Json
    timestamp: float
    """Time of publication, in Unix seconds."""
    offset: int = 0
    """Number within the channel's epoch, from 1; 0 for a notice."""
    position: str = ""
    """Opaque: hand it back as `since` to go on after this event or notice. Empty for a repaired event."""
    key: str | None = None
    """Conflation key."""
    conflated: int = 0
    """Older events of the same key that this one stands for."""
    repaired: bool = False
    """Whether it was dropped first and asked for again, and so stands out of order."""

    @property
    def notice(self) -> bool:
        """False for an event; True for a `DroppedNotice` or a `RecoveryNotice`, which no one published."""
        return False


@frozen(kw_only=True)
class DroppedRange:
    """Where in a channel the dropped events stood: offsets `first` to `last`, both included, of one lane."""

    lane: Lane
    first: int
    last: int
    count: int
    """Events that were dropped in it; less than its length where others of the range did arrive."""


@frozen(kw_only=True, eq=False)
class DroppedNotice(ReceivedEvent):
    """Events that the server dropped because this client was too slow: exactly what, and how many."""

    count: int
    types: dict[str, int]
    """Dropped events by type."""
    ranges: tuple[DroppedRange, ...]

    @property
    def notice(self) -> bool:
        """True."""
        return True

    def __str__(self) -> str:
        kinds = ", ".join(f"{number} {name}" for name, number in sorted(self.types.items(), key=lambda kind: -kind[1]))
        return f"{_events(self.count)} dropped" + (f": {kinds}" if kinds else "")


@frozen(kw_only=True, eq=False)
class RecoveryNotice(ReceivedEvent):
    """How a channel goes on after a lost connection, or that the beginning that was asked for is not to be had."""

    recovered: bool
    """Whether nothing was lost."""
    replayed: int
    """Events of the past that follow before the first live one."""
    before: str
    """Last position before the connection was lost; empty for the first connection."""
    restarted: bool
    """Whether the channel began anew (another epoch): what came after `before` cannot be recovered."""
    snapshot: Json = None
    """The state behind the channel, of a feature that keeps one: begin again with it. None also where none was told."""
    snapshot_offset: int | None = None
    """The last event that is in `snapshot`: those above it are the changes to it. None: no state was told."""

    @property
    def notice(self) -> bool:
        """True."""
        return True

    def __str__(self) -> str:
        if self.recovered:
            return "reconnected, nothing lost"
        if self.restarted:
            return f"the server restarted (new epoch): events before {self.position} cannot be recovered"
        if not self.before:
            return "the history begins later than was asked: the server started since, or holds no older events"
        return f"some events between {self.before} and {self.position} are no longer held and cannot be recovered"


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"


def dropped_notice(
    channel: str, types: dict[str, int], ranges: Sequence[DroppedRange], count: int, now: float, position: str
) -> DroppedNotice:
    """A notice with the `data` that the wire has."""
    data: dict[str, Json] = {
        "channel": channel,
        "count": count,
        "types": dict(types),
        "ranges": [{"lane": r.lane.name.lower(), "from": r.first, "to": r.last, "count": r.count} for r in ranges],
    }
    return DroppedNotice(
        channel=channel,
        type=DROPPED,
        data=data,
        timestamp=now,
        position=position,
        count=count,
        types=types,
        ranges=tuple(ranges),
    )


def recovery_notice(
    channel: str,
    *,
    recovered: bool,
    replayed: int,
    before: str,
    position: str,
    now: float,
    snapshot: Json = None,
    snapshot_offset: int | None = None,
) -> RecoveryNotice:
    """A notice of how a channel goes on."""
    restarted = bool(before) and not recovered and epoch_of(before) != epoch_of(position)
    data: dict[str, Json] = {
        "channel": channel,
        "recovered": recovered,
        "replayed": replayed,
        "before": before,
        "position": position,
        "restarted": restarted,
    }
    if snapshot_offset is not None:
        data |= {"snapshot": snapshot, "snapshot_offset": snapshot_offset}
    return RecoveryNotice(
        channel=channel,
        type=RECOVERED,
        data=data,
        timestamp=now,
        position=position,
        recovered=recovered,
        replayed=replayed,
        before=before,
        restarted=restarted,
        snapshot=snapshot,
        snapshot_offset=snapshot_offset,
    )
