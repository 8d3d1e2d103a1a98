"""
rtcore in an application that runs a trio-websocket server already.

    python examples/trio_websocket_server.py

The application keeps its server, its paths and its own messages. A connection that asks for `/live` is handed to the
hub with `hub.attach`; from then on it speaks `rtcore.v1` with filters, history and notices, as on rtcore's own server.
"""

from __future__ import annotations

from functools import partial

import trio
from trio_websocket import WebSocketRequest, open_websocket_url, serve_websocket

import rtcore


async def handle(hub: rtcore.ApplicationHub, request: WebSocketRequest) -> None:
    """The application's handler: one path for rtcore, the others as before."""
    if request.path == "/live":
        connection = await request.accept(subprotocol="rtcore.v1")
        user = rtcore.Identity(user="ada", roles=["publisher"])  # from the application's own session, say
        await hub.attach(connection, identity=user)
    else:
        connection = await request.accept()
        await connection.send_message((await connection.get_message()).upper())


async def main() -> None:
    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
        serve = partial(serve_websocket, partial(handle, hub), "127.0.0.1", 0, ssl_context=None)
        server = await nursery.start(serve)
        base = f"ws://127.0.0.1:{server.port}"

        async with open_websocket_url(f"{base}/shout") as connection:
            await connection.send_message("still here")
            print("the application's own path:", await connection.get_message())

        async with rtcore.connect(f"{base}/live") as client, client.subscribe("chat", where={"room": "blue"}) as events:
            hub.publish("chat", "message", {"room": "red", "text": "nobody here wants this"})
            await client.publish("chat", "message", {"room": "blue", "text": "hello"})
            event = await events.receive()
            print("through the hub:", event.type, event.data)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
