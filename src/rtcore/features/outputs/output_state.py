"""
What is known of one output: its content as far as it is kept, and its one end.

Content is counted from its beginning: characters of text, or items. What was written last is kept, up to a number of
bytes; so whoever comes late has the whole, or knows from the index of what it gets how much is missing before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Final

from attrs import define, field, frozen

from rtcore.protocol.json_codec import json_dumps
from rtcore.values.events import Json

__all__ = ["Content", "Kind", "OutputState", "OutputStatus"]

_PIECES: Final = 256
"""
What is kept is forgotten a piece at a time, and a piece costs a hundred bytes beside its content. So what is written
together in less than this part of what is kept goes into one piece: then all of them cost next to nothing.
"""


class Kind(Enum):
    """What an output consists of."""

    TEXT = "text"
    ITEMS = "items"


class OutputStatus(Enum):
    """Where an output is; all but the first are ends."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@frozen
class Content:
    """A stretch of an output."""

    index: int
    """Characters or items that come before it."""
    text: str = ""
    items: tuple[Json, ...] = ()

    @property
    def end(self) -> int:
        """Index of what follows it."""
        return self.index + len(self.text) + len(self.items)


@define(eq=False)
class _Piece:
    index: int
    content: str | tuple[Json, ...]
    bytes: int


@define(eq=False)
class OutputState:
    """
    Args:
        kind: Text, or items.
        maximum_bytes: Most bytes of content that are kept, as UTF-8 or JSON.
    """

    kind: Kind
    maximum_bytes: int
    status: OutputStatus = field(default=OutputStatus.RUNNING, init=False)
    length: int = field(default=0, init=False)
    """Characters or items written so far."""
    bytes: int = field(default=0, init=False)
    """Bytes of what is kept."""
    _pieces: deque[_Piece] = field(factory=deque, init=False)

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self.status is not OutputStatus.RUNNING

    @property
    def first(self) -> int:
        """Index of the oldest content that is kept."""
        return self._pieces[0].index if self._pieces else self.length

    def append_text(self, text: str) -> Content:
        """Write text that is not empty; returns the stretch."""
        return self._append(text, len(text.encode(errors="surrogatepass")))

    def append_items(self, items: Sequence[Json]) -> Content:
        """Write one or more items; returns the stretch."""
        return self._append(tuple(items), len(json_dumps(list(items))))

    def _append(self, content: str | tuple[Json, ...], size: int) -> Content:
        index = self.length
        self._keep(content, size)
        self.length += len(content)
        self.bytes += size
        while self.bytes > self.maximum_bytes and len(self._pieces) > 1:
            self.forget_oldest()
        return Content(index, content) if isinstance(content, str) else Content(index, items=content)

    def _keep(self, content: str | tuple[Json, ...], size: int) -> None:
        last = self._pieces[-1] if self._pieces else None
        if last is None or last.bytes + size > self.maximum_bytes // _PIECES:
            self._pieces.append(_Piece(self.length, content, size))
        else:
            last.content = _joined(last.content, content)
            last.bytes += size

    def forget_oldest(self) -> bool:
        """Keep one stretch less; False where there was none."""
        if not self._pieces:
            return False
        self.bytes -= self._pieces.popleft().bytes
        return True

    def end(self, status: OutputStatus) -> bool:
        """Note the end; False where it had ended already, and then nothing changes."""
        if self.ended:
            return False
        self.status = status
        return True

    def content(self, index: int = 0, maximum: int | None = None) -> Content:
        """
        What is kept from `index` on.

        Args:
            index: Where to begin; what is older than what is kept is left out.
            maximum: Most characters or items.
        """
        begin = max(index, self.first)
        kept = [piece.content[max(0, begin - piece.index) :] for piece in self._pieces if self._reaches(piece, begin)]
        if self.kind is Kind.TEXT:
            return Content(begin, "".join(map(str, kept))[:maximum])
        return Content(begin, items=tuple(item for part in kept for item in part)[:maximum])

    def page(self, index: int, maximum: int, maximum_bytes: int) -> Content:
        """
        As much of `content` as one message is to have.

        Args:
            index: Where to begin.
            maximum: Most characters or items.
            maximum_bytes: Most bytes of them as JSON; one character or item is given however large it is.
        """
        content = self.content(index, maximum)
        if self.kind is Kind.TEXT:
            return Content(content.index, content.text[: _fitting(content.text, maximum_bytes)])
        return Content(content.index, items=content.items[: _fitting(content.items, maximum_bytes)])

    @staticmethod
    def _reaches(piece: _Piece, begin: int) -> bool:
        return piece.index + len(piece.content) > begin


def _joined(first: str | tuple[Json, ...], second: str | tuple[Json, ...]) -> str | tuple[Json, ...]:
    if isinstance(first, str) or isinstance(second, str):  # both, as all of an output is of one kind
        return f"{first}{second}"
    return first + second


def _fitting(content: str | tuple[Json, ...], maximum_bytes: int) -> int:
    """
    How much of it fits, from its beginning; at least one.

    Written as JSON is all of it, then ever shorter pieces: no more than three times the content, whatever its length.
    """
    count, used, step = 0, len('""'), 1 << len(content).bit_length()
    while step and (piece := content[count : count + step]):
        size = len(json_dumps(piece)) - len('""') + (count > 0 and not isinstance(piece, str))  # with its comma
        if used + size <= maximum_bytes:
            count += len(piece)
            used += size
        step //= 2
    return max(1, count)
