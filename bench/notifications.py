"""
How long a notification takes: to a workspace with many members who are connected, and to as many single users.

The first: clients over sockets subscribe to `workspace_notifications:default`, another sends `notification.send` so
many times a second, and the load generator counts the time from when each was due to when each client has it: the write
to a SQLite file and the fan-out are in it. The second: as many users' channels in this process, one `send` for each, a
few at a time; the time from the call to the event at its reader, with the inbox of that user read first.

Run: python bench/notifications.py [--members 10000] [--directory DIRECTORY]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import trio
from load.generator import Figures, build, run_load

import rtcore

RATE = 1
WORKERS = 10
SUBSCRIBE = '{"type":"subscribe","id":1,"data":{"channels":["workspace_notifications:default"]}}'
SEND = '{"type":"notification.send","data":{"workspace":"default","kind":"alert","title":"{M}","body":"{PAD}"}}'


def hub_limits(members: int) -> rtcore.Limits:
    """Room for a channel and a connection each."""
    room = members + 1000
    return rtcore.Limits(connections=room, channels=room, unpublished_channels=room, handshake_seconds=60)


async def to_workspace(members: int, path: Path, seconds: float) -> Figures:
    """The generator's figures of one run over sockets."""
    programs = build()
    limits = hub_limits(members)
    settings = rtcore.Settings(port=0, limits=limits)
    async with (
        rtcore.open_sqlite_store(path) as store,
        rtcore.open_hub(limits=limits, store=store) as hub,
        trio.open_nursery() as nursery,
    ):
        server = await nursery.start(rtcore.serve, hub, settings)
        arguments = (
            *(
                "--mode",
                "fanout",
                "--port",
                server.port,
                "--server-pid",
                os.getpid(),
                "--path",
                "/ws",
                "--publisher-path",
                "/ws",
            ),
            *("--clients", members, "--first", SUBSCRIBE, "--ready", '"subscribed"'),
            *("--publisher-ready", '"welcome"', "--message", SEND, "--size", 300),
            *("--rate", RATE, "--seconds", seconds, "--warm-up", 2, "--settle", 1, "--patience", 10),
        )
        figures = await trio.to_thread.run_sync(run_load, programs, arguments)
        nursery.cancel_scope.cancel()
    return figures


async def to_users(members: int, path: Path) -> tuple[float, list[float]]:
    """Seconds in all, and from each call to its event."""
    times: list[float] = []
    begun: dict[str, float] = {}

    async def read(hub: rtcore.ApplicationHub, user: str, *, task_status: trio.TaskStatus[None]) -> None:
        async with hub.subscribe(f"notifications:default:{user}") as events:
            task_status.started()
            await events.__anext__()
            times.append(time.perf_counter() - begun[user])

    async def send(hub: rtcore.ApplicationHub, users: Sequence[str]) -> None:
        for user in users:
            begun[user] = time.perf_counter()
            await hub.notifications.send(user=user, title="Hello", body="x" * 200)

    users = [f"user-{number}" for number in range(members)]
    async with (
        rtcore.open_sqlite_store(path) as store,
        rtcore.open_hub(limits=hub_limits(members), store=store) as hub,
        trio.open_nursery() as readers,
    ):
        for user in users:
            await readers.start(read, hub, user)
        begin = time.perf_counter()
        async with trio.open_nursery() as senders:
            for worker in range(WORKERS):
                senders.start_soon(send, hub, users[worker::WORKERS])
        elapsed = time.perf_counter() - begin
    return elapsed, times


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--directory", type=Path, default=None)
    options = parser.parse_args()
    print(f"{platform.machine()}, CPython {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        figures = trio.run(to_workspace, options.members, Path(directory, "workspace.db"), options.seconds)
        print(f"to a workspace of {options.members}: {dict(figures)}")
        elapsed, times = trio.run(to_users, options.members, Path(directory, "users.db"))
    cuts = statistics.quantiles(times, n=100)
    print(
        f"to {options.members} users, {WORKERS} at a time: {elapsed:.2f} s, {options.members / elapsed:.0f} a second; "
        f"p50 {cuts[49] * 1000:.1f} ms, p95 {cuts[94] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms"
    )


if __name__ == "__main__":
    main()
