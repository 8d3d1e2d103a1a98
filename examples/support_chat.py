"""
A support chat that reports what happens, and a dashboard that watches it over a WebSocket.

    python examples/support_chat.py

The dashboard speaks the messages of support-chat dashboards, not rtcore's own; here it is a trio-websocket client.
"""

from __future__ import annotations

import json

import trio
import trio_websocket

import rtcore


async def watch(url: str, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Show what comes until the customer has said how it was."""
    async with trio_websocket.open_websocket_url(url) as dashboard:
        task_status.started()
        while True:
            message = json.loads(await dashboard.get_message())
            data = message["data"]
            if message["type"] == "message_created":
                print(f"{data['message']['sender']}: {data['message']['text']}")
            elif message["type"] == "queue_depth_changed":
                print(f"waiting: {data['queue_depth']}")
            elif message["type"] == "session_update" and data[0]["rating"]:
                print(f"{data[0]['customer']} gave {data[0]['rating']} stars")
                return


async def main() -> None:
    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
        server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=0))
        url = server.url.removesuffix("/ws") + "/api/v1/admin/chat-dashboard/ws"
        async with trio.open_nursery() as watching:
            await watching.start(watch, url)
            await trio.sleep(0.1)
            desk = hub.support_chat.desk(workspace="default")
            desk.open_session("s1", customer="carol", subject="refund")
            desk.assign("s1", "alice")
            desk.message("s1", "m1", sender="carol", text="Where is my money?")
            desk.message("s1", "m2", sender="alice", text="On its way.", from_agent=True)
            desk.end_session("s1")
            desk.rate("s1", 5)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
