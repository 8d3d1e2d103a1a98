"""A command in a Trio run that SIGINT and SIGTERM end in good order."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

import trio

__all__ = ["run_command"]


def run_command(command: Callable[[], Awaitable[int]]) -> int:
    """
    Run an async command to its exit code, or to 128 and the number of the signal that cancelled it.

    An exception of the command comes out as it is, not in a group.
    """
    return trio.run(_supervise, command)


async def _supervise(command: Callable[[], Awaitable[int]]) -> int:
    code: int | None = None
    failure: Exception | None = None

    async def watch(*, task_status: trio.TaskStatus[None]) -> None:
        nonlocal code
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                code = 128 + number
                nursery.cancel_scope.cancel()
                return

    async with trio.open_nursery() as nursery:
        await nursery.start(watch)
        try:
            code = await command()
        except Exception as error:  # raised again below, outside of the group that the nursery would make
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    assert code is not None  # set by the command, or by the signal that cancelled it
    return code
