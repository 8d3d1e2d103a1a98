"""What `rtcore exec` tells the server: the same events as a tool that the server runs itself."""

from __future__ import annotations

import signal
from typing import Final

import trio
from attrs import define, field

from rtcore.client import Client
from rtcore.errors import RtcoreError
from rtcore.features.process_output import OutputBuffer
from rtcore.features.scope import new_identifier
from rtcore.values.events import Json

__all__ = ["Reporter"]

CHANNEL: Final = "tools"
_PIECE_BYTES: Final = 16 * 1024  # as `Limits.output_line_bytes`
_WAITING_BYTES: Final = 4 * 1024 * 1024
"""Output that may wait for the server: some minutes of a talkative build."""
_JOIN_SECONDS: Final = 0.05
"""How long output waits for more to share an event with: twenty events a second, far below any rate limit."""


@define(eq=False)
class Reporter:
    """
    Publishes one execution, in order, one event at a time, at the server's pace; the command never waits for it.
    """

    client: Client
    name: str
    command: str | None
    """The command line as shown; None: not shown."""
    done: trio.Event = field(factory=trio.Event, init=False)
    """Everything was told, or nothing can be told any more."""
    failure: RtcoreError | None = field(default=None, init=False)
    """Why nothing can be told any more."""
    omitted_total: int = field(default=0, init=False)
    """Bytes of output that did not fit, in all."""
    _execution: str = field(factory=new_identifier, init=False)
    _buffer: OutputBuffer = field(factory=lambda: OutputBuffer(_PIECE_BYTES), init=False)
    _begin: dict[str, Json] | None = field(default=None, init=False)
    _end: tuple[str, dict[str, Json]] | None = field(default=None, init=False)
    _began_at: float = field(default=0.0, init=False)
    _omitted: int = field(default=0, init=False)
    _sent: int = field(default=0, init=False)
    _changed: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)

    @property
    def waiting(self) -> int:
        """Bytes of output that wait to be told."""
        return self._buffer.size

    def started(self, pid: int) -> None:
        """The command runs."""
        self._began_at = trio.current_time()
        shown: dict[str, Json] = {} if self.command is None else {"command": self.command}
        self._begin = {"status": "running", "pid": pid, **shown}
        self._changed.unpark_all()

    def output(self, data: bytes, is_stderr: bool) -> None:
        """It said something."""
        if self.failure is not None:
            return
        self._buffer.feed(data, is_stderr=is_stderr)
        while self._buffer.size > _WAITING_BYTES and (piece := self._buffer.take()) is not None:
            # Its sequence number goes with it, so a gap shows where it was.
            self._omitted += len(piece.text.encode())
        self._changed.unpark_all()

    def ended(self, code: int) -> None:
        """It ended, with an exit code or by the negated number of a signal."""
        for is_stderr in (False, True):
            self._buffer.finish(is_stderr=is_stderr)
        data: dict[str, Json] = {"duration": round(trio.current_time() - self._began_at, 6)}
        if code == 0:
            self._finish("completed", {**data, "exit_code": 0})
        elif code > 0:
            self._finish("failed", {**data, "exit_code": code, "error": f"exit code {code}"})
        else:
            name = _signal_name(-code)
            self._finish("failed", {**data, "signal": name, "error": f"ended by {name}"})

    def failed(self, reason: str) -> None:
        """It could not be run at all."""
        self._finish("failed", {"duration": 0.0, "error": reason})

    async def run(self) -> None:
        """Tell everything, then return."""
        try:
            await self._tell()
        except RtcoreError as error:
            self.failure = error
        self.done.set()

    async def _tell(self) -> None:
        while self._begin is None and self._end is None:
            await self._changed.park()
        if self._begin is not None:
            await self._publish("started", self._begin)
        while self._end is None or self._buffer.size:
            if not self._buffer.size:
                await self._changed.park()
                continue
            await self._let_join()
            await self._publish_piece()
        verb, data = self._end
        await self._publish(verb, {"status": verb, **data, "pieces": self._sent, **self._take_omitted()})

    async def _let_join(self) -> None:
        with trio.move_on_after(_JOIN_SECONDS):
            while self._end is None and self._buffer.size < _PIECE_BYTES:
                await self._changed.park()

    async def _publish_piece(self) -> None:
        piece = self._buffer.take()
        if piece is not None:
            said: dict[str, Json] = {"output": piece.text, "is_stderr": piece.is_stderr, "sequence": piece.sequence}
            self._sent += 1
            await self._publish("output", {**said, **self._take_omitted()})

    def _take_omitted(self) -> dict[str, Json]:
        omitted, self._omitted = self._omitted, 0
        self.omitted_total += omitted
        return {"omitted_bytes": omitted} if omitted else {}

    async def _publish(self, verb: str, data: dict[str, Json]) -> None:
        identity: dict[str, Json] = {"execution_id": self._execution, "tool": self.name}
        await self.client.publish(CHANNEL, f"tool.{verb}", {**identity, **data})

    def _finish(self, verb: str, data: dict[str, Json]) -> None:
        self._end = (verb, data)
        self._changed.unpark_all()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have numbers only
        return f"SIG{number}"
