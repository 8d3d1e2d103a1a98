"""
What one reader has read, of notifications of his own and of those to his whole workspace alike.

Identifiers grow, so most of it is one position: everything up to here was read. What was read out of turn stands beside
it, one by one; so a notification to ten thousand readers is kept once, and each of them keeps one line about it.
Of the earlier positions those are kept that tell the time of reading of a notification that is kept: the first that
reaches it.

Values, not things: a change is a new value, which counts once it has been written.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, frozen

from rtcore.values.events import Json

__all__ = ["ReadMarks"]

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
_MARK_BYTES: Final = 48
"""What one of them counts: an identifier and a time, as JSON."""


@frozen(kw_only=True)
class ReadMarks:
    """Of one reader."""

    positions: tuple[tuple[str, float], ...] = ()
    """Everything up to an identifier, and when; both ascending."""
    singles: Mapping[str, float] = _NONE
    """Those read one by one, and when."""
    dismissed: frozenset[str] = frozenset()
    """Those to the whole workspace that this reader wants to see no more; they count as read."""

    @property
    def bytes(self) -> int:
        """What they count, in bytes of JSON text."""
        return _MARK_BYTES * (len(self.positions) + len(self.singles) + len(self.dismissed))

    @property
    def position(self) -> str:
        """Everything up to here was read; empty where nothing was."""
        return self.positions[-1][0] if self.positions else ""

    def is_read(self, id: str) -> bool:
        """Whether a notification was read, or dismissed."""
        return id <= self.position or id in self.singles or id in self.dismissed

    def read_at(self, id: str) -> float | None:
        """When it was read first, in Unix seconds; None where it was not."""
        times = [at for position, at in self.positions if id <= position]
        if id in self.singles:
            times.append(self.singles[id])
        return min(times, default=None)

    def reading(self, ids: Iterable[str], at: float) -> ReadMarks:
        """These, and some notifications; what was read before keeps its time."""
        new = {id: at for id in ids if not self.is_read(id)}
        return evolve(self, singles={**self.singles, **new}) if new else self

    def reading_up_to(self, id: str, at: float) -> ReadMarks:
        """These, and everything up to a notification."""
        return self if id <= self.position else evolve(self, positions=(*self.positions, (id, at)))

    def dismissing(self, ids: Iterable[str], at: float) -> ReadMarks:
        """These, and some notifications that are to be seen no more."""
        ids = tuple(ids)
        return evolve(self.reading(ids, at), dismissed=self.dismissed | set(ids))

    def keeping(self, ids: Iterable[str]) -> ReadMarks:
        """What of these is still about something: about notifications that are kept, and the last position."""
        kept = frozenset(ids)
        reached = [position for position, _ in self.positions]
        telling = {bisect_left(reached, id) for id in kept} | {len(reached) - 1}
        return ReadMarks(
            positions=tuple(each for index, each in enumerate(self.positions) if index in telling),
            singles={id: at for id, at in self.singles.items() if id in kept},
            dismissed=self.dismissed & kept,
        )

    def out_of_turn(self) -> list[str]:
        """Those that were read though the position does not say so, in order."""
        return sorted(id for id in {*self.singles, *self.dismissed} if id > self.position)

    def document(self) -> dict[str, Json]:
        """As it is stored."""
        return {
            "positions": [[id, at] for id, at in self.positions],
            "singles": dict(self.singles),
            "dismissed": [*sorted(self.dismissed)],
        }

    @classmethod
    def of_document(cls, document: Any) -> ReadMarks:  # Any: what `document` made, and the store gave back
        """From what was stored."""
        return cls(
            positions=tuple((id, at) for id, at in document["positions"]),
            singles=document["singles"],
            dismissed=frozenset(document["dismissed"]),
        )
