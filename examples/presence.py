"""
Who is there, what they do, and who is typing.

    python examples/presence.py

Ann and Bob are clients of a real server. Bob's page is loaded again, and nobody sees him leave; then his connection
breaks for good, and he is gone when his grace is over: nobody has to say so.
"""

from __future__ import annotations

from typing import Any

import trio

import rtcore

FEATURES = rtcore.FeatureSettings(presence=rtcore.PresenceSettings(grace_seconds=0.3))


async def watch(hub: rtcore.ApplicationHub, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """What any client that is subscribed is told, until Bob is gone."""
    async with hub.subscribe("presence:default", "typing:default:plans") as events:
        task_status.started()
        async for event in events:
            data: Any = event.data
            if event.type == "presence:typing":
                print("typing: ", ", ".join(data["users"]) or "nobody")
            elif event.type == "presence:activity":
                for user in data["users"]:
                    print("does:   ", user["user_id"], "is", user["activity"], user["page"])
            else:
                for user in data["joined"]:
                    print("joined: ", user["user_id"])
                for name in data["left"]:
                    print("left:   ", name)
                if "guest:Bob" in data["left"]:
                    return


async def bob(url: str) -> None:
    """A page that is open for a moment."""
    async with rtcore.connect(url) as client:
        await client.request("presence.join", {"name": "Bob", "page": "/plans", "activity": "viewing"})
        await client.request("typing.start", {"conversation": "plans"})
        await trio.sleep(0.15)


async def main() -> None:
    async with rtcore.open_hub(features=FEATURES) as hub, trio.open_nursery() as nursery:
        server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=0))
        async with rtcore.connect(server.url) as ann, trio.open_nursery() as watching:
            await watching.start(watch, hub)
            await ann.request("presence.join", {"name": "Ann"})
            await bob(server.url)
            await bob(server.url)
            await ann.request("presence.update", {"page": "/plans", "activity": "editing"})
        print("there:  ", *(user.user for user in hub.presence.online()))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
