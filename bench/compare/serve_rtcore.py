"""rtcore as a server of the comparison: ordinary settings, but for the publisher's rate and the room."""

from __future__ import annotations

import trio

import rtcore


async def main() -> None:
    limits = rtcore.Limits(messages_per_second=1e9, message_burst=10**9, connections=100_000)
    async with rtcore.open_hub(limits=limits) as hub, trio.open_nursery() as nursery:
        settings = rtcore.Settings(port=0, limits=limits, echo=True)
        server = await nursery.start(rtcore.serve, hub, settings)
        print(server.port, flush=True)


if __name__ == "__main__":
    trio.run(main)
