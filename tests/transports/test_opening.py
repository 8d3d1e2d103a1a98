"""The answer to a handshake leaves at once, whatever the handler does first."""

from __future__ import annotations

import trio
import trio.testing

from rtcore.testing import open_test_server
from rtcore.transports.websocket_connection import WebSocketConnection


async def test_handshake_is_answered_before_a_handler_sends_or_receives(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A handler may have something to wait for first; its client must not take the server for dead meanwhile."""

    async def late(connection: WebSocketConnection) -> None:
        await trio.sleep(60)
        await connection.send(b"at last")

    async with open_test_server(endpoints={"/late": late}) as server:
        began = trio.current_time()
        client = await server.connect("/late")
        assert trio.current_time() == began
        client.timeout = 100
        assert await client.receive_message() == "at last"
