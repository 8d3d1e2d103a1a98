"""Figures of agents, activity, scaling, flows and correlations, and rates: times are arguments."""

from __future__ import annotations

import random
import statistics
from typing import Any

import pytest

from rtcore.features.metric_streams.activity_state import ActivityBoard
from rtcore.features.metric_streams.agent_state import RUNS_KEPT, AgentBoard, percentile
from rtcore.features.metric_streams.correlation_state import LEAST_ROUNDS, CorrelationBoard, correlation
from rtcore.features.metric_streams.flow_state import FlowBoard
from rtcore.features.metric_streams.rate_state import LatencyState, RateState
from rtcore.features.metric_streams.scaling_state import Component, ScalingBoard
from rtcore.hub.latency import LatencyHistogram, combine_latency
from rtcore.protocol.json_codec import json_dumps

# Agents


@pytest.mark.parametrize(
    ("values", "p50", "p95"),
    [([], None, None), ([7.0], 7.0, 7.0), ([1.0, 2.0], 1.0, 2.0), ([float(n) for n in range(1, 101)], 50.0, 95.0)],
)
def test_percentile_is_a_value_that_was_there(values: list[float], p50: float | None, p95: float | None) -> None:
    assert (percentile(values, 0.5), percentile(values, 0.95)) == (p50, p95)


def test_agents_are_measured_over_a_window() -> None:
    board = AgentBoard(10, 60.0)
    board.record("a", 0.0, 9.0, False)
    for second in range(30, 40):
        board.record("a", second, second / 10, second != 35)
    board.record("b", 41.0, 1.0, True)
    document = board.document(61.0)
    assert (document["agent_count"], document["agent_runs"], document["agent_success_rate"]) == (2, 11, 0.9091)
    agents = document["agents"]
    assert isinstance(agents, dict)
    assert list(agents) == ["b", "a"], "the most recent first"
    assert agents["a"] == {
        "runs": 10,
        "runs_per_minute": 10.0,
        "success_rate": 0.9,
        "p50_seconds": 3.4,
        "p95_seconds": 3.9,
        "total": 11,
        "failed": 2,
    }
    later = board.document(1000.0)
    assert (later["agent_runs"], later["agent_success_rate"]) == (0, None)
    assert isinstance(later["agents"], dict)
    assert later["agents"]["a"]["total"] == 11


def test_busy_agents_and_crowds_of_agents_are_bounded() -> None:
    """The rate of one whose oldest runs were let go is that of the runs that are left."""
    board = AgentBoard(3, 300.0)
    for run in range(RUNS_KEPT * 3):
        board.record("busy", run / 100, 0.01, True)
    agents = board.document(RUNS_KEPT * 3 / 100)["agents"]
    assert isinstance(agents, dict)
    assert agents["busy"]["runs"] == RUNS_KEPT
    assert 5990 < agents["busy"]["runs_per_minute"] < 6010
    for number in range(1000):
        board.record(f"a{number}", 100.0, 1.0, True)
    assert board.document(100.0)["agent_count"] == 3


def test_random_runs_agree_with_all_runs_counted_up() -> None:
    """Nothing is counted up or sorted for a sample, so what is kept along must be the same."""
    for seed in range(60):
        dice = random.Random(seed)
        board, runs, now = AgentBoard(5, 60.0), list[tuple[float, float, bool]](), 0.0
        for _ in range(dice.choice([3, 50, 2500])):
            now += dice.choice([0.0, 0.01, 0.2, 70.0 if dice.random() < 0.01 else 0.1])
            run = (now, dice.choice([0.5, dice.random()]), dice.random() < 0.8)
            runs.append(run)
            board.record("a", *run)
            if dice.random() < 0.02:
                now += dice.choice([0.0, 30.0])
                _check(board.document(now), runs, now)
        _check(board.document(now), runs, now)


def _check(document: Any, runs: list[tuple[float, float, bool]], now: float) -> None:
    counted = [run for run in runs[-RUNS_KEPT:] if run[0] > now - 60.0]
    durations, succeeded = sorted(duration for _, duration, _ in counted), sum(success for *_, success in counted)
    agent = document["agents"]["a"]
    rate = round(succeeded / len(counted), 4) if counted else None
    assert (document["agent_runs"], document["agent_success_rate"]) == (len(counted), rate)
    assert (agent["runs"], agent["success_rate"]) == (len(counted), rate)
    assert (agent["p50_seconds"], agent["p95_seconds"]) == (percentile(durations, 0.5), percentile(durations, 0.95))
    assert (agent["total"], agent["failed"]) == (len(runs), sum(not success for *_, success in runs))


class Compared(float):
    """Counts how often durations are compared."""

    times = 0

    def __lt__(self, other: float) -> bool:
        Compared.times += 1
        return super().__lt__(other)


