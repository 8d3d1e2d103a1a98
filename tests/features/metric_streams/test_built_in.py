"""The streams that every hub has show what happens on it."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from rtcore.features.metric_streams.correlation_state import MOST_FIGURES
from rtcore.hub.hub import Hub
from rtcore.server.settings import Settings
from rtcore.testing import open_test_hub, open_test_server
from rtcore.values.positions import LastEvents


async def first_of(hub: Any, stream: str) -> dict[str, Any]:
    """The next sample of a stream, not the newest that there is; somebody watches as long."""
    with trio.fail_after(60):
        async with hub.subscribe(f"streams:{stream}", since=LastEvents(0)) as events:
            event = await anext(events)
    assert event.type == "stream_update"
    data = event.data["data"]
    assert isinstance(data, dict)
    return data


async def test_one_look_at_the_machine_serves_its_four_streams(autojump_clock: Any, still_machine: Any) -> None:
    """As shares too, which is what conditions such as `cpu_utilization > 0.8` are about."""
    async with open_test_hub() as hub:
        still_machine(hub)
        found = {name: await first_of(hub, name) for name in ("cpu", "memory", "disk", "network")}
        assert found["cpu"] == {
            "cpu_utilization": 0.425,
            "cpu_percent": 42.5,
            "cpu_count": 2,
            "load_average": [0.1, 0.2, 0.3],
            "process_cpu_percent": 1.0,
            "process_threads": 1,
        }
        assert (found["memory"]["memory_utilization"], found["memory"]["process_memory_bytes"]) == (0.25, 7)
        assert (found["disk"]["disk_utilization"], found["disk"]["disk_write_bytes_per_second"]) == (0.9, 1.5)
        assert (found["network"]["network_sent_bytes"], found["network"]["network_errors"]) == (6, 0)


async def test_the_machine_is_looked_at_by_psutil() -> None:
    """On the real clock, since its threads know no other."""
    async with open_test_hub() as hub:
        memory = await first_of(hub, "memory")
        assert 0 < memory["memory_utilization"] <= 1
        assert memory["memory_total_bytes"] > memory["memory_used_bytes"] > 0


async def test_performance_is_that_of_the_last_interval(autojump_clock: Any) -> None:
    async with (
        open_test_hub() as hub,
        hub.subscribe("c") as sink,
        hub.subscribe("streams:performance_metrics") as events,
    ):
        first = (await anext(events)).data["data"]
        assert (first["throughput"], first["latency_p95_ms"], first["error_rate"]) == (0.0, None, 0.0)
        for _ in range(50):
            hub.publish("c", "t", 1)
            await anext(sink)
        second = (await anext(events)).data["data"]
        assert second["published_per_second"] == 10.2, "fifty events, and the first sample, in 5 s"
        assert second["throughput"] == 10.2
        assert second["latency_p50_ms"] <= second["latency_p95_ms"] <= 0.5
        assert second["error_rate"] == 0.0
        third = (await anext(events)).data["data"]
        assert third["throughput"] == 0.2


async def test_events_that_slow_subscribers_lose_are_errors(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.subscribe("streams:performance_metrics") as events:
        await anext(events)
        async with hub.subscribe("c", lag_events=10):
            for _ in range(31):
                hub.publish("c", "t", 1)
            sample = (await anext(events)).data["data"]
        assert sample["errors_per_second"] == pytest.approx(21 / 5)
        assert sample["error_rate"] > 0.9
        delivery = await first_of(hub, "delivery")
        assert (delivery["dropped"], delivery["published"]) == (21, 33)


async def test_websocket_figures_are_of_all_servers_over_the_hub(autojump_clock: Any) -> None:
    """One for the application and one for dashboards, say; a server that has ended counts no more."""
    async with open_test_hub() as hub, open_test_server(hub=hub) as one:
        async with open_test_server(Settings(), hub=hub) as other:
            for server in (one, other, other):
                client = await server.connect()
                await client.request("subscribe", {"channels": ["c"]})
            hub.publish("c", "t", 1)
            await client.expect("t")
            found = await first_of(hub, "websocket")
            assert (found["servers"], found["connections"], found["connections_maximum"]) == (2, 3, 2000)
            assert (found["messages_received"], found["connection_utilization"]) == (3, 0.0015)
            assert found["messages_sent"] == 9, "three greetings, three replies, three deliveries"
        await trio.sleep(10)
        found = await first_of(hub, "websocket")
        assert (found["servers"], found["connections"]) == (1, 1)


async def test_server_over_a_hub_without_streams_has_no_share_in_them(autojump_clock: Any) -> None:
    hub = Hub()
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        async with open_test_server(hub=hub) as server:
            client = await server.connect("/ws/metrics")
            assert (await client.expect("subscribed"))["data"]["channels"]["streams"]["recovered"] is None
        nursery.cancel_scope.cancel()


async def test_agents_are_measured(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        agent = hub.metrics.agent("a1")
        agent.record(duration=2.0)
        with agent.measure():
            await trio.sleep(4)
        with pytest.raises(OSError, match="by design"), agent.measure():
            raise OSError("by design")
        with trio.move_on_after(1), agent.measure():
            await trio.sleep(4)
        found = (await first_of(hub, "agent_performance"))["agents"]["a1"]
        assert (found["runs"], found["failed"], found["p50_seconds"], found["p95_seconds"]) == (3, 1, 2.0, 4.0)
        for wrong in (-1, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="duration: expected a finite number"):
                agent.record(duration=wrong)
        with pytest.raises(ValueError, match="agent: expected 1 to 64 characters, got 0"):
            hub.metrics.agent("")


async def test_costs_and_activity_are_told(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        hub.metrics.cost.add(0.25, category="model")
        hub.metrics.cost.add(1, currency="EUR")
        hub.metrics.activity.record("u1")
        hub.metrics.activity.record("u1")
        cost, activity = await first_of(hub, "cost"), await first_of(hub, "user_activity")
        assert (cost["currency"], cost["cost_today"], cost["by_category"]) == ("USD", 0.25, {"model": 0.25})
        assert cost["others"]["EUR"]["by_category"] == {"other": 1.0}
        assert (activity["active_5m"], activity["actions_per_minute"]) == (1, 2)
        with pytest.raises(ValueError, match="category: expected 1 to 64 characters, got 65"):
            hub.metrics.cost.add(1, category="x" * 65)


async def test_scaling_is_told_when_it_changes(autojump_clock: Any) -> None:
    async with open_test_hub() as hub, hub.subscribe("streams:scaling_status") as events:
        hub.metrics.scaling.report("workers", current=3, desired=5, maximum=10, reason="queue is long")
        sample = (await anext(events)).data["data"]
        assert sample["components"]["workers"]["status"] == "scaling_up"
        hub.metrics.scaling.report("workers", current=5)
        assert (await anext(events)).data["data"]["scaling_count"] == 0


async def test_flows_are_those_of_the_hub_also_from_before_somebody_watched(autojump_clock: Any) -> None:
    """Each counts once, over all the times that somebody watches."""
    async with open_test_hub() as hub:
        async with hub.workflow("nightly"):
            pass
        async with hub.workflow("weekly", workflow_id="w2") as workflow, workflow.task("index"):
            found = await first_of(hub, "flow_executions")
            assert (found["flows_running"], found["flows_completed"]) == (1, 1)
            assert [(flow["workflow_id"], flow["current_task"]) for flow in found["flows"]] == [("w2", "index")]
        await trio.sleep(5)
        found = await first_of(hub, "flow_executions")
        assert (found["flows_running"], found["flows_completed"], found["flow_success_rate"]) == (0, 2, 1.0)


async def test_flow_that_ends_while_nobody_watches_is_no_ghost(autojump_clock: Any) -> None:
    """Its end has left the history by the time that somebody watches again: that is said, and it runs no more."""
    async with open_test_hub() as hub:

        def tell(type: str, name: str) -> None:
            hub.publish("workflows", f"workflow.{type}", {"workflow_id": name, "name": name, "duration": 3})

        tell("progress", "w1")
        assert (await first_of(hub, "flow_executions"))["flows_running"] == 1
        tell("completed", "w1")
        for _ in range(150):
            tell("progress", "w2")
        await trio.sleep(20)
        found = await first_of(hub, "flow_executions")
        assert ([flow["workflow_id"] for flow in found["flows"]], found["flows_missed"]) == (["w2"], 51)
        await trio.sleep(20)
        assert (await first_of(hub, "flow_executions"))["flows_missed"] == 51, "each counts once"


async def test_what_was_gone_before_anybody_watched_is_counted_as_missed(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        for _ in range(130):
            hub.publish("workflows", "workflow.completed", {"workflow_id": "w", "duration": 3})
        found = await first_of(hub, "flow_executions")
        assert (found["flows_completed"], found["flows_missed"]) == (100, 30)


async def test_alerts_are_told_one_by_one(autojump_clock: Any) -> None:
    async with open_test_hub() as hub:
        hub.publish("alerts", "alert_triggered", {"id": "a1"})
        for _ in range(2):
            async with hub.subscribe("streams:alert_events") as events:
                assert (await anext(events)).data["data"] == {"event": "alert_triggered", "id": "a1"}
        async with hub.subscribe("streams:alert_events") as events:
            await anext(events)
            hub.publish("alerts", "alert_resolved", {"id": "a1"})
            assert (await anext(events)).data["data"] == {"event": "alert_resolved", "id": "a1"}
        assert next(each for each in hub.metrics.statistics() if each.stream == "alert_events").samples == 2


async def test_what_becomes_of_alerts_is_no_sample_for_their_rules(autojump_clock: Any, still_machine: Any) -> None:
    """Or one alert would be the reason for the next."""
    seen: list[str] = []

    class Watching:
        def observe(self, stream: str, data: Any) -> None:
            seen.append(stream)

    async with open_test_hub() as hub:
        still_machine(hub)
        hub.metrics.observers.append(Watching())
        hub.metrics.need("rules", None)
        async with hub.subscribe("streams:alert_events") as events:
            hub.publish("alerts", "alert_triggered", {"id": "a1"})
            await anext(events)
        await trio.sleep(1)
        hub.publish("alerts", "alert_resolved", {"id": "a1"})
        await trio.sleep(5)
        assert set(seen) == set(hub.metrics.streams()) - {"alert_events", "scaling_status"}
        assert next(each for each in hub.metrics.statistics() if each.stream == "alert_events").samples == 1


async def test_correlation_runs_the_streams_that_it_compares(autojump_clock: Any, still_machine: Any) -> None:
    async with open_test_hub() as hub:
        machine = still_machine(hub)
        number = 0

        @hub.metrics.register("queue", interval=5)
        async def queue() -> dict[str, Any]:
            nonlocal number
            number += 1
            return {"depth": number, "waiting": -number, "name": "text", "full": True}

        for field in ("depth", "waiting", "name", "full", "missing"):
            hub.metrics.correlations.add("queue", field)
        async with hub.subscribe("streams:ecosystem_correlation") as events:
            for _ in range(10):
                sample = (await anext(events)).data["data"]
        assert sample["correlations"][0]["correlation"] == -1.0
        assert {sample["correlations"][0]["a"], sample["correlations"][0]["b"]} == {"queue.depth", "queue.waiting"}
        looks = machine.looks
        assert looks >= 9
        await trio.sleep(60)
        assert machine.looks == looks, "nobody compares any more"
        for field in range(MOST_FIGURES - 11):
            hub.metrics.correlations.add("queue", f"f{field}")
        with pytest.raises(ValueError, match="there are 16 figures already"):
            hub.metrics.correlations.add("queue", "one_more")
