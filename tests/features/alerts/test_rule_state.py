"""Where a rule stands, moment by moment; time is a number here."""

from __future__ import annotations

import pytest
from attrs import evolve

from rtcore.features.alerts.rule_state import Change, Phase, RuleState, Timing, next_deadline, step

AT_ONCE = Timing()
TRIGGERED, RESOLVED, TOLD = Change.TRIGGERED, Change.RESOLVED, Change.TOLD


def run(
    timing: Timing, moments: list[tuple[float, bool | None]], state: RuleState | None = None
) -> list[Change | None]:
    """What each moment brought."""
    state = state or RuleState()
    changes = []
    for now, truth in moments:
        state, change = step(state, timing, truth, now)
        changes.append(change)
    return changes


@pytest.mark.parametrize(
    ("timing", "moments", "changes"),
    [
        pytest.param(AT_ONCE, [(0, False), (1, True), (2, True), (3, False), (4, True)],
                     [None, TRIGGERED, None, RESOLVED, TRIGGERED], id="one alert for as long as it holds"),
        pytest.param(AT_ONCE, [(0, True), (1, None), (2, True), (3, None), (4, False)],
                     [TRIGGERED, None, None, None, RESOLVED], id="unknown does not resolve"),
        pytest.param(AT_ONCE, [(0, None), (1, None)], [None, None], id="unknown does not fire"),
        pytest.param(Timing(hold=10), [(0, True), (9.9, True), (10, True)], [None, None, TRIGGERED],
                     id="only after it has held"),
        pytest.param(Timing(hold=10), [(0, True), (5, False), (6, True), (15, True), (16, True)],
                     [None, None, None, None, TRIGGERED], id="false in between begins anew"),
        pytest.param(Timing(hold=10), [(0, True), (5, None), (6, True), (15, True), (16, True)],
                     [None, None, None, None, TRIGGERED], id="unknown in between begins anew"),
        pytest.param(Timing(cooldown=60), [(0, True), (1, False), (2, True), (59, True), (60, True), (61, False)],
                     [TRIGGERED, RESOLVED, None, None, TRIGGERED, RESOLVED], id="next alert waits for the cooldown"),
        pytest.param(Timing(cooldown=60), [(0, True), (1, False), (2, True), (30, False), (70, True)],
                     [TRIGGERED, RESOLVED, None, None, TRIGGERED], id="what passes within the cooldown is not told"),
        pytest.param(Timing(hold=50, cooldown=60),
                     [(0, True), (50, True), (51, False), (100, True), (110, True), (150, True)],
                     [None, TRIGGERED, RESOLVED, None, None, TRIGGERED], id="both times must be over"),
    ],
)  # fmt: skip
def test_moments_bring_changes(
    timing: Timing, moments: list[tuple[float, bool | None]], changes: list[Change | None]
) -> None:
    assert run(timing, moments) == changes


def test_acknowledged_alert_resolves_like_any_other() -> None:
    state, _ = step(RuleState(), AT_ONCE, True, 0.0)
    state = evolve(state, phase=Phase.ACKNOWLEDGED)
    assert step(state, AT_ONCE, True, 1.0) == (state, None)
    assert step(state, AT_ONCE, False, 2.0)[1] is RESOLVED


def test_silence_keeps_an_alert_from_being_told_until_it_ends() -> None:
    silent = RuleState(silenced_until=10.0)
    state, change = step(silent, AT_ONCE, True, 5.0)
    assert (change, state.told, next_deadline(state, AT_ONCE)) == (TRIGGERED, False, 10.0)
    assert step(state, AT_ONCE, True, 9.9) == (state, None)
    state, change = step(state, AT_ONCE, None, 10.0)
    assert (change, state.told, next_deadline(state, AT_ONCE)) == (TOLD, True, None)


def test_alert_that_resolves_or_is_acknowledged_within_the_silence_is_never_told() -> None:
    state, _ = step(RuleState(silenced_until=10.0), AT_ONCE, True, 5.0)
    assert step(state, AT_ONCE, False, 6.0)[1] is RESOLVED
    seen = evolve(state, phase=Phase.ACKNOWLEDGED)
    assert step(seen, AT_ONCE, True, 11.0) == (seen, None)
    assert next_deadline(seen, AT_ONCE) is None


def test_deadline_is_when_the_holding_and_the_cooldown_are_over() -> None:
    timing = Timing(hold=10, cooldown=60)
    assert next_deadline(RuleState(), timing) is None
    pending, _ = step(RuleState(), timing, True, 100.0)
    assert next_deadline(pending, timing) == 110.0
    assert next_deadline(evolve(pending, triggered_at=90.0), timing) == 150.0
    firing, change = step(pending, timing, True, 110.0)
    assert (change, next_deadline(firing, timing)) == (TRIGGERED, None)
