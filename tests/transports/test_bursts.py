"""A publisher's burst reaches a reader that keeps up, whatever carries it."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from rtcore.testing import TestClient, open_test_server


@pytest.mark.parametrize("events", [100, 1000])
async def test_a_burst_over_tls_is_not_taken_for_a_slow_reader(events: int, autojump_clock: MockClock) -> None:
    """A socket's own buffer takes some hundred kilobytes at once; a stream that has none is given one."""
    async with open_test_server() as server:
        client = TestClient(server.open_stream(secure=True))
        await client.handshake("/ws")
        await client.request("subscribe", {"channels": ["numbers"]})
        for number in range(events):
            server.hub.publish("numbers", "number", number)
        received = await client.receive_events(events)
        assert [event["data"] for event in received] == list(range(events))
        assert server.hub.statistics().dropped == 0
        await client.close()
