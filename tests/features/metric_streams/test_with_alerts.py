"""Rules of alerts look at streams, also while no dashboard is open."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from rtcore.testing import open_test_server

RULE = {"name": "High CPU Usage", "condition": "cpu_utilization > 0.8", "severity": "high", "cooldown": 300_000}


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
