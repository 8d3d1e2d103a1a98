"""
The output of a process as pieces of text.

Two streams of bytes go in, pieces of text come out: in the order of arrival, each at most so many bytes of UTF-8,
none cut inside a character. Neighbouring bytes of one stream join while they wait, so that a flood leaves in few,
full pieces; a piece that must be cut is cut after a line where one ends in its second half. What is not UTF-8 becomes
U+FFFD. Carriage returns are kept: they are how progress lines are drawn. No I/O here; `processes.py` feeds it.
"""

from __future__ import annotations

import codecs
from collections import deque

from attrs import Factory, define, field, frozen

__all__ = ["OutputBuffer", "OutputPiece"]


@frozen(kw_only=True)
class OutputPiece:
    """Some output of a process."""

    text: str
    """Never empty; may end inside a line, never inside a character."""
    is_stderr: bool
    sequence: int
    """0, 1, 2 ... over both streams of one process."""


def _decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")(errors="replace")


@define(eq=False)
class OutputBuffer:
    """Output that was read and not yet taken."""

    piece_bytes: int
    """Most bytes of one piece, encoded as UTF-8; at least 4, so that any character fits."""
    _decoders: tuple[codecs.IncrementalDecoder, codecs.IncrementalDecoder] = field(
        init=False, factory=lambda: (_decoder(), _decoder())
    )
    _runs: deque[tuple[bool, bytearray]] = field(init=False, default=Factory(deque))
    size: int = field(init=False, default=0)
    """Bytes of text that wait; an unfinished character of each stream waits besides."""
    taken: int = field(init=False, default=0)
    """Pieces taken so far: the sequence number of the next."""

    def feed(self, data: bytes, *, is_stderr: bool) -> None:
        """Add bytes as they were read."""
        self._append(self._decoders[is_stderr].decode(data), is_stderr)

    def finish(self, *, is_stderr: bool) -> None:
        """One stream has ended: a character that it left unfinished becomes U+FFFD."""
        self._append(self._decoders[is_stderr].decode(b"", final=True), is_stderr)

    def take(self) -> OutputPiece | None:
        """The oldest piece, None where nothing waits."""
        if not self._runs:
            return None
        is_stderr, run = self._runs[0]
        cut = _cut(run, self.piece_bytes)
        text = run[:cut].decode()
        del run[:cut]
        if not run:
            self._runs.popleft()
        self.size -= cut
        self.taken += 1
        return OutputPiece(text=text, is_stderr=is_stderr, sequence=self.taken - 1)

    def _append(self, text: str, is_stderr: bool) -> None:
        if not text:
            return
        data = text.encode()
        if self._runs and self._runs[-1][0] is is_stderr:
            self._runs[-1][1].extend(data)
        else:
            self._runs.append((is_stderr, bytearray(data)))
        self.size += len(data)


def _cut(run: bytearray, maximum: int) -> int:
    """Where the first piece of a run of valid UTF-8 ends."""
    if len(run) <= maximum:
        return len(run)
    line_end = run.rfind(b"\n", maximum // 2, maximum)
    if line_end >= 0:
        return line_end + 1
    while run[maximum] & 0xC0 == 0x80:  # a continuation byte: at most three steps back. Source: RFC 3629, section 3.
        maximum -= 1
    return maximum
