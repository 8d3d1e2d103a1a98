"""
picows on uvloop as a server of the comparison: compiled framing, callbacks, a loop over the transports.

It has no `broadcast`: each send makes its frame anew. Nothing is kept, filtered or counted.
"""

from __future__ import annotations

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

subscribers: dict[WSTransport, None] = {}
users: dict[bytes, WSTransport] = {}


class Endpoint(WSListener):
    """One connection; picows answers pings and close frames are handed over."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            self.on_text(transport, frame.get_payload_as_bytes())

    def on_text(self, transport: WSTransport, message: bytes) -> None:
        """What a client says."""


class Subscriber(Endpoint):
    def on_ws_connected(self, transport: WSTransport) -> None:
        subscribers[transport] = None
        transport.send(WSMsgType.TEXT, b"subscribed")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        subscribers.pop(transport, None)


class Publisher(Endpoint):
    def on_text(self, transport: WSTransport, message: bytes) -> None:
        for subscriber in subscribers:
            subscriber.send(WSMsgType.TEXT, message)


class User(Endpoint):
    def on_text(self, transport: WSTransport, message: bytes) -> None:
        users[message] = transport
        transport.send(WSMsgType.TEXT, b"subscribed")


class Direct(Endpoint):
    def on_text(self, transport: WSTransport, message: bytes) -> None:
        users[message.partition(b" ")[0]].send(WSMsgType.TEXT, message)


class Echo(Endpoint):
    def on_text(self, transport: WSTransport, message: bytes) -> None:
        transport.send(WSMsgType.TEXT, message)


ENDPOINTS = {b"/subscribe": Subscriber, b"/publish": Publisher, b"/user": User, b"/direct": Direct, b"/echo": Echo}


def choose(request: WSUpgradeRequest) -> WSListener:
    path = request.path
    return ENDPOINTS[path if isinstance(path, bytes) else path.encode()]()


async def main() -> None:
    server = await ws_create_server(choose, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
