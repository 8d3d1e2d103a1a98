"""Signals of a server that runs as a program."""

from __future__ import annotations

import logging
import signal

import trio

from rtcore.errors import SettingsError
from rtcore.server.server import Server

__all__ = ["handle_signals"]

logger = logging.getLogger("rtcore.server")


async def handle_signals(server: Server, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """
    SIGTERM and SIGINT drain; a second one ends at once. SIGHUP reads certificate and keys again.

    Returns when it is time to end at once; the caller then cancels the server.
    """
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            if number == signal.SIGHUP:
                _reload(server)
            elif server.draining:
                logger.warning("second %s: ending at once", signal.Signals(number).name)
                return
            else:
                logger.info("%s: draining; once more ends at once", signal.Signals(number).name)
                server.drain()


def _reload(server: Server) -> None:
    try:
        server.reload()
    except SettingsError as error:
        logger.error("reload failed, what was read before stays in use: %s", error)
    else:
        logger.info("certificate and keys were read again")
