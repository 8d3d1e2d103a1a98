"""Connections that open and say little must not keep others out."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from rtcore.server.settings import Settings
from rtcore.testing import open_test_server
from rtcore.values.limits import Limits


async def test_of_too_many_unfinished_handshakes_the_oldest_goes(autojump_clock: MockClock) -> None:
    limits = Limits(handshakes=3)
    async with open_test_server(Settings(limits=limits)) as server:
        silent = []
        for number in range(3):
            silent.append(server.open_stream(port=50000 + number))
            await wait_all_tasks_blocked()  # Trio begins tasks of one tick in any order
        client = await server.connect()
        assert await silent[0].receive_some() == b"", "the oldest was dropped"
        with trio.move_on_after(1) as scope:
            await silent[1].receive_some()
        assert scope.cancelled_caught, "the others still have their time"
        await client.close()


async def test_finished_handshakes_do_not_count(autojump_clock: MockClock) -> None:
    limits = Limits(handshakes=1)
    async with open_test_server(Settings(limits=limits)) as server:
        clients = [await server.connect() for _ in range(5)]
        for client in clients:
            await client.close()
