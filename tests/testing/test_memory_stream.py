"""The stream of the kit: a stream by Trio's own book, and its faults."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from rtcore.testing import CloggedStream, clogged_stream_pair


async def test_it_is_a_stream_by_the_book() -> None:
    """Trio's own contract suite: partial reads, conflicts, closing from either side, cancellation."""

    async def make_pair() -> tuple[CloggedStream, CloggedStream]:
        return clogged_stream_pair()

    async def make_full_pair() -> tuple[CloggedStream, CloggedStream]:
        ends = clogged_stream_pair()
        for end in ends:
            end.hold(1)
        for end in ends:
            await end.send_all(b"x")
        return ends

    await trio.testing.check_half_closeable_stream(make_pair, make_full_pair)


async def test_clogged_end_takes_so_many_bytes_and_no_more(autojump_clock: trio.testing.MockClock) -> None:
    client, server = clogged_stream_pair()
    client.clog(after_bytes=3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.send_all, b"abcdefgh")
        await trio.testing.wait_all_tasks_blocked()
        assert (client.unread, await client.receive_some()) == (3, b"abc")
        with trio.move_on_after(3600) as scope:
            await client.receive_some()
        assert scope.cancelled_caught, "reading makes no room: the clog is not a buffer"
        client.unclog(bytes=1)
        assert await client.receive_some() == b"d"
        client.unclog()
        assert await client.receive_some() == b"efgh"


async def test_delayed_bytes_come_later_and_in_order(autojump_clock: trio.testing.MockClock) -> None:
    client, server = clogged_stream_pair()
    client.delay(2)
    began = trio.current_time()
    await server.send_all(b"first")
    await trio.sleep(1)
    await server.send_all(b"second")
    await server.send_eof()
    assert await client.receive_some() == b"first"
    assert trio.current_time() - began == pytest.approx(2)
    assert await client.receive_some() == b"second"
    assert trio.current_time() - began == pytest.approx(3)
    assert await client.receive_some() == b""


async def test_cut_connection_is_broken_at_the_other_end() -> None:
    client, server = clogged_stream_pair()
    await client.send_all(b"on its way")
    client.cut()
    for step in (server.receive_some, lambda: server.send_all(b"x")):
        with pytest.raises(trio.BrokenResourceError):
            await step()
