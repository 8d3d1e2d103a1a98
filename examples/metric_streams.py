"""
Metric streams: one of your own, costs and agents, and a source that breaks.

    python examples/metric_streams.py

Nothing is sampled before somebody watches. The source that breaks harms only its own stream, and says so on it; what it
raised is in the log, not on the page.
"""

from __future__ import annotations

import logging
from typing import cast

import trio

import rtcore

INTERVAL = 0.1
WATCHED = ("streams:queue_depth", "streams:cost", "streams:agent_performance", "streams:broken")


async def work(hub: rtcore.ApplicationHub, waiting: list[str]) -> None:
    """An agent that takes jobs from a queue; each costs something."""
    agent = hub.metrics.agent("indexer")
    while waiting:
        with agent.measure():
            await trio.sleep(0.02)
            waiting.pop()
        hub.metrics.cost.add(0.002, category="model")


def register(hub: rtcore.ApplicationHub, waiting: list[str]) -> None:
    """Two sources: one that works, and one that does not."""

    @hub.metrics.register("queue_depth", interval=INTERVAL)
    async def queue_depth() -> dict[str, rtcore.Json]:
        return {"depth": len(waiting)}

    @hub.metrics.register("broken", interval=INTERVAL)
    async def broken() -> dict[str, rtcore.Json]:
        raise ConnectionRefusedError("postgres://user:password@db")


async def show(hub: rtcore.ApplicationHub) -> None:
    """A dashboard: the newest of each stream until the queue is empty."""
    async with hub.subscribe(*WATCHED) as events:
        async for event in events:
            data = cast("dict[str, dict[str, rtcore.Json]]", event.data)
            if event.type == "stream_error":
                print(f"{data['stream']}: {data['message']}")
                continue
            sample = data["data"]
            print(f"{data['stream']}: {', '.join(f'{name}={value}' for name, value in list(sample.items())[:3])}")
            if sample.get("depth") == 0:
                return


async def main() -> None:
    logging.disable()  # the traceback of what is broken by design
    intervals = {"cost": 0.2, "agent_performance": 0.2}
    features = rtcore.FeatureSettings(metrics=rtcore.MetricSettings(intervals=intervals))
    async with rtcore.open_hub(features=features) as hub, trio.open_nursery() as nursery:
        waiting = [f"document {number}" for number in range(20)]
        register(hub, waiting)
        nursery.start_soon(work, hub, waiting)
        await show(hub)
        states = {each.stream: each.state.value for each in hub.metrics.statistics()}
        print(f"queue_depth is {states['queue_depth']}, broken is {states['broken']}, cpu was never asked:", end=" ")
        print(hub.metrics.latest("cpu"))


if __name__ == "__main__":
    trio.run(main)
