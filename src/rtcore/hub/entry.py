"""An event as the hub holds it, with its wire forms: made once, whatever the number of views and connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import define

from rtcore.values.events import Event

if TYPE_CHECKING:  # only named here; the view that asks has it
    from rtcore.hub.encoding import Encoding

__all__ = ["EVENT_MEMORY", "Entry", "memory_of"]

EVENT_MEMORY: Final = 600
"""Bytes that an event takes beside its text and its data: the event, its entry, its place in the ring."""
_VALUE_MEMORY: Final = 64
"""What a value in an array or object takes, or an array: the object and the pointer to it. Measured: 28 to 73."""
_OBJECT_MEMORY: Final = 120
"""What an object takes beside a value: its table. Measured: 64 in all where it is empty, 184 with a field."""


def memory_of(body: bytes) -> int:
    """
    About how much memory an event of this text takes, in bytes.

    Its values are counted by their punctuation. Where texts in it are full of that, it is too much, up to thirty times.
    """
    values = body.count(b",") + body.count(b"[")
    # The data has the texts in it once more.
    return EVENT_MEMORY + 2 * len(body) + values * _VALUE_MEMORY + body.count(b"{") * _OBJECT_MEMORY


@define(eq=False)
class Entry:
    """
    An event in a log, shared by all views that it passes.

    A frame depends on the event and the encoding alone, not on the filter: a hundred filters on one channel cost a
    hundred references, not a hundred copies of its history.
    """

    event: Event
    memory: int = 0
    """Bytes that it takes, as estimated when it was published."""
    # The first form by itself: most events are never asked for another, and a dictionary is 200 bytes.
    _encoding: Encoding | None = None
    _frame: bytes = b""
    _others: dict[Encoding, bytes] | None = None

    def frame(self, encoding: Encoding) -> bytes:
        """The wire form in an encoding; made when it is asked for the first time."""
        if self._encoding is encoding:
            return self._frame
        if self._encoding is None:
            self._frame = encoding.wire(encoding.text(self.event))
            self._encoding = encoding
            return self._frame
        if self._others is None:
            self._others = {}
        frame = self._others.get(encoding)
        if frame is None:
            frame = self._others[encoding] = encoding.wire(encoding.text(self.event))
        return frame
