"""
trio-websocket as a server of the comparison: one loop over the subscribers, which is its cheapest way to broadcast.

A slow subscriber would hold up all others here; a task or a queue for each would cost more.
"""

from __future__ import annotations

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, WebSocketServer, serve_websocket

subscribers: dict[WebSocketConnection, None] = {}


async def handle(request: WebSocketRequest) -> None:
    connection = await request.accept()
    try:
        if request.path == "/echo":
            while True:
                await connection.send_message(await connection.get_message())
        elif request.path == "/publish":
            while True:
                await broadcast(await connection.get_message())
        else:
            subscribers[connection] = None
            await connection.send_message("subscribed")
            await connection.get_message()
    except ConnectionClosed:
        pass
    finally:
        subscribers.pop(connection, None)


async def broadcast(message: str | bytes) -> None:
    for subscriber in list(subscribers):
        await subscriber.send_message(message)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        server: WebSocketServer = await nursery.start(serve_websocket, handle, "127.0.0.1", 0, None)
        print(server.port, flush=True)


if __name__ == "__main__":
    trio.run(main)
