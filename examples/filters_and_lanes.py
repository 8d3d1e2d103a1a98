"""
What a subscriber that cannot keep up gets: first what matters, and the truth about the rest.

    python examples/filters_and_lanes.py

A process floods its output while a task fails. The reader has room for only five events, so old output is dropped, the
failure overtakes what is left, and the notice names exactly what is missing. History still holds it.
"""

from __future__ import annotations

from typing import Any

import trio

import rtcore


async def main() -> None:
    async with (
        rtcore.open_hub() as hub,
        # Only what belongs to task t1: the filter is evaluated once for all who have the same.
        hub.subscribe("work", where={"task_id": "t1"}, lag_events=5) as events,
    ):
        for line in range(8):
            hub.publish("work", "tool.output", {"task_id": "t1", "output": f"line {line}"})  # low by its type
            hub.publish("work", "tool.output", {"task_id": "t2", "output": "of another task"})
        hub.publish("work", "task.status", {"task_id": "t1", "status": "stopping"})
        hub.publish("work", "task.failed", {"task_id": "t1", "error": "disk full"})  # high by its type
        await trio.sleep(0.01)  # the reader is busy with something else

        missing: list[rtcore.Range] = []
        for _ in range(6):  # the notice, and the five events that there was room for
            event = await anext(events)
            print(f"{event.type:<12} {event.data}")
            if event.type == "dropped":
                missing += ranges_of(event)

        page = hub.history("work", ranges=missing)
        repaired: list[Any] = [event.data for event in page.events]
        print("repaired:   ", [data["output"] for data in repaired if data["task_id"] == "t1"])


def ranges_of(notice: rtcore.Event) -> list[rtcore.Range]:
    """What a notice names, as `history` takes it."""
    data: Any = notice.data
    return [
        rtcore.Range(lane=rtcore.Lane[one["lane"].upper()], first=one["from"], last=one["to"]) for one in data["ranges"]
    ]


if __name__ == "__main__":
    trio.run(main)
