"""What a connection asks of the thing that carries its bytes."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Transport"]


class Transport(Protocol):
    """
    A reliable ordered byte stream whose sending side never blocks its caller.

    Fan-out calls `send_nowait` for thousands of connections in a row, so that one must not wait, and a wake-up per
    delivery
    must not be needed where the system can take the bytes at once.
    """

    @property
    def sending(self) -> bool:
        """Whether bytes already taken go out only while `wait_sendable` is awaited."""
        ...

    @property
    def full(self) -> bool:
        """Whether nothing more is taken before `wait_sendable` has returned."""
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

    async def wait_sendable(self) -> None:
        """
        Wait until `send_nowait` may take more; a checkpoint.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: As `send_nowait`.
        """
        ...

    async def receive_some(self) -> bytes:
        """
        Wait for the next bytes; a checkpoint. Empty at the end of the stream.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: As `send_nowait`.
        """
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
