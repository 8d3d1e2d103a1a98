"""
Promise: after ten thousand connections nothing is left of any: no task, no descriptor, no place in the pool, no
subscription, no timer, no object, and no memory that grows with their number.

Over real sockets, in an interpreter of its own that must end silent: this file is its program.
"""

from __future__ import annotations

import gc
import socket
import struct
import subprocess
import sys
from collections import Counter

import psutil
import trio
import trio.testing

import rtcore
from rtcore.testing import TestClient

CONNECTIONS = 10_000
WARM_UP = 2_000
ABREAST = 20
GROWTH_BYTES = 4 * 1024 * 1024
"""What the allocator may do with 8,000 connections more: 500 bytes of each would show."""


def test_ten_thousand_connections_leave_nothing_behind() -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", __file__], capture_output=True, text=True, timeout=300, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


async def live(port: int, number: int) -> None:
    """One of eight lives: they differ in how much they do and in how they end."""
    plain = trio.socket.socket()
    await plain.connect(("127.0.0.1", port))
    stream = trio.SocketStream(plain)
    try:
        if number % 8 == 0:
            await stream.send_all(b"GET /ws HTTP/1.1\r\n")  # and no more
            return
        if number % 8 == 1:
            await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
            return
        client = TestClient(stream)
        await client.handshake(compression=number % 16 == 2)
        if number % 8 == 2:
            return
        where = {"number": number} if number % 3 else None
        await client.request("subscribe", {"channels": ["tasks", f"own:{number % 50}"], "where": where})
        if number % 8 == 3:
            await client.close()
        elif number % 8 == 4:
            await client.half_close()
            await client.receive_close()
        elif number % 8 == 5:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends with a reset
        elif number % 8 == 6:
            await client.send_raw(b"\xff\xff")
            await client.receive_close()
        else:
            await client.request("publish", {"channel": "tasks", "type": "x", "data": {"number": number}})
    finally:
        await trio.aclose_forcefully(stream)


async def live_all(port: int, first: int, last: int) -> None:
    numbers = iter(range(first, last))

    async def live_some() -> None:
        for number in numbers:
            await live(port, number)

    async with trio.open_nursery() as nursery:
        for _ in range(ABREAST):
            nursery.start_soon(live_some)


def objects() -> Counter[str]:
    """Living objects of rtcore's classes."""
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects() if str(type(each).__module__).startswith("rtcore."))


def living_tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


def held(hub: rtcore.ApplicationHub, server: rtcore.Server) -> dict[str, int]:
    figures = hub.statistics()
    return {
        "connections": server.pool.statistics().active,
        "subscribers": figures.subscribers,
        "subscriptions": figures.subscriptions,
        "views": figures.views,
        "timers": figures.timers,
        "backlog": figures.backlog_events,
        "tasks": living_tasks(),
        "descriptors": psutil.Process().num_fds() if hasattr(psutil.Process, "num_fds") else 0,
    }


async def settled(hub: rtcore.ApplicationHub, server: rtcore.Server, idle_tasks: int) -> dict[str, int]:
    """What is held once the last connection has ended: the test's own part closes before the server's does."""
    with trio.fail_after(60):
        while server.pool.statistics().active or living_tasks() > idle_tasks:  # noqa: ASYNC110
            await trio.sleep(0.01)  # on real sockets no event says that a server has seen its clients' last bytes
    await trio.testing.wait_all_tasks_blocked()
    return held(hub, server)


async def main() -> None:
    limits = rtcore.Limits(history_events=10)
    async with rtcore.open_hub(limits=limits) as hub, trio.open_nursery() as nursery:
        server = await nursery.start(rtcore.serve, hub, rtcore.Settings(port=0, limits=limits))
        idle_tasks = living_tasks()
        await live_all(server.port, 0, WARM_UP)
        before = await settled(hub, server, idle_tasks)
        kinds, size = objects(), psutil.Process().memory_info().rss
        await live_all(server.port, WARM_UP, CONNECTIONS)
        after = await settled(hub, server, idle_tasks)
        grown = psutil.Process().memory_info().rss - size
        assert after == before, (before, after)
        assert before["connections"] == before["subscribers"] == before["views"] == 0, before
        more = {kind: count for kind, count in (objects() - kinds).items() if kind != "Timer"}
        # Cancelled timers wait for their deadline in one heap, small and empty.
        assert sum(more.values()) < 20, more
        assert grown < GROWTH_BYTES, grown
        server.drain()


if __name__ == "__main__":
    trio.run(main)
