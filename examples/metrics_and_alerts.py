"""
Measurements for a dashboard, and an alert when one of them is too high.

    python examples/metrics_and_alerts.py

Two things are worth a look. Measurements carry a key, and their namespace conflates: of those that wait for a slow
dashboard only the newest of each key is kept, since nobody wants to see old ones late. And the alert goes out in the
high lane, so that nothing which waits can hold it up.
"""

from __future__ import annotations

import math

import trio

import rtcore

LIMIT = 0.8
STEPS = 60
MEASUREMENTS = 2 * STEPS + 1
NAMESPACES = {"metrics": rtcore.Namespace(overflow=rtcore.Overflow.CONFLATE, history_events=50)}


async def measure(hub: rtcore.Hub) -> None:
    """Publish two measurements many times a second, and an alert each time one of them crosses its limit."""
    above = False
    for step in range(STEPS):
        load = 0.5 + 0.5 * math.sin(step / 8)
        hub.publish("metrics:web", "metric", {"name": "load", "value": round(load, 2)}, key="load")
        hub.publish("metrics:web", "metric", {"name": "requests", "value": 100 * step}, key="requests")
        if load > LIMIT and not above:
            value = round(load, 2)
            hub.publish("metrics:web", "alert.triggered", {"value": value, "limit": LIMIT}, lane=rtcore.Lane.HIGH)
        above = load > LIMIT
        await trio.sleep(0.001)
    hub.publish("metrics:web", "metric", {"name": "load", "value": 0.0, "last": True}, key="load")


async def show(hub: rtcore.Hub, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """A dashboard that takes its time to draw."""
    drawn = 0
    async with hub.subscribe("metrics:web") as events:
        task_status.started()
        async for event in events:
            assert isinstance(event.data, dict)
            if event.type == "alert.triggered":
                print(f"ALERT high load: {event.data['value']} > {event.data['limit']}")
                continue
            drawn += 1
            await trio.sleep(0.01)
            if event.data.get("last"):
                break
    spared = hub.statistics().conflated
    print(f"drew {drawn} measurements, newer ones stood for {spared}; unaccounted for: {MEASUREMENTS - drawn - spared}")


async def main() -> None:
    async with rtcore.open_hub(namespaces=NAMESPACES) as hub, trio.open_nursery() as nursery:
        await nursery.start(show, hub)
        nursery.start_soon(measure, hub)


if __name__ == "__main__":
    trio.run(main)
