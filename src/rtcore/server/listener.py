"""Listening sockets, and the loop that takes connections from them."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from typing import Final

import trio

from rtcore._fast import accept_all
from rtcore.errors import ServerError

__all__ = ["accept_connections", "open_listeners"]

logger = logging.getLogger("rtcore.listener")

_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
"""Errors of `accept` that pass when other connections end. Source: trio's `serve_listeners`."""
_EXHAUSTED_SECONDS: Final = 0.1
_BATCH: Final = 64
"""Connections accepted before everybody else has a turn."""
_LOG_SECONDS: Final = 10.0  # one line says it; a hundred would fill the disk as well


async def open_listeners(host: str, port: int, backlog: int) -> list[trio.SocketListener]:
    """
    Listen on every address that the host stands for, on one port.

    Args:
        host: Address or name.
        port: TCP port; 0: one that the system chooses.
        backlog: Connections that the system may hold until they are accepted.

    Raises:
        ServerError: If the address cannot be listened on; the message says why.
    """
    try:
        return await trio.open_tcp_listeners(port, host=host, backlog=backlog)
    except OSError as error:
        raise ServerError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error


async def accept_connections(
    listener: trio.SocketListener, accepted: Callable[[int, tuple[str, int]], None]
) -> None:
    """
    Hand over each connection, its descriptor with the peer's address, until cancelled; then the listener is closed.

    They are taken in batches: a wait costs more than an `accept`.

    Args:
        listener: Owned from now on.
        accepted: Takes a descriptor over, which does not block; must not block either, and must close one that it
            fails with.
    """
    log_from = trio.current_time()
    with _plain(listener.socket) as listening:
        while True:
            await trio.lowlevel.wait_readable(listening)
            try:
                batch = accept_all(listening.fileno(), _BATCH)
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    if trio.current_time() >= log_from:
                        logger.error("cannot accept: %s; trying again", error.strerror)
                        log_from = trio.current_time() + _LOG_SECONDS
                    await trio.sleep(_EXHAUSTED_SECONDS)
                elif error.errno in (errno.EBADF, errno.ENOTSOCK):
                    raise
                continue  # otherwise the peer was gone before it was accepted
            for descriptor, host, port in batch:
                try:
                    accepted(descriptor, (host, port))
                except Exception:  # one that cannot be served must not keep the others waiting for ever
                    logger.exception("cannot serve a connection from %s", host)


def _plain(listening: trio.socket.SocketType) -> socket.socket:
    """The socket without Trio's wrapper, and without delay for what it accepts: an event must not wait for the next."""
    plain = socket.socket(listening.family, listening.type, listening.proto, listening.detach())
    plain.setblocking(False)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
    return plain
