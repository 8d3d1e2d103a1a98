"""
From the pipes of a process to whoever wants its output, at that one's pace.

Two tasks read, one hands on. What waits between them is bounded: when it is full nobody reads, the pipe fills, and
the process waits in its own `write`. A flood therefore costs memory for one buffer, whatever its size. The order
within each stream is exact; between the streams it is that of arrival, since two pipes know no other.

Reading goes by `wait_readable` and `os.read` instead of `receive_some`, because of the end: a descendant may hold a
pipe open after the process is gone, and then the pump must take what is there without waiting for more.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Final

import trio
from attrs import define, field

from rtcore.features.process_output import OutputBuffer, OutputPiece
from rtcore.values.limits import Limits

__all__ = ["Emit", "OutputPump"]

Emit = Callable[[OutputPiece], Awaitable[None]]
"""Takes one piece of output. It is awaited before the next piece comes; what it raises ends the process."""

_PIPE_BYTES: Final = 1024 * 1024
"""What a pipe can hold: the most that an unprivileged process may make of it. Source: pipe(7), pipe-max-size."""


@define(eq=False)
class OutputPump:
    """Reads two pipes until both are closed or `leave` is called, and emits all that it read."""

    stdout: int
    """Descriptor of the pipe, not blocking; stays the caller's."""
    stderr: int
    emit: Emit
    limits: Limits
    buffer: OutputBuffer = field(init=False)
    closed: trio.Event = field(init=False, factory=trio.Event)
    """Nothing is read any more: both pipes have reached their end, or were left."""
    done: trio.Event = field(init=False, factory=trio.Event)
    """Nothing is read or emitted any more."""
    failure: Exception | None = field(init=False, default=None)
    """What `emit` raised."""
    left_open: bool = field(init=False, default=False)
    """A pipe was still open when it was left: its holder may have had more to say."""
    _reading: int = field(init=False, default=2)
    _leaving: bool = field(init=False, default=False)
    _waits: set[trio.CancelScope] = field(init=False, factory=set)
    _changed: trio.lowlevel.ParkingLot = field(init=False, factory=trio.lowlevel.ParkingLot)

    def __attrs_post_init__(self) -> None:
        self.buffer = OutputBuffer(self.limits.output_line_bytes)

    async def run(self) -> None:
        """Pump until the end; a failure of `emit` ends it too and is kept in `failure`. Cancelling loses what waits."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read, self.stdout, False)
                nursery.start_soon(self._read, self.stderr, True)
                await self._hand_on()
                nursery.cancel_scope.cancel()
        finally:
            self.closed.set()
            self.done.set()

    def leave(self) -> None:
        """Wait for no further output: take what the pipes hold now, and end."""
        self._leaving = True
        for wait in self._waits:
            wait.cancel()

    async def _read(self, descriptor: int, is_stderr: bool) -> None:
        late_bytes = 0
        while late_bytes <= _PIPE_BYTES and (data := await self._receive(descriptor)):
            late_bytes += len(data) if self._leaving else 0
            self.buffer.feed(data, is_stderr=is_stderr)
            self._changed.unpark_all()
            while self.buffer.size >= self.limits.output_buffer_bytes:
                await self._changed.park()
        self.left_open |= late_bytes > _PIPE_BYTES
        self.buffer.finish(is_stderr=is_stderr)
        self._reading -= 1
        if not self._reading:
            self.closed.set()
        self._changed.unpark_all()

    async def _receive(self, descriptor: int) -> bytes:
        """The next bytes; none at the end of the pipe, or where it is being left and is empty."""
        while True:
            with trio.CancelScope() as wait:
                if self._leaving:
                    wait.cancel()
                self._waits.add(wait)
                await trio.lowlevel.wait_readable(descriptor)
            self._waits.discard(wait)
            try:
                return os.read(descriptor, self.limits.output_buffer_bytes)
            except BlockingIOError:
                if self._leaving:
                    self.left_open = True
                    return b""

    async def _hand_on(self) -> None:
        while self._reading or self.buffer.size:
            if not self.buffer.size:
                await self._changed.park()
                continue
            await self._let_join()
            if not await self._emit_waiting():
                return

    async def _let_join(self) -> None:
        """Give small pieces a moment to become larger ones."""
        with trio.move_on_after(self.limits.output_join_seconds):
            while self._reading and self.buffer.size < self.limits.output_line_bytes:
                await self._changed.park()

    async def _emit_waiting(self) -> bool:
        """Emit what waits now, but not what comes meanwhile: that may join again. False when `emit` failed."""
        due = self.buffer.size
        while due > 0:
            before = self.buffer.size
            piece = self.buffer.take()
            assert piece is not None  # `due` counts bytes that wait, and only this task takes any
            due -= before - self.buffer.size
            self._changed.unpark_all()
            try:
                await self.emit(piece)
            except Exception as error:  # kept for the caller, who ends the process and raises it outside of any group
                self.failure = error
                return False
            await trio.lowlevel.checkpoint()  # `emit` need not be one, and a flood must not hold up everyone else
        return True
