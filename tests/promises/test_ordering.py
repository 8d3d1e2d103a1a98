"""
Promise: within a channel each lane arrives in the order of publication, and while nothing waits for a subscriber no
lane overtakes another. A reply comes before the events that it announces.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.testing import CloggedStream, TestClient, TestServer, mask_frame, open_test_hub
from rtcore.values.events import Lane
from rtcore.values.opcodes import Opcode
from tests.driver_server import KEPT_BYTES, OpenServer

LANES = (Lane.LOW, Lane.HIGH, Lane.NORMAL)


def publish(server: TestServer, number: int, lane: Lane, channel: str = "tasks", size: int = 0) -> None:
    server.hub.publish(channel, "x", {"number": number, "lane": lane.name, "pad": "x" * size}, lane=lane)


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["data"]["number"] for event in events]


async def subscriber(server: TestServer, **more: Any) -> tuple[TestClient, CloggedStream]:
    client = await server.connect()
    reply = await client.request("subscribe", {"channels": ["tasks"], **more})
    assert reply["type"] == "subscribed"
    assert isinstance(client.stream, CloggedStream)
    return client, client.stream


@pytest.mark.parametrize("burst", [1, 7, 250])
@pytest.mark.parametrize("window", [{}, {"batch": True}], ids=["single", "batch"])
async def test_nothing_overtakes_where_nothing_waits(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer, burst: int, window: dict[str, Any]
) -> None:
    """Also not within a burst that is published at once: what leaves in one write leaves in order."""
    async with open_server() as server:
        client, _ = await subscriber(server, **window)
        for start in range(0, 1000, burst):
            for number in range(start, min(start + burst, 1000)):
                publish(server, number, LANES[number % 3])
            await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(1)
        assert numbers(await client.receive_events(1000)) == list(range(1000))


async def test_higher_lanes_overtake_what_waits(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    async with open_server() as server:
        client, stream = await subscriber(server)
        stream.clog(5)
        publish(server, 0, Lane.LOW, size=KEPT_BYTES)  # in the write that is cut short: it is finished first
        await trio.testing.wait_all_tasks_blocked()
        for number in range(1, 31):
            publish(server, number, LANES[number % 3])
            await trio.testing.wait_all_tasks_blocked()
        stream.unclog()
        events = await client.receive_events(31)
        in_lanes = [event["data"]["lane"] for event in events[1:]]
        assert in_lanes == ["HIGH"] * 10 + ["NORMAL"] * 10 + ["LOW"] * 10
        for lane in range(3):
            assert numbers(events[1 + 10 * lane : 11 + 10 * lane]) == sorted(
                numbers(events[1 + 10 * lane : 11 + 10 * lane])
            )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("window", [{}, {"batch": True}], ids=["single", "batch"])
async def test_each_lane_keeps_its_order_whatever_the_connection_takes(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer, seed: int, window: dict[str, Any]
) -> None:
    """A connection that is clogged and unclogged at random: no lane goes backwards, and nothing comes twice."""
    choice = random.Random(seed)
    async with open_server(rtcore.Settings(limits=rtcore.Limits(lag_events=20))) as server:
        client, stream = await subscriber(server, **window)
        for number in range(600):
            publish(server, number, choice.choice(LANES), size=choice.randrange(300))
            if choice.random() < 0.1:
                stream.clog(choice.randrange(2000))
            if choice.random() < 0.1:
                stream.unclog()
            if choice.random() < 0.5:
                await trio.testing.wait_all_tasks_blocked()
        stream.unclog()
        await trio.sleep(1)
        publish(server, 600, Lane.LOW)
        await trio.sleep(1)
        by_lane: dict[str, list[int]] = defaultdict(list)
        dropped = received = 0
        while by_lane["LOW"][-1:] != [600]:
            message = await client.receive()
            if message["type"] == "dropped":
                dropped += message["data"]["count"]
                continue
            for event in message["data"]["events"] if message["type"] == "batch" else [message]:
                by_lane[event["data"]["lane"]].append(event["data"]["number"])
                received += 1
        for order in by_lane.values():
            assert order == sorted(set(order))
        assert received + dropped == 601


async def test_reply_comes_before_the_events_that_it_announces(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """`subscribed` first, then the replay, then what is live; all of it asked for and published in one go."""
    async with open_server() as server:
        for number in range(3):
            publish(server, number, Lane.HIGH)
        client = await server.connect()
        requests = [
            {"type": "subscribe", "id": "a", "data": {"channels": ["tasks"], "since": {"last": 2}}},
            {"type": "publish", "id": "b", "data": {"channel": "tasks", "type": "x", "data": {"number": 3}}},
        ]
        await client.send_raw(b"".join(mask_frame(Opcode.TEXT, json.dumps(each).encode()) for each in requests))
        got = [await client.receive() for _ in range(5)]
        kinds = [message.get("id") or message["data"]["number"] for message in got]
        assert kinds[0] == "a"
        assert [kind for kind in kinds if kind != "b"] == ["a", 1, 2, 3]
        assert kinds.index("b") < kinds.index(3), "who publishes and is subscribed hears of the position first"


async def test_replies_keep_the_order_of_their_requests(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    async with open_server() as server:
        client = await server.connect()
        for number in range(90):
            await client.send("heartbeat" if number % 2 else "nonsense", id=number)
        assert [(await client.receive())["id"] for _ in range(90)] == list(range(90))


async def test_reader_in_this_process_gets_channels_in_the_order_of_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_test_hub() as hub, hub.subscribe("a", "b") as events:
        got: list[Any] = []

        async def read() -> None:
            while len(got) < 100:
                got.append((await anext(events)).data)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            for number in range(100):
                await trio.sleep(0.01)
                hub.publish("ab"[number % 2], "x", number, lane=LANES[number % 3])
        assert got == list(range(100))
