"""A fault of ours at a connection's deadline, over a socket, memory and TLS alike: it ends, and is not forgotten."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio
import trio.testing

from rtcore.errors import ConnectionClosed
from rtcore.transports.connection_timers import ConnectionTimers, Due
from rtcore.transports.websocket_connection import CUT_SECONDS, WebSocketConnection
from rtcore.values.limits import Limits
from rtcore.values.opcodes import CloseCode

OpenTalk = Any  # the fixture of conftest.py


def fail_at_deadlines(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The next looks at a connection's deadlines fail."""
    due, left = ConnectionTimers.due, [True] * times

    def failing(timers: ConnectionTimers, now: float) -> Due:
        return Due(1 // 0) if left and left.pop() else due(timers, now)

    monkeypatch.setattr(ConnectionTimers, "due", failing)


async def test_fault_at_a_deadline_ends_the_connection(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timer is not called again after a fault: the connection would have no deadline any more, and stay for ever."""
    fail_at_deadlines(monkeypatch, 1)
    codes: list[int] = []

    async def handler(connection: WebSocketConnection) -> None:
        try:
            await connection.receive()
        except ConnectionClosed as closed:
            codes.append(closed.code)

    async with open_talk(handler, limits=Limits(ping_seconds=10)) as talk:
        talk.peer.timeout = math.inf
        assert (await talk.peer.receive_close()).code == CloseCode.INTERNAL_ERROR
        assert trio.current_time() < 11
        await talk.finished.wait()
        assert codes == [CloseCode.INTERNAL_ERROR]


async def test_fault_at_the_deadline_of_closing_cuts_the_connection(
    autojump_clock: trio.testing.MockClock, open_talk: OpenTalk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its peer nor its handler does anything about its end."""
    fail_at_deadlines(monkeypatch, 2)

    async def handler(connection: WebSocketConnection) -> None:
        await trio.sleep_forever()

    async with open_talk(handler, limits=Limits(ping_seconds=10, close_seconds=5)) as talk:
        with trio.fail_after(10 + 5 + CUT_SECONDS + 1):
            await talk.finished.wait()
        assert not len(talk.hub.timeouts)
