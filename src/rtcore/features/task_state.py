"""
Pure state of work in progress: it begins once, its progress never falls, it ends once.

The rules of progress:
- It is a finite number from 0 to 100. Anything else is the caller's mistake and is refused.
- A value below the present one leaves progress where it is; the message that came with it still counts. Work that
  turns out to be more than was thought slows a bar down, but never draws it backwards.
- An update that changes neither progress nor message is nothing to tell anybody.

With a plan, progress also follows from the parts: the weighted mean over all parts planned, begun or not. A part that
failed keeps the share it had reached. A plan that does not know how many parts there will be always expects one more,
so that it never shows 100 before the end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from types import MappingProxyType

from attrs import Factory, define, field, frozen

from rtcore.errors import LocalProtocolError

__all__ = ["LifeState", "Plan", "ProgressState", "check_weight"]


@define(eq=False)
class LifeState:
    """Something that begins once and ends once."""

    label: str
    """What it is, for messages, such as `task 'index'`."""
    begun: bool = field(init=False, default=False)
    ended: bool = field(init=False, default=False)

    def begin(self) -> None:
        """Begin; a second time raises `LocalProtocolError`."""
        if self.begun:
            raise LocalProtocolError(f"{self.label} has begun already: a scope is entered once")
        self.begun = True

    def end(self) -> None:
        """End; a second time raises `LocalProtocolError`."""
        self.check_running()
        self.ended = True

    def check_running(self) -> None:
        """Raise `LocalProtocolError` before the beginning and after the end."""
        if not self.begun:
            raise LocalProtocolError(f"{self.label} has not begun: enter it with `async with`")
        if self.ended:
            raise LocalProtocolError(f"{self.label} has ended")


@frozen
class Plan:
    """What the parts of some work weigh."""

    total: float | None
    """Weight of all parts; None: unknown."""
    weights: Mapping[str, float] = field(default=MappingProxyType({}))
    """Weight of the parts known by name; 1 for any other."""

    @classmethod
    def of(cls, plan: int | Mapping[str, float] | None) -> Plan:
        """
        Read a plan as callers give it: a number of equal parts, weights by name, or None for an unknown number.

        Raises:
            LocalProtocolError: If a number or weight is not finite and over 0.
        """
        if plan is None:
            return cls(None)
        if isinstance(plan, Mapping):
            weights = {name: check_weight(weight) for name, weight in plan.items()}
            return cls(math.fsum(weights.values()), MappingProxyType(weights))
        return cls(check_weight(plan))

    def weight_of(self, name: str) -> float:
        """Weight of a part."""
        return self.weights.get(name, 1.0)


def check_weight(weight: float) -> float:
    """Return the weight if it is finite and over 0; raise `LocalProtocolError` if not."""
    if isinstance(weight, bool) or not isinstance(weight, Real) or not 0 < weight < math.inf:
        raise LocalProtocolError(f"weight or number of parts must be a finite number over 0, not {weight!r}")
    return float(weight)


@define(eq=False)
class ProgressState:
    """How far some work is: as far as it says, or as far as its parts are, whichever is more."""

    plan: Plan | None = None
    """None: progress is only what `update` says."""
    value: float = field(init=False, default=0)
    """0 to 100; never falls."""
    message: str | None = field(init=False, default=None)
    begun: int = field(init=False, default=0)
    """Parts begun so far."""
    _live: dict[ProgressState, float] = field(init=False, default=Factory(dict))
    _begun_weight: float = field(init=False, default=0.0)
    _settled: float = field(init=False, default=0.0)
    """Sum over the parts that have ended of weight times progress."""

    def update(self, progress: float, message: str | None = None) -> bool:
        """
        Take a report; True when it says something new. A message of None leaves the message as it is.

        Raises:
            LocalProtocolError: If `progress` is not a finite number from 0 to 100.
        """
        number = _check_progress(progress)
        told = message is not None and message != self.message
        if told:
            self.message = message
        if number <= self.value:
            return told
        self.value = number
        return True

    def begin_part(self, part: ProgressState, weight: float) -> bool:
        """Add a part that begins now; True when that changes the progress."""
        self._live[part] = weight
        self._begun_weight += weight
        self.begun += 1
        return self.follow()

    def end_part(self, part: ProgressState, *, completed: bool) -> bool:
        """A part has ended; True when that changes the progress."""
        weight = self._live.pop(part, None)
        if weight is None:  # its beginning could not be published, and so never came here
            return False
        self._settled += weight * (100 if completed else part.value)
        return self.follow()

    def follow(self) -> bool:
        """Take the progress of the parts over; True when that changes this one's."""
        if self.plan is None:
            return False
        expected = self._begun_weight + 1.0 if self.plan.total is None else max(self.plan.total, self._begun_weight)
        reached = self._settled + math.fsum(weight * part.value for part, weight in self._live.items())
        # Two decimals: finer than any bar, and sums of fractions come out as the round numbers that they mean.
        value = min(round(reached / expected, 2), 100.0)
        if value <= self.value:
            return False
        self.value = value
        return True


def _check_progress(progress: float) -> float:
    if isinstance(progress, bool) or not isinstance(progress, Real) or not 0 <= progress <= 100:
        raise LocalProtocolError(f"progress must be a number from 0 to 100, not {progress!r}")
    return int(progress) if isinstance(progress, int) else float(progress)
