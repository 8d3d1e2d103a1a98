"""From the bytes of one input to what a target needs: numbers, pieces and cuts, the same on every machine."""

from __future__ import annotations

import random
from typing import Any

__all__ = ["Reader", "cut", "told_of"]


class Reader:
    """Takes an input from its beginning; after its end there are zeros, so that every input means something."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left."""
        return self._position >= len(self._data)

    def octet(self) -> int:
        """The next byte."""
        return (self.take(1) or b"\x00")[0]

    def take(self, size: int) -> bytes:
        """The next bytes, as many as there are."""
        self._position += size
        return self._data[self._position - size : self._position]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data))


def cut(data: bytes, seed: int) -> list[bytes]:
    """Cut a stream: 0 leaves it whole, 1 cuts at every byte, any other number at random."""
    if seed == 0:
        return [data]
    chance = random.Random(seed)
    pieces = []
    while data:
        size = 1 if seed == 1 else chance.choice((1, 1, 2, 3, 5, 10, 40, 200))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def told_of(event: Any) -> tuple[Any, ...]:  # Any: an event of either implementation
    """An event's kind, and what it says."""
    return type(event).__name__, *(getattr(event, name) for name in event.__match_args__)
