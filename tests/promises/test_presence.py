"""
Promise: a client that applies what it is told has exactly the server's list of who is present.

It takes the list that comes with its subscription, asks for the other pages, applies each diff, goes on by position
when it comes back, and takes the list again when it is told that something was lost. Nothing else: no clock, no
comparing of positions. Its connection stalls and breaks when it pleases.
"""

from __future__ import annotations

import gc
import random
import tracemalloc
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trio.testing

import rtcore
from rtcore.application import ApplicationHub
from rtcore.features.presence.settings import PresenceSettings
from rtcore.features.settings import FeatureSettings
from rtcore.testing import TestClient, TestServer
from tests.driver_server import KEPT_BYTES, OpenServer

CHANNEL = "presence:default"
SETTINGS = rtcore.Settings(
    limits=rtcore.Limits(lag_events=3, message_burst=10_000, ping_seconds=0, idle_seconds=0),
    namespaces={"presence": rtcore.Namespace(history_events=8)},
    features=FeatureSettings(presence=PresenceSettings(list_users=3, grace_seconds=1.0, stale_seconds=40.0)),
)


class Watcher:
    """Keeps the list, as the page on presence says."""

    def __init__(self, server: TestServer) -> None:
        self.server = server
        self.users: dict[str, Any] = {}
        self.total = 0
        self.position: str | None = None
        self.seen = {"recovered": 0, "lost": 0, "dropped": 0, "pages": 0}

    async def connect(self) -> None:
        self.client: TestClient = await self.server.connect()
        self.client.timeout = 10_000
        since = {} if self.position is None else {"since": self.position}
        reply = await self.client.request("subscribe", {"channels": [CHANNEL], **since})
        told = reply["data"]["channels"][CHANNEL]
        self.position = told["position"]
        await self.client.request("subscribe", {"channels": ["noise"]})
        if told["recovered"]:
            self.seen["recovered"] += 1
            return
        self.seen["lost"] += told["recovered"] is False
        self.users = {}
        await self.take(told["snapshot"])

    async def take(self, page: dict[str, Any]) -> None:
        """A page, and those after it."""
        while True:
            self.total = page["total"]
            self.users |= {record["user_id"]: record for record in page["users"]}
            if not page["more"]:
                return
            self.seen["pages"] += 1
            after = page["users"][-1]["user_id"]
            page = (await self.client.request("presence.list", {"after": after, "limit": 2}))["data"]

    def stall(self) -> None:
        """Take nothing from now on; the event after this one has to wait."""
        self.client.stream.clog()  # type: ignore[attr-defined]  # a CloggedStream
        self.server.hub.publish("noise", "noise", "x" * KEPT_BYTES)

    async def read(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            while True:
                await self.apply(await self.client.receive())

    async def apply(self, message: dict[str, Any]) -> None:
        data = message["data"]
        if "noise" in (message["type"], data["channel"] if message["type"] == "dropped" else None):
            return
        if message["type"] == "dropped":
            self.position = data["position"]
            self.seen["dropped"] += 1
            self.users = {}
            await self.take((await self.client.request("presence.list"))["data"])
            return
        self.position = message["position"]
        for record in [*data.get("joined", ()), *data.get("changed", ()), *data.get("users", ())]:
            self.users[record["user_id"]] = record
        for user in data.get("left", ()):
            self.users.pop(user, None)
        self.total = data.get("total", self.total)


async def happen(server: TestServer, chance: random.Random, connections: list[TestClient]) -> None:
    """One thing, to one of twenty users."""
    presence = cast("ApplicationHub", server.hub).presence
    user, thing = f"u{chance.randrange(20):02}", chance.randrange(8)
    more: dict[str, Any] = {"status": chance.choice(["online", "away", "offline"])}
    more["page"] = chance.choice([None, "/a", "/b"])
    if thing < 3:
        presence.set(user, source=chance.choice(["one", "two"]), **more)
    elif thing < 5:
        presence.unset(user, source=chance.choice(["one", "two"]))
    elif thing == 5:
        connections.append(await server.connect())
        await connections[-1].request("presence.join", {**more, "name": user})
    elif connections:
        client = connections.pop(chance.randrange(len(connections)))
        await (client.close() if thing == 6 else client.aclose())


@pytest.mark.parametrize("seed", range(12))
async def test_client_has_exactly_the_list_of_the_server(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer, seed: int
) -> None:
    chance = random.Random(seed)
    async with open_server(SETTINGS) as server:
        presence = cast("ApplicationHub", server.hub).presence
        watcher, connections = Watcher(server), list[TestClient]()
        for _ in range(40):
            await watcher.connect()
            for _ in range(chance.randrange(4)):  # a while during which it reads, or does not
                if stalls := chance.random() < 0.5:
                    watcher.stall()
                for _ in range(chance.randrange(20)):
                    await happen(server, chance, connections)
                    await trio.sleep(chance.choice([0, 0.05, 0.2]))
                if stalls and chance.random() < 0.3:
                    break  # it breaks off without having read
                watcher.client.stream.unclog()  # type: ignore[attr-defined]  # a CloggedStream
                await watcher.read(chance.choice([0.01, 0.1, 1.0]))
            await watcher.client.aclose()
            for _ in range(chance.choice([0, 3, 30])):  # it is away
                await happen(server, chance, connections)
                await trio.sleep(chance.choice([0, 0.2, 2.0]))
        await watcher.connect()
        await watcher.read(10)
        online = {each.user: each.record() for each in presence.online()}
        assert watcher.users == online
        assert watcher.total == len(online)
        assert min(watcher.seen.values()) > 0, f"this seed tries too little: {watcher.seen}"
        for client in connections:
            await client.aclose()
        await trio.sleep(50)
        await watcher.read(1)
        assert (watcher.users, watcher.total) == ({}, 0), "no ghosts"
        await watcher.client.aclose()
        await trio.sleep(2)
        statistics = presence.statistics()
        assert (statistics.workspaces, statistics.connections, statistics.lingering) == (0, 0, 0)


async def test_connections_that_use_neither_cost_nothing(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """No entry, no timer, no farewell, not a byte allocated by presence or typing."""
    features = str(Path(rtcore.__file__).parent / "features" / "*")
    async with open_server(rtcore.Settings(limits=rtcore.Limits(ping_seconds=0))) as server:
        hub = cast("ApplicationHub", server.hub)
        await server.connect()
        gc.collect()
        timers = hub.statistics().timers
        tracemalloc.start()
        try:
            clients = [await server.connect() for _ in range(20)]
            for client in clients:
                await client.request("subscribe", {"channels": ["tasks"]})
            gc.collect()
            snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, features)])
        finally:
            tracemalloc.stop()
        assert not snapshot.statistics("filename")
        assert not hub._farewells
        assert hub.statistics().timers == timers + 20, "one each, its own"
        assert (hub.presence.statistics().users, hub.typing.statistics().users) == (0, 0)
