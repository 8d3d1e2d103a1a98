"""
Where a rule stands, and what a moment makes of that. Pure: the time is an argument, in seconds on any steady clock.

    quiet --true--> pending --true for long enough, and the cooldown over--> firing --> acknowledged
      ^                |                                                        |             |
      +--not true------+                 +------------ false -------------------+-------------+

- Pending ends as soon as the condition is not true, unknown included: "for 5 minutes" means all of them.
- Firing ends only when it is known to be false: an alert is not resolved by data that stopped coming.
- The cooldown runs from one trigger to the next. A condition that is true again before it is over waits for its end.
- A silence lets the alert come but keeps it from being told. One that is still firing when the silence ends, and that
  nobody has acknowledged, is told then.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import evolve, frozen

__all__ = ["Change", "Phase", "RuleState", "Timing", "next_deadline", "step"]


class Phase(StrEnum):
    """Where a rule stands."""

    QUIET = "quiet"
    PENDING = "pending"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"


class Change(StrEnum):
    """What a moment brought."""

    TRIGGERED = "triggered"
    TOLD = "told"
    """The silence over an alert has ended, and it is still firing."""
    RESOLVED = "resolved"


@frozen(kw_only=True)
class Timing:
    """The times of a rule, in seconds."""

    hold: float = 0.0
    """How long the condition must be true before the rule fires."""
    cooldown: float = 0.0
    """Least time from one trigger to the next."""


@frozen(kw_only=True)
class RuleState:
    """Where a rule stands."""

    phase: Phase = Phase.QUIET
    true_since: float | None = None
    """Pending: since when the condition has been true without a break."""
    triggered_at: float | None = None
    """The last trigger, also after it was resolved."""
    silenced_until: float | None = None
    told: bool = True
    """Whether the alert was told, or is not to be; False: a silence holds it back."""

    @property
    def active(self) -> bool:
        """Whether there is an alert."""
        return self.phase in (Phase.FIRING, Phase.ACKNOWLEDGED)

    def silenced(self, now: float) -> bool:
        """Whether a silence lasts."""
        return self.silenced_until is not None and now < self.silenced_until


def step(state: RuleState, timing: Timing, truth: bool | None, now: float) -> tuple[RuleState, Change | None]:
    """
    What becomes of a rule whose condition says `truth` now.

    Args:
        state: Where it stood.
        timing: Its times.
        truth: None: unknown.
        now: Not before any time in the state.
    """
    if state.active:
        return _step_active(state, truth, now)
    if truth is not True:  # nearly always quiet already: then nothing is made
        return state if state.phase is Phase.QUIET else evolve(state, phase=Phase.QUIET, true_since=None), None
    since = now if state.true_since is None else state.true_since
    if now < _trigger_time(state, timing, since):
        return evolve(state, phase=Phase.PENDING, true_since=since), None
    told = not state.silenced(now)
    return evolve(state, phase=Phase.FIRING, true_since=None, triggered_at=now, told=told), Change.TRIGGERED


def _step_active(state: RuleState, truth: bool | None, now: float) -> tuple[RuleState, Change | None]:
    if truth is False:
        return evolve(state, phase=Phase.QUIET, true_since=None), Change.RESOLVED
    if state.phase is Phase.FIRING and not state.told and not state.silenced(now):
        return evolve(state, told=True), Change.TOLD
    return state, None


def _trigger_time(state: RuleState, timing: Timing, since: float) -> float:
    held = since + timing.hold
    return held if state.triggered_at is None else max(held, state.triggered_at + timing.cooldown)


def next_deadline(state: RuleState, timing: Timing) -> float | None:
    """When to ask again although nothing came; None: not before something does."""
    if state.phase is Phase.PENDING and state.true_since is not None:
        return _trigger_time(state, timing, state.true_since)
    if state.phase is Phase.FIRING and not state.told:
        return state.silenced_until
    return None
