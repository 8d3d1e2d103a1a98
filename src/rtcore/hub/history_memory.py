"""
The memory of all history together, and what goes when it is too much.

Each channel bounds what it keeps, but there may be thousands of channels, and whoever publishes makes them. An event
takes more than its text: its data stays as objects, for filters, and a list that is two characters takes seventy bytes.
So memory is estimated (`rtcore.hub.entry.memory_of`), not text counted. Nothing is added up at each publication but
what has come since the last look at the channels: they are looked at again only when the bound may have been passed, an
eighth of it later at the earliest. A look also lets go of what has grown too old on channels that nobody asks for, and
reads no text again.

Who is subscribed loses nothing that is on its way. What is gone is gone as at any other bound of history: a client
that asks for it is told `recovered: false`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rtcore.hub.channel import Channel

__all__ = ["HistoryMemory"]

_SHARE: Final = 8
"""A look makes so much room, one in so many parts of the whole, so that the next is not due at once."""


class HistoryMemory:
    """
    Args:
        maximum: Most memory, in bytes.
        channels: All there are, the least recently published first.
    """

    __slots__ = ("_channels", "_maximum", "_room")

    def __init__(self, maximum: int, channels: Iterable[Channel]) -> None:
        self._maximum = maximum
        self._channels = channels
        self._room = maximum

    def published(self, memory: int, now: float) -> None:
        """An event was put into a log that takes about so many bytes; `now` in Unix seconds."""
        self._room -= memory
        if self._room < 0:
            self._look(now)

    def _look(self, now: float) -> None:
        channels = list(self._channels)
        for channel in channels:
            channel.expire_history(now)
        held = [channel.log.memory for channel in channels]
        total, wanted = sum(held), self._maximum - self._maximum // _SHARE
        for channel, memory in zip(channels, held, strict=True):
            if total <= wanted:
                break
            if memory:
                channel.forget_history()
                total -= memory
        self._room = self._maximum - total
