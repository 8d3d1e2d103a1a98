"""The pure state of work: life and progress."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcore.errors import LocalProtocolError
from rtcore.features.task_state import LifeState, Plan, ProgressState


def test_a_life_begins_once_and_ends_once() -> None:
    life = LifeState("task 'index'")
    with pytest.raises(LocalProtocolError, match="has not begun"):
        life.check_running()
    life.begin()
    life.check_running()
    with pytest.raises(LocalProtocolError, match="begun already"):
        life.begin()
    life.end()
    with pytest.raises(LocalProtocolError, match="task 'index' has ended"):
        life.end()


@pytest.mark.parametrize("value", [-0.1, 100.1, math.nan, math.inf, -math.inf, True, "40", None])
def test_progress_that_is_no_number_from_0_to_100_is_refused(value: float) -> None:
    state = ProgressState()
    with pytest.raises(LocalProtocolError, match="progress must be a number from 0 to 100"):
        state.update(value)
    assert state.value == 0


def test_a_lower_value_keeps_the_progress_and_takes_the_message() -> None:
    state = ProgressState()
    assert state.update(40, "4 of 10")
    assert state.update(30, "4 of 13")
    assert (state.value, state.message) == (40, "4 of 13")


def test_an_update_that_changes_nothing_is_nothing_to_tell() -> None:
    state = ProgressState()
    assert not state.update(0)
    assert state.update(40, "4 of 10")
    assert not state.update(40)
    assert not state.update(40, "4 of 10")
    assert not state.update(20)


@given(st.lists(st.floats(min_value=0, max_value=100)))
def test_progress_never_falls_and_is_the_largest_value_reported(values: list[float]) -> None:
    state = ProgressState()
    for value in values:
        before = state.value
        state.update(value)
        assert state.value >= before
    assert state.value == max(values, default=0)


def test_planned_parts_make_the_whole_by_their_weights() -> None:
    whole = ProgressState(Plan.of({"fetch": 1, "index": 3}))
    fetch, index = ProgressState(), ProgressState()
    assert whole.plan is not None
    whole.begin_part(fetch, whole.plan.weight_of("fetch"))
    fetch.update(50)
    assert whole.follow()
    assert whole.value == 12.5
    whole.end_part(fetch, completed=True)
    assert whole.value == 25
    whole.begin_part(index, whole.plan.weight_of("index"))
    whole.end_part(index, completed=True)
    assert whole.value == 100


def test_a_part_that_failed_keeps_the_share_that_it_had_reached() -> None:
    whole, part = ProgressState(Plan.of(2)), ProgressState()
    whole.begin_part(part, 1.0)
    part.update(40)
    whole.end_part(part, completed=False)
    assert whole.value == 20


def test_more_parts_than_planned_slow_the_whole_but_never_draw_it_back() -> None:
    whole = ProgressState(Plan.of(1))
    parts = [ProgressState() for _ in range(3)]
    for part in parts[:2]:
        whole.begin_part(part, 1.0)
    whole.end_part(parts[0], completed=True)
    assert whole.value == 50
    whole.begin_part(parts[2], 1.0)
    assert whole.value == 50


def test_without_a_plan_the_whole_never_shows_100_before_its_end() -> None:
    whole = ProgressState(Plan.of(None))
    for _ in range(5):
        part = ProgressState()
        whole.begin_part(part, 1.0)
        whole.end_part(part, completed=True)
    assert 80 < whole.value < 100


def test_ending_a_part_that_never_began_changes_nothing() -> None:
    whole = ProgressState(Plan.of(1))
    assert not whole.end_part(ProgressState(), completed=True)
    assert whole.value == 0


@pytest.mark.parametrize("plan", [0, -1, math.inf, math.nan, True, {"a": 0}, {"a": math.nan}])
def test_a_plan_needs_finite_numbers_over_0(plan: int | dict[str, float]) -> None:
    with pytest.raises(LocalProtocolError, match="finite number over 0"):
        Plan.of(plan)


@given(
    st.one_of(st.none(), st.integers(1, 5)),
    st.lists(st.tuples(st.floats(0.1, 10), st.lists(st.floats(0, 100), max_size=4), st.booleans()), max_size=8),
)
def test_the_whole_never_falls_whatever_its_parts_do(
    plan: int | None, parts: list[tuple[float, list[float], bool]]
) -> None:
    whole = ProgressState(Plan.of(plan))
    shown = [whole.value]
    for weight, reports, completed in parts:
        part = ProgressState()
        whole.begin_part(part, weight)
        shown.append(whole.value)
        for report in reports:
            part.update(report)
            whole.follow()
            shown.append(whole.value)
        whole.end_part(part, completed=completed)
        shown.append(whole.value)
    assert shown == sorted(shown)
    assert shown[-1] <= 100
