"""An event as the hub holds it, with its wire forms: made once, whatever the number of views and connections."""

from __future__ import annotations

from collections.abc import Callable
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
    _frames: dict[Encoding, bytes] | None = None

    def frame(self, encoding: Encoding, make: Callable[[], bytes]) -> bytes:
        """The wire form in an encoding; `make` is called when it is asked for the first time."""
        if self._frames is None:
            self._frames = {}
        frame = self._frames.get(encoding)
        if frame is None:
            frame = self._frames[encoding] = make()
        return frame
