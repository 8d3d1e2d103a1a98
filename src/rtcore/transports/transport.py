"""What a connection asks of the thing that carries its bytes, and what it is told by it."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from rtcore._fast import SlotOwner, SocketSlot

__all__ = ["Receiver", "Transport"]

Receiver = SlotOwner
"""Who is given what comes: a connection, the same for sockets and streams. None of its methods blocks."""


class Transport(Protocol):
    """
    A reliable ordered byte stream whose sending side never blocks its caller.

    Fan-out writes to thousands of connections in a row, so that one must not wait, and a wake-up per delivery must not
    be needed where the system can take the bytes at once. What comes is pushed to the receiver; its task is woken only
    when the receiver asks for it.
    """

    @property
    def slot(self) -> SocketSlot | None:
        """The socket, where the fan-out may write to it directly."""
        ...

    @property
    def direct(self) -> bool:
        """Whether `send_nowait` is no more than the slot's `send`, which compiled code may call instead."""
        ...

    @property
    def bytes_sent(self) -> int:
        """Bytes taken so far, those that the fan-out wrote to the socket included."""
        ...

    @property
    def sending(self) -> bool:
        """Whether bytes already taken go out only while room is watched for."""
        ...

    @property
    def full(self) -> bool:
        """Whether nothing more is taken before the receiver was told of room."""
        ...

    def serve(self, receiver: Receiver) -> AbstractAsyncContextManager[None]:
        """Tell this receiver of what comes and of room, while the block runs."""
        ...

    def send_nowait(self, data: bytes | memoryview) -> int:
        """
        Send what can be sent without waiting.

        Returns:
            How many bytes were taken, 0 to `len(data)`.

        Raises:
            trio.BrokenResourceError: If the connection is gone.
            trio.ClosedResourceError: If it was closed on this side.
        """
        ...

    def watch_room(self, wanted: bool) -> None:
        """Tell the receiver (`sendable`) whenever more may be taken, until it is turned off; idempotent."""
        ...

    def watch_input(self, wanted: bool) -> None:
        """Read, or let what comes wait at the peer, beyond what is read already; idempotent."""
        ...

    def wait_input(self) -> Awaitable[object]:
        """
        Wait until the receiver was given something and called `wake`, or may have been; a checkpoint.

        It raises nothing of the connection: the receiver is told when that is lost.
        """
        ...

    def wake(self) -> None:
        """Have `wait_input` return."""
        ...

    async def send_eof(self) -> bool:
        """Say that nothing more will be sent; returns whether it can be said. Idempotent; never waits long."""
        ...

    async def aclose(self) -> None:
        """Close; idempotent. Bytes taken may still be delivered."""
        ...

    def abort(self) -> None:
        """Close at once without waiting for anything; idempotent."""
        ...
