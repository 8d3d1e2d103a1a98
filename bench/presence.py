"""
Presence of ten thousand users in one workspace, over real sockets.

A server in a process of its own; as many clients as there are users in this one, each present and subscribed to the
workspace. Then users come and go at a rate, and what is measured is how long it takes until a client has been told
(from the moment before the command is sent, over a sample of the clients), and what of a core the server takes.
The second table is of the list alone: what one that comes and one that goes cost among so many, nobody listening.

Run: python bench/presence.py (Linux; `ulimit -n` must allow two descriptors a user in all, one in each process).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from statistics import median

import psutil
import trio

import rtcore
from rtcore.testing.client_frames import FrameReader, mask_frame
from rtcore.values.opcodes import Opcode

CHURNERS = 200
DRAINED = 10
SCRATCH = bytearray(64 * 1024)
HEAD = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: rtcore.v1\r\n\r\n"
)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=10_000, help="present and subscribed (default 10000)")
    parser.add_argument("--rate", type=float, default=100, help="joins and leaves a second (default 100)")
    parser.add_argument("--seconds", type=float, default=20, help="how long (default 20)")
    parser.add_argument("--update-seconds", type=float, nargs="+", default=[0.1], help="intervals to try (default 0.1)")
    parser.add_argument("--sample", type=int, default=200, help="clients whose messages are read (default 200)")
    parser.add_argument("--serve", type=float, metavar="SECONDS", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


# The server


async def serve(update_seconds: float) -> None:
    """Until standard input ends."""
    limits = rtcore.Limits(connections=100_000, ping_seconds=0, idle_seconds=0, messages_per_second=10_000)
    features = rtcore.FeatureSettings(presence=rtcore.PresenceSettings(update_seconds=update_seconds))
    async with rtcore.open_hub(limits=limits, features=features) as hub, trio.open_nursery() as nursery:
        server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=0, limits=limits))
        print(server.port, flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


# The clients


def command(type: str, data: object, identifier: int | None = None) -> bytes:
    message = {"type": type, "data": data} | ({} if identifier is None else {"id": identifier})
    return mask_frame(Opcode.TEXT, json.dumps(message).encode())


class Client:
    """One socket."""

    def __init__(self, port: int, name: str, poll: select.epoll) -> None:
        self.name = name
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(HEAD)
        self.socket.setblocking(False)
        self.reader: FrameReader | None = FrameReader()
        self.head = b""
        poll.register(self.socket.fileno(), select.EPOLLIN)

    def read(self) -> Iterator[dict[str, object]]:
        """Its messages; nothing where they are not looked at."""
        if self.reader is None:
            if not self.socket.recv_into(SCRATCH):
                raise ConnectionError(f"{self.name} was closed")
            return
        data = self.socket.recv(len(SCRATCH))
        if not data:
            raise ConnectionError(f"{self.name} was closed")
        if b"\r\n\r\n" not in self.head:
            self.head += data
            _, found, data = self.head.partition(b"\r\n\r\n")
            if not found:
                return
        for frame in self.reader.feed(data):
            yield json.loads(frame.payload)


class Crowd:
    """All clients, and one loop over them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.poll = select.epoll()
        self.clients: dict[int, Client] = {}

    def add(self, name: str) -> Client:
        client = Client(self.port, name, self.poll)
        self.clients[client.socket.fileno()] = client
        return client

    def turn(self, timeout: float) -> Iterator[tuple[Client, dict[str, object]]]:
        """Messages of what is readable."""
        for descriptor, _ in self.poll.poll(timeout, 1000):
            client = self.clients[descriptor]
            for message in client.read():
                yield client, message

    def until(self, type: str, count: int) -> None:
        """Until so many messages of a type have come."""
        while count > 0:
            for _, message in self.turn(60):
                assert message["type"] != "error", message
                count -= message["type"] == type


    def look_at_every(self, step: int, everybody: list[Client]) -> list[Client]:
        """Poll only each so-manieth, evenly over the order of their coming; returns the others."""
        rest = [client for number, client in enumerate(everybody) if number % step]
        for client in rest:
            client.reader = None
            self.poll.unregister(client.socket.fileno())
        return rest


def gather(crowd: Crowd, users: int) -> list[Client]:
    """Connect and join, in lots; nobody is subscribed yet, so that nobody is told of each."""
    everybody = []
    for start in range(0, users, 200):
        lot = [crowd.add(f"user{number:06}") for number in range(start, min(start + 200, users))]
        for client in lot:
            client.socket.sendall(command("presence.join", {"name": client.name, "page": "/board/7"}, 1))
        crowd.until("presence.joined", len(lot))
        everybody += lot
    return everybody


def subscribe(crowd: Crowd, everybody: list[Client], server: psutil.Process) -> dict[str, float]:
    """Everybody is told the list."""
    cpu, began = sum(server.cpu_times()[:2]), time.perf_counter()
    for start in range(0, len(everybody), 200):
        for client in everybody[start : start + 200]:
            client.socket.sendall(command("subscribe", {"channels": ["presence:default"]}, 2))
        crowd.until("subscribed", len(everybody[start : start + 200]))
    seconds, cpu = time.perf_counter() - began, sum(server.cpu_times()[:2]) - cpu
    return {"subscribe_seconds": seconds, "subscribe_cpu_us": cpu / len(everybody) * 1e6}


