"""What one client asks for in one go must not cost the others their turn, nor the server its memory."""

from __future__ import annotations

import json

import trio
import trio.testing

from rtcore.testing import mask_frame, open_test_server
from rtcore.values.opcodes import Opcode

KIB = 1024


def asked(times: int) -> bytes:
    return b"".join(
        mask_frame(Opcode.TEXT, json.dumps({"type": "history", "id": number, "data": {"channel": "big"}}).encode())
        for number in range(times)
    )


async def test_replies_to_one_segment_do_not_pile_up(autojump_clock: trio.testing.MockClock) -> None:
    """A hundred short questions fit into one segment; their answers of 0.5 MiB each must not be made all at once."""
    async with open_test_server() as server:
        client = await server.connect()
        for number in range(5):
            server.hub.publish("big", "t", f"{number}" * 100 * KIB)
        client.stream.clog()  # type: ignore[attr-defined]  # a CloggedStream
        before = server.server.statistics().messages_sent
        await client.send_raw(asked(100))
        await trio.testing.wait_all_tasks_blocked()
        made = server.server.statistics().messages_sent - before
        assert made == 2, "one is on its way, one waits for it, and the rest is not made before these have left"


async def test_replies_all_come_once_they_are_read(autojump_clock: trio.testing.MockClock) -> None:
    async with open_test_server() as server:
        client = await server.connect()
        for number in range(5):
            server.hub.publish("big", "t", f"{number}" * 100 * KIB)
        await client.send_raw(asked(50))
        assert [(await client.expect("history"))["id"] for _ in range(50)] == list(range(50))
