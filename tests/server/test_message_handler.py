"""
An endpoint that only reacts, over a real socket and over a memory stream: the one is written to by compiled code alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio

import rtcore
from rtcore.protocol.protocol_events import MessageReceived
from rtcore.testing import TestClient, mask_frame, open_test_hub, open_test_server
from rtcore.transports.websocket_connection import WebSocketConnection
from rtcore.values.opcodes import Opcode

Function = Callable[[WebSocketConnection, MessageReceived], None]
Connect = Callable[[rtcore.Hub, Function], AbstractAsyncContextManager[TestClient]]


@asynccontextmanager
async def over_a_stream(hub: rtcore.Hub, function: Function) -> AsyncIterator[TestClient]:
    async with open_test_server(hub=hub, endpoints={"/x": rtcore.MessageHandler(function)}) as server:
        yield await server.connect("/x")


@asynccontextmanager
async def over_a_socket(hub: rtcore.Hub, function: Function) -> AsyncIterator[TestClient]:
    endpoints = {"/x": rtcore.MessageHandler(function)}
    async with trio.open_nursery() as nursery:
        settings = rtcore.Settings(port=0)
        server = await nursery.start(
            lambda task_status: rtcore.serve(hub, settings, endpoints=endpoints, task_status=task_status)
        )
        async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
            client = TestClient(stream)
            await client.handshake("/x")
            yield client
        nursery.cancel_scope.cancel()


@pytest.fixture(params=[over_a_stream, over_a_socket])
def connect(request: pytest.FixtureRequest) -> Connect:
    found: Connect = request.param
    return found


async def test_messages_of_one_read_are_answered_in_order(connect: Connect) -> None:
    def answer(connection: WebSocketConnection, message: MessageReceived) -> None:
        connection.send_message(message.data.upper(), text=message.text)

    async with open_test_hub() as hub, connect(hub, answer) as client:
        texts = [b"a%d" % number for number in range(200)]
        await client.send_raw(b"".join(mask_frame(Opcode.TEXT, text) for text in texts))
        assert [await client.receive_message() for _ in texts] == [text.decode().upper() for text in texts]
        await client.send_binary(b"b")
        assert await client.receive_message() == b"B"


async def test_a_reply_leaves_before_the_burst_that_its_handler_publishes_after_it(connect: Connect) -> None:
    """A burst leaves inside `publish`, while the message is still being handled."""

    async with open_test_hub() as hub:

        def tell(connection: WebSocketConnection, message: MessageReceived) -> None:
            if message.data == b"subscribe":
                hub.attach_cursor(connection, "tasks")
                connection.send_message(b'{"type":"ready"}')
                return
            connection.send_message(b'{"type":"reply"}')
            for number in range(300):
                hub.publish("tasks", "task.progress", number)

        async with connect(hub, tell) as client:
            await client.send_text("subscribe")
            assert (await client.receive())["type"] == "ready"
            await client.send_text("go")
            assert [(await client.receive())["type"] for _ in range(301)] == ["reply"] + ["task.progress"] * 300


async def test_a_client_that_reads_nothing_for_a_while_still_gets_all_replies(connect: Connect) -> None:
    """More than the system's buffers take, so that writes are cut short and the rest waits for room."""
    answer = b"x" * 300_000

    def flood(connection: WebSocketConnection, message: MessageReceived) -> None:
        connection.send_message(message.data + answer)

    async with open_test_hub() as hub, connect(hub, flood) as client:
        await client.send_raw(b"".join(mask_frame(Opcode.TEXT, b"%03d" % number) for number in range(60)))
        for number in range(60):
            assert await client.receive_message() == f"{number:03}" + answer.decode()


async def test_a_ping_is_answered_before_the_replies_of_its_read(connect: Connect) -> None:
    def answer(connection: WebSocketConnection, message: MessageReceived) -> None:
        connection.send_message(message.data)

    async with open_test_hub() as hub, connect(hub, answer) as client:
        await client.send_raw(mask_frame(Opcode.PING, b"p") + mask_frame(Opcode.TEXT, b"m"))
        frames = [await client.receive_frame() for _ in range(2)]
        assert [(frame.opcode, frame.payload) for frame in frames] == [(Opcode.PONG, b"p"), (Opcode.TEXT, b"m")]
