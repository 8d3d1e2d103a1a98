"""The driver of all sockets outlives every fault of one of them, and ends with its block."""

from __future__ import annotations

import logging
import socket
from typing import cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from rtcore._fast import SlotOwner
from rtcore.transports.socket_driver import SOCKETS_AVAILABLE, open_socket_table

pytestmark = pytest.mark.skipif(not SOCKETS_AVAILABLE, reason="epoll is Linux's")


class Owner:
    """Keeps what comes, or fails in every way."""

    def __init__(self, *, failing: bool = False) -> None:
        self.failing = failing
        self.heard: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        if self.failing:
            raise RuntimeError("once")
        self.heard.append(data)

    def failed(self, error: Exception) -> None:
        raise RuntimeError("twice")


async def test_a_connection_that_fails_twice_ends_alone(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_socket_table() as table:
        ends = [socket.socketpair() for _ in range(2)]
        owners = [Owner(failing=True), Owner()]
        for (ours, _), owner in zip(ends, owners, strict=True):
            table.add(ours.detach(), cast("SlotOwner", owner))
        with caplog.at_level(logging.ERROR, "rtcore.connection"):
            for _, theirs in ends:
                theirs.send(b"x")
            await wait_all_tasks_blocked()
        assert [record.message for record in caplog.records] == ["a connection failed, and failed to say so"]
        ends[1][1].send(b"y")
        await wait_all_tasks_blocked()
        assert owners[1].heard == [b"x", b"y"]
        assert len(table) == 1
        for _, theirs in ends:
            theirs.close()


async def test_sockets_are_served_until_a_cancelled_block_has_said_goodbye(autojump_clock: MockClock) -> None:
    """Close frames have to leave, and answers to come, while everything around is being cancelled."""
    ours, theirs = socket.socketpair()
    owner = Owner()
    with trio.CancelScope() as scope:
        async with open_socket_table() as table:
            table.add(ours.detach(), cast("SlotOwner", owner))
            scope.cancel()
            with trio.CancelScope(shield=True):
                theirs.send(b"goodbye")
                await trio.sleep(1)
            assert owner.heard == [b"goodbye"]
    assert table.fileno() == -1
    assert theirs.recv(1) == b"", "what is left is closed with the block"
    theirs.close()
