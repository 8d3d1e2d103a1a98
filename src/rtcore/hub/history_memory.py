"""
The memory of all history together, and what goes when it is too much.

Each channel bounds what it keeps, but there may be thousands of channels, and whoever publishes makes them. An event
takes more than its text: its data stays as objects, for filters, and a list that is two characters takes seventy bytes.
So memory is estimated, not text counted. Nothing is added up at each publication but what has come since the last look
at the channels: they are looked at again only when the bound may have been passed, an eighth of it later at the
earliest. A look also lets go of what has grown too old on channels that nobody asks for.

Who is subscribed loses nothing that is on its way. What is gone is gone as at any other bound of history: a client
that asks for it is told `recovered: false`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rtcore.hub.channel import Channel
from rtcore.hub.event_log import EventLog

__all__ = ["HistoryMemory", "memory_of"]

_EVENT_BYTES: Final = 600
"""What an event takes beside its text and its data: the event, its entry, its place in the ring."""
_VALUE_BYTES: Final = 64
"""What a value in an array or object takes, or an array: the object and the pointer to it. Measured: 28 to 73."""
_OBJECT_BYTES: Final = 120
"""What an object takes beside a value: its table. Measured: 64 in all where it is empty, 184 with a field."""
_PLAIN_LENGTH: Final = 512
"""Longest text of which no values are counted: there are few, and most events are shorter."""
_SHARE: Final = 8
"""A look makes so much room, one in so many parts of the whole, so that the next is not due at once."""


def memory_of(body: bytes) -> int:
    """About how much memory an event of this text takes, in bytes."""
    plain = _EVENT_BYTES + 2 * len(body)  # the data has the texts in it once more
    if len(body) <= _PLAIN_LENGTH:
        return plain
    values = body.count(b",") + body.count(b"[")
    return plain + values * _VALUE_BYTES + body.count(b"{") * _OBJECT_BYTES


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

    def published(self, log: EventLog, body: bytes, now: float) -> None:
        """An event was put into a log; `now` in Unix seconds."""
        length = len(body)
        if length <= _PLAIN_LENGTH:  # as most are; without a call, since this is done for each event
            self._room -= _EVENT_BYTES + 2 * length
        else:
            memory = memory_of(body)
            log.heavy = log.heavy or memory > _EVENT_BYTES + 4 * length
            self._room -= memory
        if self._room < 0:
            self._look(now)

    def _look(self, now: float) -> None:
        channels = list(self._channels)
        for channel in channels:
            channel.log.expire(now)
        held = [_held(channel.log) for channel in channels]
        total, wanted = sum(held), self._maximum - self._maximum // _SHARE
        for channel, memory in zip(channels, held, strict=True):
            if total <= wanted:
                break
            if memory:
                channel.forget_history()
                total -= memory
        self._room = self._maximum - total


def _held(log: EventLog) -> int:
    """About how much memory the events of a log take: where none is heavy, their texts tell enough."""
    if not log.heavy:
        return len(log) * _EVENT_BYTES + 2 * log.bytes
    return sum(memory_of(event.body) for event in log.events(log.oldest, log.newest + 1))
