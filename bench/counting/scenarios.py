"""
Small pieces of work of rtcore, each of any size, for counting the instructions of one unit.

A scenario is a function that does as much as it is told and returns how many units that were. It is run under callgrind
in two sizes, so whatever it does once (importing, opening, subscribing) cancels. A new one is five lines:

    @scenario("mask", "frame of 4 KiB", 100, 600)
    def mask(size: int) -> int:
        for _ in range(size):
            apply_mask(PAYLOAD, b"mask")
        return size

Functions may be `async`, then Trio runs them. The collector is off: when it comes depends on what else was allocated.
To count another way of fanning out, copy `fan1`: `open_clients` gives real sockets, subscribed at a real server.

Run by itself, `python bench/counting/scenarios.py NAME SIZE` does the work once.
"""

from __future__ import annotations

import array
import fcntl
import gc
import os
import socket
import sys
import termios
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trio

    import rtcore

__all__ = ["SCENARIOS", "Scenario", "run_scenario", "scenario"]

Work = Callable[[int], "int | Awaitable[int]"]


@dataclass(frozen=True)
class Scenario:
    """One piece of work."""

    name: str
    unit: str
    small: int
    large: int
    work: Work


SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, unit: str, small: int, large: int) -> Callable[[Work], Work]:
    """Register a function; `unit` is what is counted, `small` and `large` are its two sizes."""

    def register(work: Work) -> Work:
        SCENARIOS[name] = Scenario(name, unit, small, large, work)
        return work

    return register


PAYLOAD = b'{"type":"task.progress","channel":"tasks","data":{"task_id":"t1","progress":40,"message":"3 of 10"}'
DATA = {"task_id": "t1", "progress": 40, "message": "4 of 10", "status": "running"}
HEAD = (
    b"GET /ws HTTP/1.1\r\nHost: realtime.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nUser-Agent: count/1.0\r\n\r\n"
)
PLAIN_HEAD = HEAD.replace(b"permessage-deflate", b"none")


@scenario("parse", "frame of 100 B, masked, 16 in a read", 50, 550)
def parse(size: int) -> int:
    from rtcore._fast import FrameParser

    parser, data = FrameParser(1 << 20), (bytes([0x81, 0x80 | 100]) + b"mask" + bytes(100)) * 16
    for _ in range(size):
        assert len(parser.feed(data)) == 16
    return size * 16


@scenario("encode", "frame of 100 B", 1000, 11000)
def encode(size: int) -> int:
    from rtcore._fast import encode_frame

    for _ in range(size):
        encode_frame(1, PAYLOAD)
    return size


@scenario("filter", "event that passes two conditions", 500, 5500)
def judge(size: int) -> int:
    from rtcore.hub.filters import compile_filter
    from rtcore.values.limits import Limits

    where = compile_filter({"type": "task.*", "status": ["running", "failed"]}, Limits())
    for _ in range(size):
        assert where.matches("task.progress", "tasks", DATA)
    return size


@scenario("handshake", "request head, parsed and answered", 100, 1100)
def handshake(size: int) -> int:
    from rtcore.protocol.compression import CompressionSettings
    from rtcore.protocol.handshake import accept_handshake
    from rtcore.protocol.header_grammar import HeadReader, parse_request_head
    from rtcore.values.limits import Limits

    limits, compression = Limits(), CompressionSettings()
    for _ in range(size):
        whole = HeadReader(limits).feed(HEAD)
        assert whole is not None
        accept_handshake(parse_request_head(whole[0], limits), compression=compression)
    return size


@scenario("publish", "event, published and taken by a subscription in the process", 100, 1100)
async def publish(size: int) -> int:
    import rtcore

    async with rtcore.open_hub() as hub, hub.subscribe("tasks") as events:
        for _ in range(size):
            hub.publish("tasks", "task.progress", DATA)
            await anext(events)
    return size


@scenario("fan1", "delivery, a message to 64 clients by itself", 20, 100)
async def fan1(size: int) -> int:
    async with open_clients(64) as (hub, clients):
        return await fan_out(hub, clients, size, 1)


@scenario("fan32", "delivery, 32 messages at once to 64 clients", 4, 16)
async def fan32(size: int) -> int:
    async with open_clients(64) as (hub, clients):
        return await fan_out(hub, clients, size, 32)


