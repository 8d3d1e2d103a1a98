"""The samples of one field over the longest window that some rule looks back over."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from attrs import define, field

__all__ = ["SampleWindow", "WindowView"]

_LEAST_TO_SHIFT = 64  # samples; shifting a list is one move of memory, not worth it for fewer


@define(eq=False)
class WindowView:
    """Samples of a window, oldest first."""

    times: Sequence[float]
    values: Sequence[float]
    _ordered: Sequence[float] | None = None

    def ordered(self) -> Sequence[float]:
        """The values in order of size; they are sorted once, however many ask."""
        if self._ordered is None:
            self._ordered = sorted(self.values)
        return self._ordered


@define(eq=False)
class SampleWindow:
    """
    A bounded history of one numeric field.

    What has grown too old, or is too much, is passed over at once and taken out of memory in one move when it is as
    much as the rest; so a sample costs the same, however many there are.
    """

    most: int
    """Most samples kept; at least 2."""
    seconds: float
    """How long a sample is kept; may be changed."""
    shortened: bool = field(init=False, default=False)
    """Whether samples that were young enough had to go for newer ones."""
    _times: list[float] = field(init=False, factory=list)
    _values: list[float] = field(init=False, factory=list)
    _first: int = field(init=False, default=0)

    def __len__(self) -> int:
        return len(self._times) - self._first

    def append(self, time: float, value: float) -> None:
        """Add the newest sample; `time` never goes back."""
        self._times.append(time)
        self._values.append(value)
        self._first = bisect_left(self._times, time - self.seconds, self._first)
        self.shortened = len(self) > self.most
        if self.shortened:
            self._first = len(self._times) - self.most
        if self._first >= max(_LEAST_TO_SHIFT, len(self)):
            del self._times[: self._first]
            del self._values[: self._first]
            self._first = 0

    def view(self, now: float, seconds: float) -> WindowView:
        """The samples not older than so many seconds."""
        first = bisect_left(self._times, now - seconds, self._first)
        return WindowView(self._times[first:], self._values[first:])
