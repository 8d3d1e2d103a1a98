"""
A client that loses its server and misses nothing.

    python examples/replay_after_reconnect.py

The server is replaced while a client is watching, and events are published in between. The client comes back by
itself, asks from the last position that it was given, and says what became of the gap.
"""

from __future__ import annotations

import trio

import rtcore
from rtcore.client import ClientState, RecoveryNotice

LAST = 9


async def watch(url: str, *, task_status: trio.TaskStatus[trio.Event] = trio.TASK_STATUS_IGNORED) -> None:
    """Print events and notices until the last event has come."""
    lost = trio.Event()

    def changed(state: ClientState, why: str) -> None:
        if state is ClientState.WAITING:
            print(f"  ({why.partition(';')[0]})")
            lost.set()

    async with rtcore.connect(url, on_change=changed) as client, client.subscribe("orders") as events:
        task_status.started(lost)
        async for event in events:
            if isinstance(event, RecoveryNotice):
                print(f"  {event}: {event.replayed} events follow")
                continue
            print(f"order {event.offset}")
            if event.offset == LAST:
                return


async def main() -> None:
    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
        settings = rtcore.Settings(port=0, retry_after_seconds=0.2)
        first = await nursery.start(rtcore.serve, hub, settings)
        async with trio.open_nursery() as watching:
            lost = await watching.start(watch, first.url)
            for number in range(1, 4):
                hub.publish("orders", "order.placed", {"number": number})
            await trio.sleep(0.1)

            first.drain()
            await lost.wait()
            await first.wait_ended()  # until then its port is taken
            for number in range(4, 7):
                hub.publish("orders", "order.placed", {"number": number})  # nobody is connected

            second = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=first.port))
            for number in range(7, LAST + 1):
                hub.publish("orders", "order.placed", {"number": number})
        second.drain()


if __name__ == "__main__":
    trio.run(main)
