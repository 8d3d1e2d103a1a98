"""
Promise: a subscriber that does not keep up costs bounded memory, is told exactly what it lost, and is closed with 4000
once it has taken nothing for too long.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
import trio
import trio.testing

import rtcore
from rtcore.testing import CloggedStream, TestClient, TestServer, mask_frame, open_test_server
from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.channels import Namespace, Overflow
from rtcore.values.events import Lane
from rtcore.values.opcodes import Opcode
from tests.driver_server import KEPT_BYTES, OpenServer

CUT_SHORT = "x" * KEPT_BYTES
"""Data of an event that does not get through to a clogged client as a whole, over whatever it is connected."""
NAMESPACES = {rule.value.replace("_", "-"): Namespace(overflow=rule) for rule in Overflow}


async def clogged(
    server: TestServer, channel: str = "tasks", *others: str, **more: Any
) -> tuple[TestClient, CloggedStream]:
    """A subscriber that takes ten bytes more and then none; one event is on its way to it, and was cut short."""
    client = await server.connect()
    await client.request("subscribe", {"channels": [channel, *others], **more})
    stream = client.stream
    assert isinstance(stream, CloggedStream)
    stream.clog(10)
    server.hub.publish(channel, "first", CUT_SHORT)
    await trio.testing.wait_all_tasks_blocked()
    return client, stream


async def test_lag_is_bounded_in_events_and_bytes(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    limits = rtcore.Limits(lag_events=100, lag_bytes=50_000, history_events=10, slow_consumer_seconds=10_000)
    async with open_server(rtcore.Settings(limits=limits)) as server:
        for _ in range(5):
            await clogged(server)

        async def publish(count: int) -> None:
            for number in range(count):
                server.hub.publish("tasks", "x", {"number": number, "pad": "x" * 1000})
                if number % 20 == 0:
                    await trio.testing.wait_all_tasks_blocked()
            await trio.testing.wait_all_tasks_blocked()
            figures = server.hub.statistics()
            assert 0 < figures.backlog_events <= 5 * 100
            assert 0 < figures.backlog_bytes <= 5 * 50_000

        await publish(200)
        tracemalloc.start()
        try:
            await publish(200)  # by now all that waits was made while memory is traced
            before, _ = tracemalloc.get_traced_memory()
            await publish(1000)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before < 100_000, "1 MB went by, for each of five"


@pytest.mark.parametrize("window", [{}, {"batch": True}], ids=["single", "batch"])
async def test_notice_names_exactly_what_was_lost(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer, window: dict[str, Any]
) -> None:
    """Received and dropped are all that was published; types and ranges are right, and `replay` takes them back."""
    limits = rtcore.Limits(lag_events=10, history_events=1000)
    async with open_server(rtcore.Settings(limits=limits)) as server:
        client, stream = await clogged(server, **window)
        if window:
            await trio.sleep(1)  # the window closes, and its write is cut short
        for number in range(40):
            server.hub.publish("tasks", f"kind.{number % 2}", {"number": number}, lane=Lane.LOW)
        stream.unclog()
        await trio.sleep(1)
        received: list[int] = []
        notice: dict[str, Any] = {}
        while len(received) < 10:
            message = await client.receive()
            if message["type"] == "dropped":
                assert not notice, "one loss, one notice"
                assert not received, "the notice comes before what follows the loss"
                notice = message["data"]
                continue
            events = message["data"]["events"] if message["type"] == "batch" else [message]
            received += [event["data"]["number"] for event in events if event["type"] != "first"]
        assert received == list(range(30, 40))
        assert (notice["channel"], notice["count"]) == ("tasks", 30)
        assert notice["types"] == {"kind.0": 15, "kind.1": 15}
        assert notice["ranges"] == [{"lane": "low", "from": 2, "to": 31, "count": 30}]
        ranges = [{key: span[key] for key in ("lane", "from", "to")} for span in notice["ranges"]]
        replayed = (await client.request("replay", {"channel": "tasks", "ranges": ranges}))["data"]
        assert [event["data"]["number"] for event in replayed["events"]] == list(range(30))
        assert (replayed["recovered"], replayed["missing"]) == (True, 0)
        assert server.hub.statistics().dropped == 30


async def test_low_lane_is_lost_first_and_high_last(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    async with open_server(rtcore.Settings(limits=rtcore.Limits(lag_events=10))) as server:
        client, stream = await clogged(server)
        for lane, count in ((Lane.HIGH, 5), (Lane.LOW, 10), (Lane.NORMAL, 5)):
            for _ in range(count):
                server.hub.publish("tasks", lane.name.lower(), {}, lane=lane)
        stream.unclog()
        await client.expect("first")
        notice = await client.expect("dropped")
        assert notice["data"]["types"] == {"low": 10}
        assert [event["type"] for event in await client.receive_events(10)] == ["high"] * 5 + ["normal"] * 5


async def test_subscriber_that_takes_nothing_is_closed(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """It is cut at its deadline, counted, and everything of it is gone; were it to read at last, it would read 4000."""
    limits = rtcore.Limits(slow_consumer_seconds=7, close_seconds=3)
    async with open_server(rtcore.Settings(limits=limits)) as server:
        client, stream = await clogged(server)
        await trio.sleep(6.5)
        assert server.server.pool.statistics().active == 1
        await trio.sleep(1)
        assert server.hub.statistics().disconnected_slow == 1
        assert server.hub.statistics().subscribers == 0, "what is published from now on does not wait for it"
        stream.unclog()
        assert (await client.receive_close()).code == rtcore.CloseCode.SLOW_CONSUMER
        await trio.testing.wait_all_tasks_blocked()
        assert server.server.pool.statistics().active == 0


async def test_one_that_never_reads_is_cut(autojump_clock: trio.testing.MockClock, open_server: OpenServer) -> None:
    limits = rtcore.Limits(slow_consumer_seconds=7, close_seconds=3)
    async with open_server(rtcore.Settings(limits=limits)) as server:
        client, stream = await clogged(server)
        await trio.sleep(10.5)
        assert server.server.pool.statistics().active == 0
        stream.unclog()
        with pytest.raises(AssertionError, match="ended inside a frame"):
            await client.receive_close()


async def test_subscriber_that_takes_a_little_now_and_then_lives(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """Slow is not dead: a write within the time is enough to stay, and in the end it has what its lag allows."""
    limits = rtcore.Limits(slow_consumer_seconds=7, ping_seconds=0, idle_seconds=0)
    async with open_server(rtcore.Settings(limits=limits)) as server:
        client, stream = await clogged(server)
        for number in range(50):
            server.hub.publish("tasks", "x", {"number": number, "pad": "x" * (KEPT_BYTES + 500)})
            await trio.sleep(6)
            stream.unclog(bytes=KEPT_BYTES + 1000)
            await trio.testing.wait_all_tasks_blocked()  # one event leaves at a time
        stream.unclog()
        await client.expect("first")
        assert [e["data"]["number"] for e in await client.receive_events(50)] == list(range(50))


async def test_channel_may_rather_lose_the_subscriber(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    settings = rtcore.Settings(limits=rtcore.Limits(lag_events=3), namespaces=NAMESPACES)
    async with open_server(settings) as server:
        client, stream = await clogged(server, "disconnect")
        outcomes = [server.hub.publish("disconnect", "x", {}) for _ in range(4)]
        assert [outcome.queued for outcome in outcomes] == [1, 1, 1, 0]
        assert outcomes[-1].dropped == 1
        stream.unclog()
        closed = await client.receive_close()
        assert (closed.code, server.hub.statistics().disconnected_slow) == (rtcore.CloseCode.SLOW_CONSUMER, 1)


async def test_burst_that_has_no_room_disconnects_too(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """Published in one tick, before the subscriber is known to be slow: nothing of such a channel is ever dropped."""
    settings = rtcore.Settings(limits=rtcore.Limits(lag_events=3), namespaces=NAMESPACES)
    async with open_server(settings) as server:
        client = await server.connect()
        await client.request("subscribe", {"channels": ["disconnect"]})
        client.stream.clog(10)  # type: ignore[attr-defined]  # a CloggedStream
        for number in range(20):
            server.hub.publish("disconnect", "x", {"number": number, "pad": "x" * 30_000})
        await trio.testing.wait_all_tasks_blocked()
        figures = server.hub.statistics()
        assert (figures.dropped, figures.disconnected_slow, figures.subscribers) == (0, 1, 0)
        client.stream.unclog()  # type: ignore[attr-defined]  # a CloggedStream
        assert (await client.receive_close()).code == rtcore.CloseCode.SLOW_CONSUMER


@pytest.mark.parametrize(("lane", "dropped"), [(Lane.LOW, 4), (Lane.NORMAL, 0)])
async def test_other_channels_push_nothing_out_that_may_not_be_lost(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer, lane: Lane, dropped: int
) -> None:
    """One backlog for all channels: the low lane of others goes first; what would go next ends the connection."""
    settings = rtcore.Settings(limits=rtcore.Limits(lag_events=3), namespaces=NAMESPACES)
    async with open_server(settings) as server:
        client, stream = await clogged(server, "tasks", "disconnect")
        server.hub.publish("disconnect", "kept", {})
        for _ in range(6):
            server.hub.publish("tasks", "other", {}, lane=lane)
        await trio.testing.wait_all_tasks_blocked()
        assert server.hub.statistics().dropped == dropped
        stream.unclog()
        if dropped:
            assert [(await client.receive())["type"] for _ in range(3)] == ["first", "dropped", "kept"]
        else:
            assert (await client.receive_close()).code == rtcore.CloseCode.SLOW_CONSUMER
        assert server.hub.statistics().disconnected_slow == (not dropped)


async def test_command_that_finds_no_room_ends_the_connection_and_nothing_else(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer, caplog: pytest.LogCaptureFixture
) -> None:
    """What waits in an open window leaves before its filter changes; when that disconnects, no channel is left."""
    settings = rtcore.Settings(limits=rtcore.Limits(lag_events=3), namespaces=NAMESPACES)
    async with open_server(settings) as server:
        client = await server.connect()
        batch = {"events": 100, "seconds": 10}
        await client.request("subscribe", {"channels": ["disconnect", "disconnect:2"], "batch": batch})
        for channel in ("disconnect", "disconnect:2"):
            for _ in range(20):
                server.hub.publish(channel, "x", "x" * 2_000)
        client.stream.clog(10)  # type: ignore[attr-defined]  # a CloggedStream
        await client.send_json({"type": "set_filters", "data": {"where": {"x": 1}}})
        await trio.testing.wait_all_tasks_blocked()
        assert (server.hub.statistics().dropped, server.hub.statistics().disconnected_slow) == (0, 1)
        client.stream.unclog()  # type: ignore[attr-defined]  # a CloggedStream
        assert (await client.receive_close()).code == rtcore.CloseCode.SLOW_CONSUMER
        assert not caplog.records, "no handler failed"


async def test_one_that_is_closing_and_has_no_room_holds_nothing(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    """It has broken the protocol, and its handler is still at the messages before: what comes has no bound but this."""
    settings = rtcore.Settings(limits=rtcore.Limits(lag_events=3), namespaces=NAMESPACES)
    handed: list[WebSocketConnection] = []

    async def read_slowly(connection: WebSocketConnection) -> None:
        for channel in ("disconnect", "tasks"):
            server.hub.attach_cursor(connection, channel)
        handed.append(connection)
        await connection.receive()
        await trio.sleep(10)

    async with open_server(settings, endpoints={"/slow": read_slowly}) as server:
        client = await server.connect("/slow")
        client.stream.clog(10)  # type: ignore[attr-defined]  # a CloggedStream
        server.hub.publish("tasks", "x", CUT_SHORT)
        await trio.testing.wait_all_tasks_blocked()
        await client.send_raw(mask_frame(Opcode.TEXT, b"hello") + b"\xff" * 14)
        await trio.testing.wait_all_tasks_blocked()
        server.hub.publish("disconnect", "x", {})
        for _ in range(10):
            server.hub.publish("tasks", "x", {})
            await trio.testing.wait_all_tasks_blocked()
        (connection,) = handed
        assert connection.ended is None, "its last word comes after the messages"
        assert connection.statistics().backlog_events == 0


async def test_channel_may_rather_wait(autojump_clock: trio.testing.MockClock, open_server: OpenServer) -> None:
    """Nothing is dropped: the publisher goes on when the subscriber does, or when it is closed."""
    settings = rtcore.Settings(limits=rtcore.Limits(lag_events=3, slow_consumer_seconds=30), namespaces=NAMESPACES)
    async with open_server(settings) as server:
        client, stream = await clogged(server, "wait")

        async def publish() -> None:
            for number in range(20):
                await server.hub.publish_wait("wait", "x", {"number": number})

        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish)
            await trio.sleep(10)
            assert server.hub.statistics().published == 1 + 3 + 1, "the first, three that wait, and who has connected"
            stream.unclog()
            await client.expect("first")
            assert [e["data"]["number"] for e in await client.receive_events(20)] == list(range(20))
        assert server.hub.statistics().dropped == 0

        await clogged(server, "wait")
        began = trio.current_time()
        for number in range(5):
            await server.hub.publish_wait("wait", "x", {"number": number})
        assert trio.current_time() - began == pytest.approx(30), "no longer than a slow subscriber may live"


async def test_channel_may_rather_keep_the_newest_of_each_key(
    autojump_clock: trio.testing.MockClock, open_server: OpenServer
) -> None:
    settings = rtcore.Settings(limits=rtcore.Limits(lag_events=10), namespaces=NAMESPACES)
    async with open_server(settings) as server:
        client, stream = await clogged(server, "conflate")
        for number in range(100):
            server.hub.publish("conflate", "x", {"number": number}, key=f"k{number % 4}")
        stream.unclog()
        await client.expect("first")
        events = await client.receive_events(4)
        assert [(e["key"], e["data"]["number"], e["conflated"]) for e in events] == [
            (f"k{key}", 96 + key, 24) for key in range(4)
        ]
        await client.receive_nothing()


async def test_reader_in_this_process_is_bounded_and_told_too(autojump_clock: trio.testing.MockClock) -> None:
    async with open_test_server() as server, server.hub.subscribe("tasks", lag_events=5) as events:
        for number in range(20):
            server.hub.publish("tasks", "x", {"number": number})
        await trio.testing.wait_all_tasks_blocked()
        notice = await anext(events)
        assert isinstance(notice.data, dict)
        assert (notice.type, notice.data["count"]) == ("dropped", 15)
        assert [(await anext(events)).data for _ in range(5)] == [{"number": number} for number in range(15, 20)]


async def test_reader_in_this_process_loses_its_subscription_to_a_burst_and_resumes(
    autojump_clock: trio.testing.MockClock
) -> None:
    async with open_test_server(rtcore.Settings(namespaces=NAMESPACES)) as server:
        hub = server.hub
        async with hub.subscribe("disconnect", lag_events=5) as events:
            for number in range(20):
                hub.publish("disconnect", "x", number)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(rtcore.HubClosed):
                await anext(events)
            since = rtcore.from_position(events.positions["disconnect"])
        assert (hub.statistics().dropped, hub.statistics().disconnected_slow) == (0, 1)
        async with hub.subscribe("disconnect", since=since) as events:
            assert [(await anext(events)).data for _ in range(20)] == list(range(20))
