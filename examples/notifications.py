"""
Notifications: one that is chosen from, one that escalates, one that tells progress, one for everybody.

    python examples/notifications.py

A client follows the inbox of its workspace over a real connection. The users of this example are in the server's own
process, since without tokens nobody is anybody.
"""

from __future__ import annotations

import trio

import rtcore


async def follow(url: str, ready: trio.Event) -> None:
    async with rtcore.connect(url) as client, client.subscribe("workspace_notifications:default") as events:
        ready.set()
        async for event in events:
            print(f"everybody is told: {event.data['title']}")
            return


async def main() -> None:
    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
        server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=0))
        ready = trio.Event()
        nursery.start_soon(follow, f"ws://127.0.0.1:{server.port}/ws", ready)
        await ready.wait()
        await hub.notifications.send(workspace="default", title="The office closes at six", kind="message")

        async with hub.notifications.progress(user="ann", title="Import") as progress:
            for number in range(1, 4):
                progress.update(number * 33)
        done = (await hub.notifications.get(progress.id)).notification
        print(f"{done.title}: {done.progress.status}, {done.progress.value:g} %")

        down = await hub.notifications.send(
            user="ann", title="The shop is down", kind="crisis", level="warning", escalate=[("bob", 0.2)]
        )
        async with hub.subscribe("notifications:default:bob") as events:
            copy = (await events.__anext__()).data
            print(f"ann did not read it, so it went to bob, as {copy['level']}: {copy['title']}")
            await hub.notifications.read("bob", copy["id"])
        print("unread:", {user: await hub.notifications.unread(user) for user in ("ann", "bob")})
        print("read by:", [receipt.user for receipt in await hub.notifications.receipts(copy["id"])])
        await down.withdraw()
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
