"""
The `websockets` library as a server of the comparison: asyncio, its own `broadcast`, no compression.

It broadcasts what it is told, as it is: no history, no filters, no statistics. rtcore does all that meanwhile.
"""

from __future__ import annotations

import asyncio

from websockets.asyncio.server import ServerConnection, broadcast, serve

subscribers: set[ServerConnection] = set()


async def handle(connection: ServerConnection) -> None:
    path = "" if connection.request is None else connection.request.path
    if path == "/echo":
        async for message in connection:
            await connection.send(message)
    elif path == "/publish":
        async for message in connection:
            broadcast(subscribers, message)
    else:
        subscribers.add(connection)
        try:
            await connection.send("subscribed")
            await connection.wait_closed()
        finally:
            subscribers.discard(connection)


async def main() -> None:
    async with serve(handle, "127.0.0.1", 0, compression=None, backlog=1024) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
