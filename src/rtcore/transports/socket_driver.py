"""
The socket driver: one task that serves every plain TCP socket of a server.

The table's epoll set is itself a descriptor that Trio can wait for. While sockets are ready the driver polls the set
once a tick, which costs one system call for all of them; only when nothing was ready does it wait. Data goes to the
sockets' owners synchronously, so pings are answered and frames are parsed without any task being woken.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import trio

from rtcore._fast import AVAILABLE, SocketTable

__all__ = ["SOCKETS_AVAILABLE", "open_socket_table"]

logger = logging.getLogger("rtcore.connection")

SOCKETS_AVAILABLE = AVAILABLE
"""Whether this system has what the driver needs; elsewhere sockets are served as streams."""

_POLLS: Final = 4
"""Polls before all other tasks have a turn; each serves at most 256 sockets."""


@asynccontextmanager
async def open_socket_table() -> AsyncGenerator[SocketTable]:
    """
    A table that is served while the block runs, and for as long as the block takes to end.

    When the block is cancelled its connections still have to say good-bye, within deadlines of their own; so the driver
    is shielded, and ends when they have: with the block. Sockets that are left then are closed.
    """
    table = SocketTable()
    try:
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope(shield=True)
            nursery.start_soon(_drive, table, scope)
            try:
                yield table
            finally:
                scope.cancel()
    finally:
        table.close()


async def _drive(table: SocketTable, scope: trio.CancelScope) -> None:
    with scope:
        while True:
            if not _poll(table):
                await trio.lowlevel.wait_readable(table.fileno())
                continue
            # While that was served more has come; a tick of Trio's costs as much as serving a socket.
            polls = 1
            while polls < _POLLS and _poll(table):
                polls += 1
            await trio.lowlevel.checkpoint()


def _poll(table: SocketTable) -> int:
    try:
        return table.poll()
    except Exception:  # of one connection, which is closed by now: it must not end all others
        logger.exception("a connection failed, and failed to say so")
        return 1
