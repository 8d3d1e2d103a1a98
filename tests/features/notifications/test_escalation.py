"""Who is next in line, when, and who has it by now."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from rtcore.errors import RequestError
from rtcore.features.notifications.escalation import check_steps, holders, next_step, raised
from rtcore.features.notifications.notification import Level, Notification, Place, Step

STEPS = (Step(user="bob", after=300.0), Step(user="carol", after=600.0))
SENT = Notification(
    id="1",
    place=Place("acme", "ann"),
    kind="alert",
    level=Level.INFO,
    title="t",
    created_at=1000.0,
    ends_at=9e9,
    steps=STEPS,
)


def test_steps_follow_each_other_at_times_since_it_was_sent() -> None:
    first = next_step(SENT)
    assert first is not None
    assert (first.step.user, first.number, first.due_at) == ("bob", 1, 1300.0)
    second = next_step(evolve(SENT, copies=("2",)))
    assert second is not None
    assert (second.step.user, second.number, second.due_at) == ("carol", 2, 1600.0)
    assert next_step(evolve(SENT, copies=("2", "3"))) is None


def test_everybody_who_has_it_can_end_it() -> None:
    assert list(holders(evolve(SENT, copies=("2",)))) == [(Place("acme", "ann"), "1"), (Place("acme", "bob"), "2")]


def test_level_rises_to_error_and_no_further() -> None:
    assert [raised(level) for level in Level] == [Level.WARNING, Level.WARNING, Level.ERROR, Level.ERROR]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([("ann", 5)], "escalate[0].user: ann is in line already"),
        ([("bob", 5), ("bob", 6)], "escalate[1].user: bob is in line already"),
        ([("bob", 5), ("carol", 5)], "escalate[1].after: expected more than the 5 seconds of the step before, got 5"),
    ],
)
def test_steps_that_lead_nowhere_are_refused(steps: Any, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_steps([Step(user=user, after=after) for user, after in steps], "ann")
    assert caught.value.message == message
