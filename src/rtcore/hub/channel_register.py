"""
The channels of a hub, and which of them goes when there is no room.

Two pools, each with a bound of its own. Channels that had an event hold history; once there are `Limits.channels`, the
least recently published of those that nobody is subscribed to is forgotten for the next. Channels that never had one
are names that somebody subscribed to, at most `Limits.unpublished_channels`, and none of them takes the place of a
channel with history: whoever may only read can make up names, but makes nobody's events go away.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.channel import Channel
from rtcore.hub.history_memory import HistoryMemory
from rtcore.values.limits import Limits

__all__ = ["ChannelRegister"]


class ChannelRegister:
    """
    Args:
        limits: `channels`, `unpublished_channels` and `history_memory_bytes` bound it.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._published: OrderedDict[str, Channel] = OrderedDict()
        self._unpublished: dict[str, Channel] = {}
        self.history = HistoryMemory(limits.history_memory_bytes, self)
        """Told of each event; the history of some channels may go for it."""

    def __len__(self) -> int:
        return len(self._published) + len(self._unpublished)

    def __iter__(self) -> Iterator[Channel]:
        """Those without an event first, then the least recently published."""
        yield from self._unpublished.values()
        yield from self._published.values()

    def __getitem__(self, name: str) -> Channel:
        channel = self.get(name)
        if channel is None:
            raise KeyError(name)
        return channel

    def get(self, name: str) -> Channel | None:
        """The channel of this name; None while there is none."""
        return self._published.get(name) or self._unpublished.get(name)

    def keep_for_subscriber(self, channel: Channel) -> None:
        """
        Somebody is about to subscribe.

        Raises:
            RequestError: If it is new, and no more names without an event are kept.
        """
        if self.get(channel.name) is channel:
            return
        if len(self._unpublished) >= self._limits.unpublished_channels:
            limit = f"unpublished_channels={self._limits.unpublished_channels}"
            raise RequestError(ErrorCode.TOO_MANY_CHANNELS, f"the hub holds its limit of {limit}")
        self._unpublished[channel.name] = channel

    def keep_for_publisher(self, channel: Channel) -> None:
        """
        Somebody is about to publish: it becomes the most recently published.

        Raises:
            RequestError: If it is the first event, and every channel with history has subscribers.
        """
        name = channel.name
        if name in self._published:
            self._published.move_to_end(name)
            return
        if len(self._published) >= self._limits.channels:
            self._make_place()
        self._unpublished.pop(name, None)
        self._published[name] = channel

    def release(self, channel: Channel) -> None:
        """Somebody has unsubscribed: with nobody left and no history, it is forgotten."""
        if channel.idle and not len(channel.log):
            self._published.pop(channel.name, None)
            self._unpublished.pop(channel.name, None)

    def _make_place(self) -> None:
        idle = next((name for name, channel in self._published.items() if channel.idle), None)
        if idle is None:
            raise RequestError(
                ErrorCode.TOO_MANY_CHANNELS,
                f"the hub holds its limit of channels={self._limits.channels}, each with subscribers",
            )
        # Its history goes with it; a later channel of this name has a new epoch, so that nobody mistakes the two.
        del self._published[idle]
