"""
A timeline of what happened: from the events of tasks, and from the application itself.

    python examples/activity.py

Nothing has to be done for the tasks; the invoice is recorded by hand. Then somebody looks for what concerns one task,
and takes all of it away as JSON lines.
"""

from __future__ import annotations

import json

import trio

import rtcore
from rtcore.features.activity.export import json_lines


async def main() -> None:
    async with rtcore.open_hub() as hub:
        async with hub.task("index the books", task_id="t1"):
            pass
        hub.activity.record("billing", "invoice.sent", "Invoice 7", actor="ann", related={"task_id": "t1"})
        hub.publish("tasks", "task.failed", {"task_id": "t2", "name": "weigh them", "user_id": "bob"})

        for activity in hub.activity.search(rtcore.ActivityQuery(related="t1")):
            print(f"about t1: {activity.category}: {activity.title}")
        everything = rtcore.ActivityQuery(categories=frozenset({"task", "billing"}))
        lines = list(json_lines(hub.activity.search(everything)))
        newest = json.loads(lines[0])
        print(f"exported {len(lines)} lines; the newest is {newest['type']} by {newest['actor']}")


if __name__ == "__main__":
    trio.run(main)
