"""
socketify as a server of the comparison: uWebSockets, in C++, publishes to topics, Python hears of each message once.

Its loop spins while anything happens, so its CPU time says more than its work where there is little to do. It drops for
a subscriber that has 64 KiB waiting, which is its default.
"""

from __future__ import annotations

import socket

from socketify import App, AppListenOptions, CompressOptions, OpCode, WebSocket


def subscribe(connection: WebSocket) -> None:
    connection.subscribe("all")
    connection.send("subscribed", OpCode.TEXT)


def name(connection: WebSocket, message: str, _: OpCode) -> None:
    connection.subscribe(message)
    connection.send("subscribed", OpCode.TEXT)


def free_port() -> int:
    """It does not tell which port it was given."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    app = App()

    def publish(connection: WebSocket, message: str, opcode: OpCode) -> None:
        app.publish("all", message, opcode, True)

    def direct(connection: WebSocket, message: str, opcode: OpCode) -> None:
        app.publish(message.partition(" ")[0], message, opcode)

    def echo(connection: WebSocket, message: str, opcode: OpCode) -> None:
        connection.send(message, opcode)

    endpoints = {
        "/subscribe": {"open": subscribe, "message": lambda *_: None, "compression": CompressOptions.SHARED_COMPRESSOR},
        "/publish": {"message": publish},
        "/user": {"message": name},
        "/direct": {"message": direct},
        "/echo": {"message": echo},
    }
    for path, behaviour in endpoints.items():
        app.ws(path, behaviour)
    port = free_port()
    app.listen(AppListenOptions(port=port, host="127.0.0.1"), lambda _: print(port, flush=True))
    app.run()


if __name__ == "__main__":
    main()