@scenario("echo", "message of 128 B, masked, answered by an application's handler, 64 clients in turn", 20, 120)
async def echo(size: int) -> int:
    import trio.testing

    from rtcore.testing import mask_frame

    message = mask_frame(1, b"x" * 128)
    async with open_clients(64, b"/echo", b"first", b"first") as (_, clients):
        sockets = [socket.socket(fileno=os.dup(client.socket.fileno())) for client in clients]
        for _ in range(size):
            for each in sockets:
                each.send(message)
            await trio.testing.wait_all_tasks_blocked()
            for each in sockets:
                assert len(each.recv(1024)) == 4 + 128
        for each in sockets:
            each.close()
    return size * 64


@scenario("connection", "connection that is greeted and hangs up, 16 at a time", 5, 25)
async def connect(size: int) -> int:
    import trio.testing

    async with serve() as (_, server):
        for _ in range(size):
            clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(16)]
            for client in clients:
                client.send(PLAIN_HEAD)
            await trio.testing.wait_all_tasks_blocked()
            for client in clients:
                assert b'"welcome"' in client.recv(4096)
                client.close()
            await trio.testing.wait_all_tasks_blocked()
    return size * 16


@scenario("command", "event that a client publishes, 32 in a read, nobody subscribed", 10, 60)
async def command(size: int) -> int:
    import trio.testing

    from rtcore.testing import mask_frame

    message = mask_frame(1, b'{"type":"publish","data":{"channel":"other","type":"task.progress","data":{"n":1}}}')
    async with open_clients(1) as (hub, clients):
        for _ in range(size):
            await clients[0].send_all(message * 32)
            await trio.testing.wait_all_tasks_blocked()
        assert sum(each.position.offset for each in hub.channels() if each.name == "other") == size * 32
    return size * 32


async def fan_out(hub: rtcore.Hub, clients: list[trio.SocketStream], size: int, burst: int) -> int:
    """Publish `size` times `burst` messages, each burst once the last has left; the clients do not read meanwhile."""
    import trio.testing

    before = unread_bytes(clients[-1])
    for _ in range(size):
        for _ in range(burst):
            hub.publish("tasks", "task.progress", DATA)
        await trio.testing.wait_all_tasks_blocked()
    if unread_bytes(clients[-1]) - before < size * burst * len(str(DATA)):
        raise AssertionError("the last client did not get everything")
    return size * burst * len(clients)


def unread_bytes(client: trio.SocketStream) -> int:
    """What waits in the system's buffer."""
    count = array.array("i", [0])
    fcntl.ioctl(client.socket.fileno(), termios.FIONREAD, count)
    return count[0]


SUBSCRIBE = b'{"type":"subscribe","data":{"channels":["tasks"]}}'


@asynccontextmanager
async def open_clients(
    count: int, path: bytes = b"/ws", first: bytes = SUBSCRIBE, answer: bytes = b'"subscribed"'
) -> AsyncIterator[tuple[rtcore.Hub, list[trio.SocketStream]]]:
    """Clients of a server on real sockets; each said `first` and got `answer`."""
    import trio

    from rtcore.testing import mask_frame

    message = mask_frame(1, first)
    async with serve() as (hub, server), AsyncExitStack() as closing:
        streams = [await trio.open_tcp_stream("127.0.0.1", server.port) for _ in range(count)]
        for stream in streams:
            closing.push_async_exit(stream)
            await stream.send_all(PLAIN_HEAD.replace(b"/ws", path) + message)
            received = b""
            while answer not in received:
                more = await stream.receive_some()
                assert more, f"the server hung up after {received!r}"
                received += more
        yield hub, streams


@asynccontextmanager
async def serve() -> AsyncIterator[tuple[rtcore.Hub, rtcore.Server]]:
    """A server on a real port, without a limit on messages."""
    import trio

    import rtcore

    limits = rtcore.Limits(messages_per_second=1e9, message_burst=10**9)
    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
        server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=0, echo=True, limits=limits))
        yield hub, server
        nursery.cancel_scope.cancel()


def run_scenario(name: str, size: int) -> int:
    """Do the work; returns the units."""
    import trio

    work = SCENARIOS[name].work

    async def wait(done: Awaitable[int]) -> int:
        return await done

    done = work(size)
    return trio.run(wait, done) if isawaitable(done) else done


if __name__ == "__main__":
    gc.disable()
    print(run_scenario(sys.argv[1], int(sys.argv[2])))
