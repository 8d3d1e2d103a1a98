"""
A workflow inside of your own Trio program: nested tasks, a real process, and someone who watches.

    python examples/workflow.py

No server is needed: a subscription in the same process gets the same events as a WebSocket client would.
"""

from __future__ import annotations

import sys

import trio

from rtcore.features.workflows import Workflows
from rtcore.hub.hub import Hub
from rtcore.values.events import Event

COUNT_DOWN = """
import sys, time
for left in (3, 2, 1):
    print(left, flush=True)
    time.sleep(0.1)
print("and a word on the standard error", file=sys.stderr)
"""


async def work(workflows: Workflows) -> None:
    """What your program does. The end of each block is an event, whatever ends it."""
    async with workflows.workflow("nightly", plan={"index": 3, "publish": 1}) as workflow:
        async with workflow.task("index", plan=2) as index:
            async with index.task("documents") as documents:
                for number in range(1, 6):
                    await trio.sleep(0.05)
                    documents.progress(20 * number, f"{number} of 5")
            async with index.task("images") as images:
                images.status("waiting", "for the count-down")
                await images.run_process([sys.executable, "-c", COUNT_DOWN], name="count-down")
        async with workflow.task("publish") as publish:
            publish.progress(50)
            publish.result = {"pages": 5}


async def watch(hub: Hub, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """What a dashboard does: print events until the workflow has ended."""
    async with hub.subscribe("tasks", "tools", "workflows") as events:
        task_status.started()
        async for event in events:
            print(describe(event))
            if event.type in {"workflow.completed", "workflow.failed"}:
                return


def describe(event: Event) -> str:
    """One line for people."""
    data = event.data
    assert isinstance(data, dict)  # all events of tasks, tools and workflows carry an object
    name = data.get("name") or data.get("tool")
    shown = ("status", "progress", "message", "output", "exit_code", "error", "result", "duration")
    fields = "  ".join(f"{field}={data[field]!r}" for field in shown if data.get(field) is not None)
    return f"{event.type:<20} {name!s:<12} {fields}"


async def main() -> None:
    hub = Hub()
    async with trio.open_nursery() as hub_nursery:
        await hub_nursery.start(hub.run)
        async with trio.open_nursery() as nursery:
            await nursery.start(watch, hub)
            nursery.start_soon(work, Workflows(hub))
        hub_nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
