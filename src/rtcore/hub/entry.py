"""An event as the hub holds it, with its wire forms: made once, whatever the number of views and connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

from rtcore.values.events import Event

if TYPE_CHECKING:  # only named here; the view that asks has it
    from rtcore.hub.encoding import Encoding

__all__ = ["Entry"]


@define(eq=False)
class Entry:
    """
    An event in a log, shared by all views that it passes.

    A frame depends on the event and the encoding alone, not on the filter: a hundred filters on one channel cost a
    hundred references, not a hundred copies of its history.
    """

    event: Event
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
