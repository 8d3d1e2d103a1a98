"""Plain TCP: the system takes the bytes directly, and is asked for readiness only after it refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, cast

import trio

from rtcore._fast import SocketSlot
from rtcore.transports.transport import Receiver

__all__ = ["SocketTransport"]


def _stop_waiting(_raise_cancel: Callable[[], None]) -> trio.lowlevel.Abort:
    """A function, so that an idle connection holds no bound method."""
    return trio.lowlevel.Abort.SUCCEEDED


class _Served:
    """Static, so that an idle connection holds no bound method."""

    __slots__ = ()

    @staticmethod
    async def __aenter__() -> None:
        return None

    @staticmethod
    async def __aexit__(
        kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


_SERVED: Final = cast("AbstractAsyncContextManager[None]", _Served())


class SocketTransport:
    """
    Args:
        slot: A socket in a table that is being served; the transport owns it from now on.
    """

    __slots__ = ("_task", "slot")

    direct = True
    sending = False
    full = False

    def __init__(self, slot: SocketSlot) -> None:
        self.slot = slot
        self._task: trio.lowlevel.Task | None = None

    @property
    def bytes_sent(self) -> int:
        """Bytes that the kernel took so far, of this connection's writes and of the fan-out's."""
        return self.slot.bytes_sent

    def serve(self, receiver: Receiver) -> AbstractAsyncContextManager[None]:
        """Nothing to be done: the socket's slot knows its owner, and the table's driver serves it."""
        return _SERVED

    def send_nowait(self, data: bytes | memoryview) -> int:
        """Give the kernel what it takes now."""
        try:
            return self.slot.send(data)
        except OSError as error:
            raise self._translated(error) from error

    def watch_room(self, wanted: bool) -> None:
        """Ask the kernel for room, or no longer."""
        self.slot.watch_writing(wanted)

    def watch_input(self, wanted: bool) -> None:
        """Read when something comes, or leave it with the kernel, which then tells the peer to wait."""
        self.slot.watch_reading(wanted)

    def wait_input(self) -> Awaitable[object]:
        """Wait until somebody calls `wake`. Not a coroutine: an idle connection would hold its frame."""
        task = self._task = trio.lowlevel.current_task()
        task.custom_sleep_data = self  # Trio clears it when the task runs again, by `wake` or a cancellation
        return trio.lowlevel.wait_task_rescheduled(_stop_waiting)  # noqa: ASYNC105  # its caller awaits it

    def wake(self) -> None:
        """Let the waiting task run."""
        task, self._task = self._task, None
        if task is not None and task.custom_sleep_data is self:
            trio.lowlevel.reschedule(task)

    async def send_eof(self) -> bool:
        """Shut down the sending side."""
        await trio.lowlevel.checkpoint()
        try:
            self.slot.shut_down()
        except OSError as error:
            raise self._translated(error) from error
        return True

    async def aclose(self) -> None:
        """Close the descriptor; the kernel still delivers what it took."""
        self.abort()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Close the descriptor."""
        self.slot.close()
        self.wake()

    def _translated(self, error: OSError) -> Exception:
        if self.slot.descriptor < 0:
            return trio.ClosedResourceError("the socket was closed on this side")
        return trio.BrokenResourceError(f"the socket is gone: {error.strerror}")
