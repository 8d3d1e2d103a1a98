"""
The `websockets` library as a server of the comparison: asyncio, its own `broadcast`.

It broadcasts what it is told, as it is: no history, no filters, no statistics. rtcore does all that meanwhile.
"""

from __future__ import annotations

import asyncio

from websockets.asyncio.server import ServerConnection, broadcast, serve

subscribers: set[ServerConnection] = set()
users: dict[str, ServerConnection] = {}


async def handle(connection: ServerConnection) -> None:
    path = "" if connection.request is None else connection.request.path
    if path == "/echo":
        async for message in connection:
            await connection.send(message)
    elif path == "/publish":
        async for message in connection:
            broadcast(subscribers, message)
    elif path == "/direct":
        async for message in connection:
            await users[str(message).partition(" ")[0]].send(message)
    elif path == "/user":
        users[str(await connection.recv())] = connection
        await connection.send("subscribed")
        await connection.wait_closed()
    else:
        await subscribe(connection)


async def subscribe(connection: ServerConnection) -> None:
    subscribers.add(connection)
    try:
        await connection.send("subscribed")
        await connection.wait_closed()
    finally:
        subscribers.discard(connection)


async def main() -> None:
    # Compression, its default, is only for those who offer it: in the other tests nobody does.
    async with serve(handle, "127.0.0.1", 0, backlog=4096) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
