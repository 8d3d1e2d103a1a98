"""What may be too much for one write of a store, in several: each is kept as a whole, and all of them are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from rtcore.store.records import WRITE_BYTES, encode
from rtcore.store.store import Change

__all__ = ["portions"]

_PORTION_BYTES: Final = WRITE_BYTES // 4
"""Most that is written at once, but for a single change: others may share the commit."""


def portions(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """
    The changes in order, in pieces that the store takes; nearly always there is one.

    Raises:
        RequestError: A document is too large, or not JSON.
    """
    portion: list[Change] = []
    room = _PORTION_BYTES
    for change in changes:
        _, size = encode([change])
        if portion and size > room:
            yield portion
            portion, room = [], _PORTION_BYTES
        portion.append(change)
        room -= size
    if portion:
        yield portion
