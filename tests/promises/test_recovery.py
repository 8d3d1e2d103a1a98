"""
Promise: who comes back gets what it missed, by whatever it remembers (a position, an offset, a time, a duration, a
number), with its filter, and goes over to what is live without a gap and without a repeat. Where the past is no longer
held, or is another life's, it is told `recovered: false`.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.testing import START, CloggedStream, TestClient, TestServer, open_test_hub
from rtcore.values.events import Lane, format_timestamp
from tests.driver_server import KEPT_BYTES, OpenServer

HISTORY = rtcore.Settings(limits=rtcore.Limits(history_events=20))


async def publish(server: TestServer, first: int, last: int, channel: str = "tasks") -> None:
    """One event a second."""
    for number in range(first, last + 1):
        await trio.sleep(1)
        server.hub.publish(channel, f"kind.{number % 2}", {"number": number})
    await trio.testing.wait_all_tasks_blocked()


async def come_back(server: TestServer, since: object, **more: Any) -> tuple[TestClient, dict[str, Any]]:
    client = await server.connect()
    reply = await client.request("subscribe", {"channels": ["tasks"], "since": since, **more})
    assert reply["type"] == "subscribed", reply
    return client, reply["data"]["channels"]["tasks"]


async def numbers(client: TestClient, count: int) -> list[int]:
    return [event["data"]["number"] for event in await client.receive_events(count)]


async def test_position_brings_back_exactly_what_was_missed(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    async with open_server(HISTORY) as server:
        client = await server.connect()
        await client.request("subscribe", {"channels": ["tasks"]})
        await publish(server, 1, 5)
        position = (await client.receive_events(5))[-1]["position"]
        await client.aclose()
        await publish(server, 6, 9)
        client, outcome = await come_back(server, position)
        assert (outcome["recovered"], outcome["replayed"]) == (True, 4)
        await publish(server, 10, 11)
        assert await numbers(client, 6) == [6, 7, 8, 9, 10, 11]
        await client.receive_nothing()


@pytest.mark.parametrize(
    ("since", "first"),
    [
        ({"offset": 7}, 7),
        ({"timestamp": format_timestamp(START + 7)}, 7),
        ({"timestamp": format_timestamp(START + 6.5)}, 7),
        ({"seconds": 3}, 7),
        ({"last": 4}, 7),
        ({"offset": 11}, 11),
        ({"last": 1}, 10),
    ],
    ids=str,
)
async def test_each_way_to_say_since_when(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer, since: dict[str, Any], first: int
) -> None:
    async with open_server(HISTORY) as server:
        await publish(server, 1, 10)
        client, outcome = await come_back(server, since)
        assert (outcome["recovered"], outcome["replayed"]) == (True, 11 - first)
        await publish(server, 11, 12)
        assert await numbers(client, 13 - first) == list(range(first, 13))
        await client.receive_nothing()


@pytest.mark.parametrize(
    "since", [{"offset": 3}, {"timestamp": format_timestamp(START + 3)}, {"seconds": 100}], ids=str
)
async def test_what_is_no_longer_held_is_said_to_be_missing(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer, since: dict[str, Any]
) -> None:
    """All that is held comes, and `recovered: false` says that it is not all."""
    async with open_server(HISTORY) as server:
        await publish(server, 1, 50)
        client, outcome = await come_back(server, since)
        assert (outcome["recovered"], outcome["replayed"]) == (False, 20)
        assert await numbers(client, 20) == list(range(31, 51))


async def test_old_position_is_not_recovered_and_the_edge_is(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    async with open_server(HISTORY) as server:
        await publish(server, 1, 50)
        epoch = str(server.hub.position("tasks")).partition("-")[0]
        for offset, recovered in ((29, False), (30, True), (50, True)):
            client, outcome = await come_back(server, f"{epoch}-{offset}")
            assert (outcome["recovered"], outcome["replayed"]) == (recovered, min(20, 50 - offset))
            await client.aclose()


async def test_age_ends_history_too(autojump_clock: trio.testing.MockClock, open_server: OpenServer) -> None:
    settings = rtcore.Settings(limits=rtcore.Limits(history_seconds=60, idle_seconds=0))
    async with open_server(settings) as server:
        await publish(server, 1, 5)
        await trio.sleep(58)
        _, outcome = await come_back(server, {"offset": 1})
        assert (outcome["recovered"], outcome["replayed"]) == (False, 3)
        await trio.sleep(60)
        _, outcome = await come_back(server, {"offset": 1})
        assert (outcome["recovered"], outcome["replayed"]) == (False, 0)


async def test_other_life_of_a_channel_is_not_taken_for_the_same(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """A server that was restarted has other events under the same offsets."""
    async with open_server(HISTORY) as server:
        await publish(server, 1, 5)
        position = str(server.hub.position("tasks"))
    async with open_server(HISTORY) as server:
        await publish(server, 101, 108)
        client, outcome = await come_back(server, position)
        assert (outcome["recovered"], outcome["replayed"]) == (False, 8)
        assert await numbers(client, 8) == list(range(101, 109))
        _, outcome = await come_back(server, f"{str(server.hub.position('tasks')).partition('-')[0]}-9")
        assert outcome["recovered"] is False, "a place that this life has not reached yet"


async def test_filter_holds_for_what_was_missed_and_for_what_comes(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """A quiet filter is never told that it lost something: its position moves on with what it left out."""
    async with open_server(HISTORY) as server:
        where = {"type": "kind.0"}
        client = await server.connect()
        await client.request("subscribe", {"channels": ["tasks"], "where": where})
        await publish(server, 1, 3)
        assert await numbers(client, 1) == [2]
        await publish(server, 101, 101)
        position = (await client.request("heartbeat"))["data"]["positions"]["tasks"]
        await client.aclose()
        await publish(server, 4, 8)
        client, outcome = await come_back(server, position, where=where)
        assert (outcome["recovered"], outcome["replayed"]) == (True, 3)
        await publish(server, 9, 10)
        assert await numbers(client, 4) == [4, 6, 8, 10]


async def test_hand_over_has_no_gap_and_no_repeat(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """While somebody publishes without a break, a client comes back again and again, at every possible moment."""
    async with open_server(rtcore.Settings(limits=rtcore.Limits(history_events=1000))) as server:

        async def publish_always() -> None:
            for number in range(1, 400):
                server.hub.publish("tasks", "x", {"number": number})
                await trio.lowlevel.checkpoint()

        got: list[int] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish_always)
            client, _ = await come_back(server, {"offset": 1})
            while len(got) < 399:
                event = await client.receive()
                got.append(event["data"]["number"])
                if len(got) % 7 == 0:
                    await client.aclose()
                    client, outcome = await come_back(server, event["position"])
                    assert outcome["recovered"] is True
        assert got == list(range(1, 400))


async def test_overtaken_client_is_still_owed_what_was_overtaken(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """High has overtaken low and the connection breaks: the position says that low is still owed, and only low."""
    async with open_server(HISTORY) as server:
        client = await server.connect()
        await client.request("subscribe", {"channels": ["tasks"]})
        stream = client.stream
        assert isinstance(stream, CloggedStream)
        stream.clog(10)
        server.hub.publish("tasks", "x", {"number": 0, "pad": "x" * KEPT_BYTES})
        await trio.testing.wait_all_tasks_blocked()
        for number in range(1, 5):
            server.hub.publish("tasks", "x", {"number": number}, lane=Lane.LOW)
        for number in range(5, 8):
            server.hub.publish("tasks", "x", {"number": number}, lane=Lane.HIGH)
        stream.unclog()
        events = await client.receive_events(3)
        assert [event["data"]["number"] for event in events] == [0, 5, 6]
        await client.aclose()
        client, outcome = await come_back(server, events[-1]["position"])
        assert outcome["recovered"] is True
        assert sorted(await numbers(client, 5)) == [1, 2, 3, 4, 7]
        await client.receive_nothing()


async def test_batches_and_several_channels_come_back_too(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    async with open_server(HISTORY) as server:
        client = await server.connect()
        request = {"channels": ["tasks", "tools"], "batch": {"events": 3, "seconds": 2}}
        await client.request("subscribe", request)
        await publish(server, 1, 3)
        await publish(server, 101, 103, "tools")
        positions = {event["channel"]: event["position"] for event in await client.receive_events(6)}
        await client.aclose()
        await publish(server, 4, 6)
        await publish(server, 104, 104, "tools")
        client = await server.connect()
        reply = await client.request("subscribe", {**request, "since": {"positions": positions}})
        channels = reply["data"]["channels"]
        assert {name: (channels[name]["recovered"], channels[name]["replayed"]) for name in channels} == {
            "tasks": (True, 3),
            "tools": (True, 1),
        }
        assert sorted(await numbers(client, 4)) == [4, 5, 6, 104]


async def test_more_than_one_request_may_ask_for_is_said_to_be_missing(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    limits = rtcore.Limits(history_events=50, replay_events=10)
    async with open_server(rtcore.Settings(limits=limits)) as server:
        await publish(server, 1, 30)
        client, outcome = await come_back(server, {"offset": 1})
        assert (outcome["recovered"], outcome["replayed"]) == (False, 10)
        assert await numbers(client, 10) == list(range(21, 31))


async def test_reader_in_this_process_comes_back_the_same_way(autojump_clock: trio.testing.MockClock) -> None:
    async with open_test_hub() as hub:
        async with hub.subscribe("tasks") as events, trio.open_nursery() as nursery:
            nursery.start_soon(anext, events)
            await trio.testing.wait_all_tasks_blocked()
            hub.publish("tasks", "x", 1)
            await trio.testing.wait_all_tasks_blocked()
            position = events.positions["tasks"]
        for number in (2, 3):
            hub.publish("tasks", "x", number)
        async with hub.subscribe("tasks", since=rtcore.from_position(position)) as events:
            assert (events.subscribed["tasks"].recovered, events.subscribed["tasks"].replayed) == (True, 2)
            assert [(await anext(events)).data for _ in range(2)] == [2, 3]
