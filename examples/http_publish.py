"""
Publishing over HTTP, for programs that do not speak WebSocket.

    python examples/http_publish.py

The request is sent twice with the same idempotency key, as a program does that did not see the reply: the event is
published once.
"""

from __future__ import annotations

import json
import urllib.request

import trio

import rtcore


def post(url: str, body: dict[str, object], key: str) -> str:
    """What any HTTP client can do; blocking, so it runs in a thread."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        again = " (replayed)" if response.headers["Idempotent-Replayed"] else ""
        return f"{response.status}{again} {response.read().decode()}"


async def main() -> None:
    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
        server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=0))
        base = f"http://127.0.0.1:{server.port}"
        event: dict[str, object] = {"channel": "builds", "type": "build.done", "data": {"number": 7, "ok": True}}
        async with hub.subscribe("builds") as events:
            for _ in range(2):
                print(await trio.to_thread.run_sync(post, f"{base}/api/v1/publish", event, "build-7"))
            received = await anext(events)
            print("subscriber:", received.type, received.data)
        print("events in the history:", len(hub.history("builds").events))
        server.drain()


if __name__ == "__main__":
    trio.run(main)
