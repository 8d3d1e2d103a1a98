"""A command in a Trio run that SIGINT and SIGTERM end in good order."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

import trio

__all__ = ["heeded", "run_command"]


def run_command(command: Callable[[], Awaitable[int]]) -> int:
    """
    Run an async command to its exit code, or to 128 and the number of the signal that cancelled it.

    An exception of the command comes out as it is, not in a group.
    """
    return trio.run(_supervise, command)


def heeded(*numbers: int) -> list[int]:
    """
    Those signals that whoever started us did not have ignored, as `nohup` does, and shells for what runs behind them.

    Catching an ignored signal would end its being ignored, for the commands that we start too.
    """
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


async def _supervise(command: Callable[[], Awaitable[int]]) -> int:
    code: int | None = None
    failure: Exception | None = None

    async def watch(*, task_status: trio.TaskStatus[None]) -> None:
        nonlocal code
        numbers = heeded(signal.SIGINT, signal.SIGTERM)
        if not numbers:
            task_status.started()
            return
        with trio.open_signal_receiver(*numbers) as signals:
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
