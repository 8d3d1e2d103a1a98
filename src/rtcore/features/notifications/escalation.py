"""
Who is next in line for a notification that nobody reads.

The steps are times since it was sent, in order: unread after the first, it goes to the user of that step, and so on.
Each step raises the level by one, so that what has waited long looks so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.notifications.notification import Level, Notification, Place, Step

__all__ = ["Escalation", "check_steps", "holders", "next_step", "raised"]

_RAISED = {
    Level.INFO: Level.WARNING,
    Level.SUCCESS: Level.WARNING,
    Level.WARNING: Level.ERROR,
    Level.ERROR: Level.ERROR,
}


@frozen(kw_only=True)
class Escalation:
    """A step that is to be taken."""

    step: Step
    number: int
    """From 1."""
    due_at: float
    """Unix seconds."""


def check_steps(steps: Sequence[Step], user: str) -> None:
    """
    Raises:
        RequestError: If one comes no later than that before it, or somebody is in line twice.
    """
    seen, before = {user}, 0.0
    for index, step in enumerate(steps):
        if step.user in seen:
            fault = f"escalate[{index}].user"
            raise RequestError(ErrorCode.MALFORMED, f"{fault}: {step.user} is in line already", field=fault)
        if step.after <= before:
            fault = f"escalate[{index}].after"
            expected = f"more than the {before:g} seconds of the step before"
            raise RequestError(ErrorCode.MALFORMED, f"{fault}: expected {expected}, got {step.after:g}", field=fault)
        seen.add(step.user)
        before = step.after


def next_step(notification: Notification) -> Escalation | None:
    """The step that comes next; None where there are none left."""
    number = len(notification.copies)
    if number >= len(notification.steps):
        return None
    step = notification.steps[number]
    return Escalation(step=step, number=number + 1, due_at=notification.created_at + step.after)


def holders(notification: Notification) -> Iterable[tuple[Place, str]]:
    """Who has it by now, and under which id: whoever of these reads it ends the escalation."""
    yield notification.place, notification.id
    for step, id in zip(notification.steps, notification.copies, strict=False):  # the steps left have sent none yet
        yield Place(notification.place.workspace, step.user), id


def raised(level: Level) -> Level:
    """The next level."""
    return _RAISED[level]