def churn(crowd: Crowd, rest: list[Client], options: argparse.Namespace, server: psutil.Process) -> dict[str, float]:
    """Users come and go; how long until the sampled clients know."""
    churners = [crowd.add(f"churn{number:03}") for number in range(CHURNERS)]
    asked: dict[tuple[str, bool], float] = {}
    delays: list[float] = []
    events, step, drained = 0, 0, 0
    cpu, began = sum(server.cpu_times()[:2]), time.perf_counter()
    while (now := time.perf_counter()) - began < options.seconds:
        while now - began >= step / options.rate:
            client, joins = churners[step % CHURNERS], step // CHURNERS % 2 == 0
            asked["guest:" + client.name, joins] = time.perf_counter()
            client.socket.sendall(command("presence.join", {"name": client.name}) if joins else LEAVE)
            step += 1
        for _ in range(DRAINED if rest else 0):  # these only must not fall behind: reading is not what is measured
            with contextlib.suppress(BlockingIOError):
                list(rest[drained % len(rest)].read())
            drained += 1
        for _, message in crowd.turn(0.002):
            if message["type"] == "presence:update":
                events += 1
                arrived = time.perf_counter()
                for user, joined in told(message["data"]):
                    if (since := asked.get((user, joined))) is not None:
                        delays.append(arrived - since)
    seconds, cpu = time.perf_counter() - began, sum(server.cpu_times()[:2]) - cpu
    delays.sort()
    return {
        "changes": step / seconds,
        "events": events / (options.users - len(rest)) / seconds,
        "cpu": cpu / seconds,
        "p50": delays[len(delays) // 2],
        "p95": delays[int(len(delays) * 0.95)],
        "p99": delays[int(len(delays) * 0.99)],
    }


LEAVE = command("presence.leave", {})


def told(data: object) -> Iterator[tuple[str, bool]]:
    assert isinstance(data, dict)
    yield from ((record["user_id"], True) for record in data["joined"])
    yield from ((user, False) for user in data["left"])


def measure(options: argparse.Namespace, update_seconds: float) -> dict[str, float]:
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(update_seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        crowd, server = Crowd(int(process.stdout.readline())), psutil.Process(process.pid)
        idle = server.memory_info().rss
        everybody = gather(crowd, options.users)
        figures = {"memory": (server.memory_info().rss - idle) / options.users}
        figures |= subscribe(crowd, everybody, server)
        rest = crowd.look_at_every(max(1, options.users // options.sample), everybody)
        return figures | churn(crowd, rest, options, server)
    finally:
        process.kill()
        process.wait()


# The list alone


async def alone(users: int, changes: int = 2000) -> tuple[float, float]:
    """Microseconds of one that comes, and of one that goes, told at once."""
    features = rtcore.FeatureSettings(presence=rtcore.PresenceSettings(update_seconds=0, users=10**6))
    joins, leaves = [], []
    async with rtcore.open_hub(features=features) as hub:
        presence = hub.presence
        for number in range(users):
            presence.set(f"user{number:06}")
        for number in range(changes):
            name = f"user{number * 7919 % max(users, 1):06}x"
            began = time.perf_counter()
            presence.set(name)
            between = time.perf_counter()
            presence.unset(name)
            leaves.append(time.perf_counter() - between)
            joins.append(between - began)
    return median(joins) * 1e6, median(leaves) * 1e6


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    if options.serve is not None:
        trio.run(serve, options.serve)
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    options.sample = min(options.sample, options.users)
    print(f"{options.users} users present and subscribed, {options.rate:g} joins and leaves a second")
    for seconds in options.update_seconds:
        figures = measure(options, seconds)
        print(f"  update_seconds={seconds:g}")
        print(f"    all told the list in      {figures['subscribe_seconds']:8.2f} s")
        print(f"    server, each subscription {figures['subscribe_cpu_us']:8.0f} us")
        print(f"    server, memory of each    {figures['memory'] / 1024:8.1f} KiB, connection included")
        print(f"    changes                   {figures['changes']:8.1f} /s")
        print(f"    events to each client     {figures['events']:8.1f} /s")
        print(f"    told after p50, p95, p99  {figures['p50'] * 1e3:8.1f} {figures['p95'] * 1e3:.1f} "
              f"{figures['p99'] * 1e3:.1f} ms")  # fmt: skip
        print(f"    server, of a core         {figures['cpu'] * 100:8.1f} %")
        each = figures["cpu"] / (figures["events"] * options.users) * 1e6
        print(f"    server, each delivery     {each:8.1f} us, all that it does counted in")
    print("the list alone: us for one that comes, and one that goes, among so many")
    for users in (0, 100, 10_000, 100_000):
        joins, leaves = trio.run(alone, users)
        print(f"    {users:7} {joins:8.1f} {leaves:8.1f}")


if __name__ == "__main__":
    main()
