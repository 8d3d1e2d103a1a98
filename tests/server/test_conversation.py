"""What one client asks for in one go must not cost the others their turn, nor the server its memory."""

from __future__ import annotations

import json
import logging

import pytest
import trio
import trio.testing

from rtcore.server.settings import Settings
from rtcore.testing import mask_frame, open_test_server
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode, Opcode

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


async def test_whoever_is_sent_away_for_abuse_is_named_in_the_log_with_the_limit(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Single violations are told there too, and alone they do not say whose connection ended."""
    caplog.set_level(logging.INFO, "rtcore.connection")
    limits = Limits(messages_per_second=0.01, message_burst=1, violations=2, violation_seconds=30.0)
    async with open_test_server(Settings(limits=limits)) as server:
        client = await server.connect()
        for _ in range(3):
            await client.send("heartbeat")
        closed = await client.receive_close()
    assert closed.code == CloseCode.POLICY_VIOLATION
    assert closed.reason == "too many messages for too long: violations=2 within violation_seconds=30"
    name = client.welcome["connection_id"]
    assert f"connection {name}: closing with 1008: {closed.reason}" in caplog.messages