def test_sample_of_many_agents_sorts_nothing() -> None:
    """A thousand agents with a thousand runs each are sampled on the thread that everybody waits for."""
    board, dice = AgentBoard(150, 300.0), random.Random(1)
    for run in range(200):
        for agent in range(150):
            board.record(f"a{agent}", run / 10, Compared(dice.random()), True)
    Compared.times = 0
    document: Any = board.document(20.0)
    assert (document["agent_count"], document["agent_runs"], len(document["agents"])) == (150, 30_000, 100)
    assert Compared.times == 0


# Activity


def test_users_are_counted_once_in_each_window() -> None:
    board = ActivityBoard(100)
    for user, when in (("a", 0.0), ("b", 80_000.0), ("c", 86_000.0), ("c", 86_390.0), ("d", 86_399.0), ("d", 86_399.5)):
        board.record(user, when)
    assert board.document(86_399.9) == {
        "active_5m": 2,
        "active_1h": 2,
        "active_24h": 4,
        "actions_per_minute": 3,
        "actions_total": 6,
        "complete": True,
    }
    assert board.document(86_400.0)["active_24h"] == 3
    assert board.document(200_000.0) | {"actions_total": 0} == {
        "active_5m": 0,
        "active_1h": 0,
        "active_24h": 0,
        "actions_per_minute": 0,
        "actions_total": 0,
        "complete": True,
    }


def test_a_crowd_is_bounded_and_says_so() -> None:
    """Counts are then of those who are remembered, until a day has passed."""
    board = ActivityBoard(10)
    for number in range(50):
        board.record(f"u{number}", float(number))
    document = board.document(50.0)
    assert (document["active_24h"], document["actions_per_minute"], document["complete"]) == (10, 50, False)
    assert board.document(86_440.0)["complete"]


# Scaling


def component(current: int, desired: int, maximum: int | None = None) -> Component:
    return Component(current=current, desired=desired, minimum=None, maximum=maximum, reason=None, changed_at=0.0)


def test_scaling_says_which_way_it_goes() -> None:
    board = ScalingBoard(2)
    board.report("forgotten", component(1, 1))
    board.report("web", component(3, 5, 10))
    board.report("jobs", component(2, 1))
    document = board.document()
    assert (document["component_count"], document["scaling_count"]) == (2, 2)
    components = document["components"]
    assert isinstance(components, dict)
    assert {name: each["status"] for name, each in components.items()} == {"web": "scaling_up", "jobs": "scaling_down"}
    assert (components["web"]["utilization"], components["jobs"]["utilization"]) == (0.3, None)
    assert components["web"]["changed_at"] == "1970-01-01T00:00:00.000Z"
    board.report("web", component(5, 5))
    assert board.document()["scaling_count"] == 1


# Flows


def test_flows_are_counted_from_what_is_published_of_them() -> None:
    board = FlowBoard(10)
    task = {"task_id": "t", "name": "index"}
    board.take("workflow.progress", {"workflow_id": "w1", "name": "nightly", "progress": 0, "current_task": None}, 1.0)
    board.take("workflow.progress", {"workflow_id": "w2", "name": "weekly", "progress": 10, "current_task": task}, 2.0)
    board.take("workflow.completed", {"workflow_id": "w1", "duration": 4.0}, 5.0)
    board.take("workflow.failed", {"workflow_id": "w0", "duration": 2.0}, 5.0)
    board.take("dropped", {"count": 7, "types": {"workflow.progress": 7}}, 5.0)
    for odd in (None, [], "text", {"workflow_id": 1}, {"workflow_id": "w3"}):
        board.take("workflow.else", odd, 6.0)
    assert board.document() == {
        "flows_running": 1,
        "flows_completed": 1,
        "flows_failed": 1,
        "flows_missed": 7,
        "flow_success_rate": 0.5,
        "flow_mean_seconds": 3.0,
        "flows": [
            {
                "workflow_id": "w2",
                "name": "weekly",
                "progress": 10,
                "current_task": "index",
                "started_at": "1970-01-01T00:00:02.000Z",
            }
        ],
    }


@pytest.mark.parametrize("dropped", [{"count": 7, "types": {"workflow.completed": 1, "x": 6}}, {"count": 7}])
def test_flow_whose_end_may_have_been_missed_does_not_run_for_ever(dropped: Any) -> None:
    board = FlowBoard(10)
    for name in ("w1", "w2"):
        board.take("workflow.progress", {"workflow_id": name, "name": name}, 1.0)
    board.take("dropped", dropped, 2.0)
    board.take("workflow.progress", {"workflow_id": "w2", "name": "w2"}, 3.0)
    document: Any = board.document()
    assert (document["flows_missed"], [flow["workflow_id"] for flow in document["flows"]]) == (7, ["w2"])


