"""What Prometheus scrapes."""

from __future__ import annotations

from typing import Any

from prometheus_client import parser

from rtcore.hub.latency import LATENCY_BUCKETS


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels, read by the reference parser."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_figures_of_both_sides_are_exposed(open_api: Any) -> None:
    async with open_api() as api:
        api.hub.publish("tasks", "task.progress", {})
        api.around.draining = True
        found = samples((await api.client.get("/metrics")).text)
        assert found["rtcore_connections", ()] == 3
        assert found["rtcore_connections_opened_total", ()] == 7
        assert found["rtcore_connections_refused_total", (("reason", "full"),)] == 2
        assert found["rtcore_events_published_total", (("type", "task.progress"),)] == 1
        assert found["rtcore_history_events", ()] == 1
        assert found["rtcore_draining", ()] == 1
        assert found["rtcore_info", (("version", "1.2.3"),)] == 1
        assert ("process_resident_memory_bytes", ()) in found


async def test_latency_is_a_histogram_by_event_type(open_api: Any) -> None:
    """Delivery from publish to socket, with as many observations as receivers."""
    async with open_api() as api:
        api.hub.counters.latency.observe("task.progress", 0.003, 40)
        api.hub.counters.latency.observe("task.progress", 60.0, 2)
        found = samples((await api.client.get("/metrics")).text)
        name, label = "rtcore_delivery_latency_seconds", ("type", "task.progress")
        assert found[f"{name}_bucket", (("le", "0.0025"), label)] == 0
        assert found[f"{name}_bucket", (("le", "0.005"), label)] == 40
        assert found[f"{name}_bucket", (("le", "+Inf"), label)] == 42
        assert found[f"{name}_count", (label,)] == 42
        assert found[f"{name}_sum", (label,)] == 40 * 0.003 + 120
        assert sum(key[0] == f"{name}_bucket" for key in found) == len(LATENCY_BUCKETS) + 1


async def test_a_scraper_may_ask_for_openmetrics(open_api: Any) -> None:
    async with open_api() as api:
        accept = "application/openmetrics-text; version=1.0.0"
        response = await api.client.get("/metrics", headers={"Accept": accept})
        assert response.headers["content-type"].startswith("application/openmetrics-text")
        assert response.text.endswith("# EOF\n")


async def test_two_applications_do_not_share_a_registry(open_api: Any) -> None:
    """The library's global registry would refuse the second."""
    async with open_api() as one, open_api() as other:
        one.hub.publish("tasks", "a", 1)
        found = samples((await other.client.get("/metrics")).text)
        assert ("rtcore_events_published_total", (("type", "a"),)) not in found
