"""A plain socket as a stream: it keeps every rule of Trio's streams."""

from __future__ import annotations

import socket
from contextlib import suppress

import trio
import trio.testing

from rtcore.transports.socket_stream import SocketStream

BUFFER = 4096


async def make_pair() -> tuple[SocketStream, SocketStream]:
    left, right = socket.socketpair()
    return SocketStream(left), SocketStream(right)


async def make_clogged_pair() -> tuple[SocketStream, SocketStream]:
    """Neither end can send."""
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        with suppress(BlockingIOError):
            while True:
                end.send(b"x" * BUFFER)
    return SocketStream(ends[0]), SocketStream(ends[1])


async def test_it_is_a_stream_with_two_halves() -> None:
    """Checkpoints, conflicts, closing in the middle, ends, cancellation: as Trio's own tests ask of any stream."""
    await trio.testing.check_half_closeable_stream(make_pair, make_clogged_pair)


async def test_what_is_received_unasked_for_is_little() -> None:
    """TLS keeps a buffer as large as the largest piece it ever got, for as long as the connection lives."""
    left, right = await make_pair()
    async with left, right:
        await left.send_all(b"x" * 40_000)
        assert len(await right.receive_some()) == 16 * 1024 + 256
        assert len(await right.receive_some(64 * 1024)) == 40_000 - 16 * 1024 - 256