def test_flows_that_never_end_are_bounded() -> None:
    board = FlowBoard(5)
    for number in range(100):
        board.take("workflow.progress", {"workflow_id": f"w{number}", "name": "lost"}, 1.0)
    assert board.document()["flows_running"] == 5


def test_flow_of_a_stranger_harms_no_sample() -> None:
    """Whoever publishes on `workflows` must not be able to make the sample too large, or no JSON, for everybody."""
    board = FlowBoard(1000)
    long = "x\ud800" * 300_000
    progress = {"name": long, "progress": long, "current_task": {"name": long}}
    for number in range(100):
        board.take("workflow.progress", {"workflow_id": f"{number}{long}", **progress}, 1.0)
    odd: dict[str, Any] = {"workflow_id": "w", "name": 5, "progress": True, "current_task": {"name": {}}}
    board.take("workflow.progress", odd, 1.0)
    for duration in (1e308, 1e308, 10**400, -1.0, True, long):
        board.take("workflow.completed", {"workflow_id": "gone", "duration": duration}, 1.0)
    board.take("dropped", {"count": 2**64}, 1.0)
    document: Any = board.document()
    assert len(json_dumps(document)) < 100_000
    assert document["flow_mean_seconds"] is None
    assert document["flows_missed"] == 0
    assert document["flows"][0] == {
        "workflow_id": "w",
        "name": "w",
        "progress": None,
        "current_task": None,
        "started_at": "1970-01-01T00:00:01.000Z",
    }
    assert document["flows"][1]["progress"] is None


# Correlations


def test_correlation_agrees_with_the_standard_library() -> None:
    """Seeded, so that it fails again where it failed."""
    chance = random.Random(7)
    for _ in range(200):
        count = chance.randint(2, 120)
        xs = [chance.uniform(-1e6, 1e6) for _ in range(count)]
        ys = [x * chance.choice([-3, 0.001, 5]) + chance.uniform(-1e6, 1e6) for x in xs]
        found = correlation(xs, ys)
        assert found is not None
        assert abs(found - statistics.correlation(xs, ys)) < 1e-9


@pytest.mark.parametrize("values", [[0.1] * 10, [0.0] * 10, [1e300, -1e300] * 5])
def test_what_does_not_move_or_cannot_be_told_correlates_with_nothing(values: list[float]) -> None:
    assert correlation(values, [float(n) for n in range(10)]) is None


def test_pairs_come_by_their_strength_and_not_of_too_little() -> None:
    board, all_of_them = CorrelationBoard(), {"a", "b", "c", "still"}
    for n in range(LEAST_ROUNDS - 1):
        board.take({"a": n, "b": -n})
    assert board.document(all_of_them) == {
        "rounds": LEAST_ROUNDS - 1, "figure_count": 2, "strongest": None, "correlations": []
    }  # fmt: skip
    for n in range(200):
        board.take({"a": n, "b": -n, "c": n % 7, "still": 1.0} if n % 2 else {"a": n, "b": -n})
    document = board.document(all_of_them)
    assert (document["rounds"], document["strongest"]) == (120, 1.0)
    correlations = document["correlations"]
    assert isinstance(correlations, list)
    assert correlations[0] == {"a": "a", "b": "b", "correlation": -1.0, "rounds": 120}
    assert {(pair["a"], pair["b"]) for pair in correlations} == {("a", "b"), ("a", "c"), ("b", "c")}  # type: ignore[index, call-overload]


# Rates


def test_rates_are_of_the_time_since_the_last_look() -> None:
    rates = RateState()
    assert rates.advance({"a": 100}, 0.0) == {"a": 0.0}
    assert rates.advance({"a": 110, "new": 5}, 4.0) == {"a": 2.5, "new": 0.0}
    assert rates.advance({"a": 50, "new": 5}, 8.0) == {"a": 0.0, "new": 0.0}, "a server that left took its count along"
    assert rates.advance({"a": 52}, 8.0) == {"a": 0.0}


def test_latency_is_of_the_deliveries_since_the_last_look() -> None:
    """An hour of good deliveries must not hide a bad minute."""
    histogram, state = LatencyHistogram(), LatencyState()
    histogram.observe("a", 0.0004, 1_000_000)
    state.advance(combine_latency(histogram.snapshot()))
    histogram.observe("a", 3.0, 10)
    found = state.advance(combine_latency(histogram.snapshot()))
    assert (found.count, round(found.seconds, 6)) == (10, 30.0)
    quantile = found.quantile(0.5)
    assert quantile is not None
    assert 2.5 < quantile <= 5
    assert state.advance(combine_latency(histogram.snapshot())).quantile(0.5) is None
