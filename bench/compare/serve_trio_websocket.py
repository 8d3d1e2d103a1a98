"""
trio-websocket as a server of the comparison: one loop over the subscribers, which is its cheapest way to broadcast.

A slow subscriber would hold up all others here; a task or a queue for each would cost more.
"""

from __future__ import annotations

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, WebSocketServer, serve_websocket

subscribers: dict[WebSocketConnection, None] = {}
users: dict[str, WebSocketConnection] = {}


async def handle(request: WebSocketRequest) -> None:
    connection = await request.accept()
    try:
        await serve(request.path, connection)
    except ConnectionClosed:
        pass
    finally:
        subscribers.pop(connection, None)


async def serve(path: str, connection: WebSocketConnection) -> None:
    if path == "/subscribe":
        subscribers[connection] = None
        await connection.send_message("subscribed")
        await connection.get_message()
    while True:
        message = str(await connection.get_message())
        if path == "/echo":
            await connection.send_message(message)
        elif path == "/publish":
            for subscriber in list(subscribers):
                await subscriber.send_message(message)
        elif path == "/direct":
            await users[message.partition(" ")[0]].send_message(message)
        elif path == "/user":
            users[message] = connection
            await connection.send_message("subscribed")


async def main() -> None:
    async with trio.open_nursery() as nursery:
        server: WebSocketServer = await nursery.start(serve_websocket, handle, "127.0.0.1", 0, None)
        print(server.port, flush=True)


if __name__ == "__main__":
    trio.run(main)
