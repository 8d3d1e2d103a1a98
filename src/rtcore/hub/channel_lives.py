"""
Which life of its name a channel begins: the same again, as long as nothing can have been missed between.

A channel without an event is forgotten with its last subscriber, and so is not there while a client that comes back is
away. Nothing of it is lost by that, so the channel that is made then must be in the same epoch: otherwise a client that
missed nothing is told that it may have. An epoch is therefore not drawn for each channel, but made from the name and a
secret of the hub; and from how many channels with events have ended, since what they had is gone.

To count that for each name would need memory for ever. It is counted for names together that share a slot: a name whose
neighbour ended begins a new epoch as well, which says too much of a loss and never too little.

Channels with a state behind them have no part in this: their features do not publish while the channel is not there, so
something may have been missed although there was no event. Each of their epochs is drawn.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from attrs import frozen

from rtcore.values.positions import EPOCH_LENGTH

__all__ = ["ChannelLives", "Life"]

_SLOTS: Final = 1024
"""Some 24 KiB a hub; of a thousand quiet channels one is told too much when another ends."""


@frozen(kw_only=True)
class Life:
    """One epoch of a channel."""

    epoch: str
    began: float
    """Since when nothing of it can have been lost, in Unix seconds."""


class ChannelLives:
    """
    Args:
        clock: Unix seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(16)
        self._ended = [0] * _SLOTS
        self._began = [clock()] * _SLOTS

    def life(self, name: str) -> Life:
        """The one that a channel of this name has, or would begin now."""
        slot = self._slot(name)
        text = f"{self._ended[slot]} {name}".encode()
        digest = blake2b(text, key=self._secret, digest_size=EPOCH_LENGTH // 2)
        return Life(epoch=digest.hexdigest(), began=self._began[slot])

    def ended(self, name: str) -> None:
        """A channel that had an event is forgotten, and its events with it."""
        slot = self._slot(name)
        self._ended[slot] += 1
        self._began[slot] = self._clock()

    def _slot(self, name: str) -> int:
        return hash(name) % _SLOTS
