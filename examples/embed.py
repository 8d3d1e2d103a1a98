"""
A hub, a server and a client in one Trio program.

    python examples/embed.py

The hub is an object of your program. The server shows it to WebSocket and HTTP clients; here one of them is a Python
client in the same process, where a browser or `rtcore tail` would be.
"""

from __future__ import annotations

import trio

import rtcore


async def work(hub: rtcore.ApplicationHub) -> None:
    """What the program does anyway; that it is shown costs the two `async with`."""
    async with hub.workflow("nightly", plan=2) as workflow:
        async with workflow.task("fetch") as task:
            for done in range(1, 5):
                await trio.sleep(0.01)
                task.progress(25 * done, f"{done} of 4")
        async with workflow.task("index") as task:
            await task.run_process(["echo", "42 pages"])
            task.result = {"pages": 42}


async def watch(url: str, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Print what a client anywhere would see, until the workflow is over."""
    async with rtcore.connect(url) as client, client.subscribe("tasks", "tools", "workflows") as events:
        task_status.started()
        async for event in events:
            assert isinstance(event.data, dict)  # all events of these channels carry an object
            shown = {field: event.data[field] for field in ("progress", "message", "output") if event.data.get(field)}
            print(f"{event.type:<19}{event.data.get('name') or event.data.get('tool')!s:<9}{shown or ''}".rstrip())
            if event.type == "workflow.completed":
                return


async def main() -> None:
    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
        server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=0))  # 0: any free port
        async with trio.open_nursery() as parts:
            await parts.start(watch, server.url)
            parts.start_soon(work, hub)
        server.drain()  # says good-bye to every client, and then ends


if __name__ == "__main__":
    trio.run(main)
