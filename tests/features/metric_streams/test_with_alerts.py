"""Rules of alerts look at streams, also while no dashboard is open."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from rtcore.testing import open_test_hub, open_test_server
from rtcore.values.channels import Namespace

RULE = {"name": "High CPU Usage", "condition": "cpu_utilization > 0.8", "severity": "high", "cooldown": 300_000}
REVENUE: Any = {"name": "Revenue", "condition": "revenue > 0", "severity": "low", "cooldown": 0}


@pytest.mark.parametrize("stream", ["cpu", None])
async def test_rule_is_told_of_what_nobody_watches(stream: str | None, autojump_clock: Any, still_machine: Any) -> None:
    """The dashboard hears of the alert without having subscribed to the stream; with the rule, the sampling ends."""
    async with open_test_server() as server:
        hub: Any = server.hub
        machine = still_machine(hub)
        client = await server.connect("/dashboard/ws", subprotocols=())
        assert (await client.receive())["type"] == "welcome"
        rule = await hub.alerts.add_rule(RULE if stream is None else {**RULE, "stream": stream})
        await trio.sleep(11)
        looks = machine.looks
        assert looks >= 3
        quiet = machine.snapshot

        async def busy() -> Any:
            snapshot = await quiet()
            return attrs.evolve(snapshot, cpu=attrs.evolve(snapshot.cpu, percent=95.0))

        hub.metrics.built_in.system.machine = Busy(busy)
        with trio.fail_after(30):
            while (message := await client.receive())["type"] != "alert_triggered":
                pass
        assert message["data"]["rule"] == "High CPU Usage"
        running = {each.stream for each in hub.metrics.statistics() if each.state.value == "running"}
        assert ("memory" in running) is (stream is None)
        assert "cpu" in running
        await hub.alerts.remove_rule(rule.id)
        looks = machine.looks
        await trio.sleep(60)
        assert machine.looks == looks


class Busy:
    """A machine with more to do."""

    def __init__(self, snapshot: Any) -> None:
        self.snapshot = snapshot


@pytest.mark.parametrize("stream", ["billing", None])
async def test_alert_does_not_repeat_what_its_readers_may_not_read(stream: str | None, autojump_clock: Any) -> None:
    """Everybody may read `alerts`: what a stream of some roles says must not come out there, in words or numbers."""
    async with open_test_hub() as hub:
        hub.metrics.declare("billing", roles={"finance"})
        rule: Any = {**REVENUE, "message": "$revenue now: $values"}
        await hub.alerts.add_rule(rule if stream is None else {**rule, "stream": stream})
        async with hub.subscribe("alerts") as events:
            hub.metrics.publish("billing", {"revenue": 42.5})
            alert: Any = (await anext(events)).data
            assert (alert["rule"], alert["values"]) == ("Revenue", {})
            assert alert["message"] == "(withheld) now: revenue = (withheld)"
            assert "42.5" not in repr(hub.alerts.overview())
            hub.metrics.publish("billing", {"revenue": -1})
            assert (await anext(events)).data["values"] == {}


@pytest.mark.parametrize(
    ("alerts", "streams", "shown"),
    [(None, None, True), ({"ops"}, {"ops", "dev"}, True), ({"ops", "dev"}, {"ops"}, False), (None, {"ops"}, False)],
)
async def test_alert_has_the_values_that_all_its_readers_may_read(
    alerts: Any, streams: Any, shown: bool, autojump_clock: Any
) -> None:
    namespaces = {
        "alerts": Namespace(read_roles=alerts, publish_roles=frozenset()),
        "streams": Namespace(read_roles=streams, publish_roles=frozenset()),
    }
    async with open_test_hub(namespaces=namespaces) as hub:
        await hub.alerts.add_rule(REVENUE)
        hub.metrics.publish("billing", {"revenue": 42.5})
        await trio.testing.wait_all_tasks_blocked()
        assert hub.alerts.alerts()[0].values == ({"revenue": 42.5} if shown else {})
