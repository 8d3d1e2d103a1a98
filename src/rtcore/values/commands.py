"""Commands: what a client may ask for, as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NewType

from attrs import field, frozen

from rtcore.values.events import Json, Lane
from rtcore.values.hot import value
from rtcore.values.positions import FromPosition, Position, Since

__all__ = [
    "COMMANDS",
    "REPLIES",
    "Ack",
    "Auth",
    "BatchRequest",
    "ChannelName",
    "Command",
    "Heartbeat",
    "History",
    "OffsetRange",
    "Publish",
    "Refresh",
    "Replay",
    "SetFilters",
    "SinceRequest",
    "Subscribe",
    "Unsubscribe",
]

ChannelName = NewType("ChannelName", str)
"""Text that passed `check_channel_name`."""


@frozen(kw_only=True)
class SinceRequest:
    """Where in the past to begin: one place for all channels, or a position for each."""

    place: Since | None = None
    positions: Mapping[str, Position] = field(factory=dict)

    def of(self, channel: str) -> Since | None:
        """Where to begin on one channel; None: with what comes next."""
        position = self.positions.get(channel)
        return self.place if position is None else FromPosition(position)


@frozen(kw_only=True)
class BatchRequest:
    """A batch window; what is left open takes the default of `Limits`."""

    events: int | None = None
    seconds: float | None = None


@frozen(kw_only=True)
class OffsetRange:
    """Offsets `first` to `last`, both included, of one lane; `from` and `to` on the wire."""

    lane: Lane
    first: int
    last: int
    count: int | None = None
    """As a `dropped` notice has it, so that its ranges can be handed back as they are; not looked at."""


@frozen(kw_only=True)
class Auth:
    """Show who is there: the first message where authentication is required."""

    token: str = field(repr=False)


@frozen(kw_only=True)
class Refresh:
    """Show a newer token of the same user before the old one runs out."""

    token: str = field(repr=False)


@value
class Subscribe:
    """Be sent the events of some channels; for a channel subscribed already, with these options from now on."""

    channels: tuple[ChannelName, ...]
    where: Json = None
    """Not compiled yet: that needs the limits."""
    since: SinceRequest | None = None
    batch: BatchRequest | None = None


@value
class Unsubscribe:
    """No longer be sent the events of some channels."""

    channels: tuple[ChannelName, ...]


@frozen(kw_only=True)
class SetFilters:
    """Replace the filter of some subscriptions where they stand."""

    where: Json = None
    channels: tuple[ChannelName, ...] | None = None
    """None: all."""


@value
class Publish:
    """Put an event on a channel."""

    channel: ChannelName
    type: str
    data: Json
    lane: Lane | None = None
    key: str | None = None


@frozen(kw_only=True)
class Replay:
    """Past events of a subscribed channel, through the subscription's filter: from a place on, or exact ranges."""

    channel: ChannelName
    since: SinceRequest | None = None
    ranges: tuple[OffsetRange, ...] = ()


@frozen(kw_only=True)
class History:
    """Past events of a channel, subscribed or not."""

    channel: ChannelName
    since: SinceRequest | None = None
    where: Json = None
    limit: int | None = None


@frozen(kw_only=True)
class Heartbeat:
    """A sign of life, answered with the positions; whatever its data says is passed over."""


@frozen(kw_only=True)
class Ack:
    """Tell up to where events have been dealt with."""

    positions: Mapping[ChannelName, Position]


Command = Auth | Refresh | Subscribe | Unsubscribe | SetFilters | Publish | Replay | History | Heartbeat | Ack

COMMANDS: Final[Mapping[str, type[Command]]] = {
    "ack": Ack,
    "auth": Auth,
    "connection.heartbeat": Heartbeat,
    "heartbeat": Heartbeat,
    "history": History,
    "publish": Publish,
    "refresh": Refresh,
    "replay": Replay,
    "set_filters": SetFilters,
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
}
"""Commands by the `type` of their message."""
REPLIES: Final = frozenset(
    {"acked", "auth_success", "connection.heartbeat", "filters_set", "heartbeat", "history", "published"}
    | {"refreshed", "replayed", "subscribed", "unsubscribed", "welcome"}
)
"""Types of what they are answered with, and of the greeting."""
