"""The kit itself: hub, server and client without a network."""

from __future__ import annotations

import pytest
import trio

import rtcore
from rtcore.errors import ConnectionClosed, HandshakeRefused
from rtcore.testing import START, open_test_hub, open_test_server
from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.opcodes import Opcode


async def test_client_gets_an_event_over_memory(autojump_clock: trio.testing.MockClock) -> None:
    async with open_test_server() as server:
        client = await server.connect()
        assert client.welcome["protocol"] == "rtcore.v1"
        reply = await client.request("subscribe", {"channels": ["tasks"]})
        assert reply["type"] == "subscribed"
        server.hub.publish("tasks", "task.progress", {"progress": 40})
        event = await client.expect("task.progress")
        assert (event["channel"], event["data"]) == ("tasks", {"progress": 40})
        assert (await client.close()).code == 1000


async def test_wall_clock_goes_as_trio_does(autojump_clock: trio.testing.MockClock) -> None:
    async with open_test_hub() as hub:
        assert hub.clock() == START
        await trio.sleep(3600)
        assert hub.clock() == START + 3600


async def test_hours_of_silence_pass_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """Pings are answered while the client waits, so only the idle timeout ends it."""
    limits = rtcore.Limits(idle_seconds=7200)
    async with open_test_server(rtcore.Settings(limits=limits)) as server:
        client = await server.connect()
        began = trio.current_time()
        client.timeout = 10_000
        closed = await client.receive_close()
        assert closed.code == rtcore.CloseCode.IDLE_TIMEOUT
        assert trio.current_time() - began == pytest.approx(7200)


async def test_client_that_answers_no_pings_is_found_out(autojump_clock: trio.testing.MockClock) -> None:
    async with open_test_server() as server:
        client = await server.connect()
        client.answers_pings = False
        assert (await client.receive_close()).code == rtcore.CloseCode.PING_TIMEOUT


async def test_refused_handshake_says_why(autojump_clock: trio.testing.MockClock) -> None:
    async with open_test_server() as server:
        with pytest.raises(HandshakeRefused, match="no WebSocket endpoint") as refused:
            await server.connect("/nowhere")
        assert refused.value.status == 404


@pytest.mark.parametrize("offer", [True, "permessage-deflate; server_max_window_bits=9; client_max_window_bits"])
async def test_compressed_messages_go_both_ways(autojump_clock: trio.testing.MockClock, offer: bool | str) -> None:
    async with open_test_server(rtcore.Settings(echo=True)) as server:
        client = await server.connect("/echo", compression=offer)
        for text in ("again and again " * 100, "again and again " * 100, "ä" * 70_000):
            await client.send_text(text, compress=True)
            assert await client.receive_message() == text
        await client.send_binary(bytes(1000), compress=True)
        frame = await client.receive_frame()
        assert frame.compressed
        assert frame.opcode is Opcode.BINARY


async def test_endpoint_of_an_application_is_reached(autojump_clock: trio.testing.MockClock) -> None:
    async def shout(connection: WebSocketConnection) -> None:
        for message in await connection.receive():
            await connection.send(message.data.upper())

    async with open_test_server(endpoints={"/shout": shout}) as server:
        client = await server.connect("/shout")
        assert client.welcome == {}
        await client.send_text("hello")
        assert await client.receive_message() == "HELLO"
        with pytest.raises(ConnectionClosed, match="1000"):
            await client.receive_message()


async def test_request_keeps_what_comes_before_its_reply(autojump_clock: trio.testing.MockClock) -> None:
    async with open_test_server() as server:
        client = await server.connect()
        await client.request("subscribe", {"channels": ["a"]})
        server.hub.publish("a", "x", {"n": 1})
        server.hub.publish("a", "x", {"n": 2})
        await trio.testing.wait_all_tasks_blocked()
        assert (await client.request("heartbeat"))["type"] == "heartbeat"
        assert [event["data"]["n"] for event in await client.receive_events(2)] == [1, 2]
        await client.receive_nothing(5)


async def test_drained_server_ends(autojump_clock: trio.testing.MockClock) -> None:
    async with open_test_server() as server:
        client = await server.connect()
        server.server.drain()
        assert (await client.receive_close()).code == 1012
        with trio.fail_after(1):
            await server.ended.wait()


async def test_server_tells_its_statistics(autojump_clock: trio.testing.MockClock) -> None:
    """Whoever embeds the server reads what `/api/v1/realtime/stats` is made of, under the usual name."""
    async with open_test_server() as server:
        await server.connect()
        figures = server.server.statistics()
    assert (figures.connections, figures.connections_total, figures.connections_maximum) == (1, 1, 1000)
