"""
A stranger's bytes to a connection: frames, messages, control frames, compression.

Promised, whatever comes: nothing is raised; twins say the same, piece by piece; how a stream is cut changes nothing of
what was received; memory is bounded by what came and by the limit; after a close frame or a violation nothing more is
read.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from attrs import frozen

from tests.fuzz.reading import Reader, cut, told_of
from tests.fuzz.stacks import Stack

__all__ = ["check"]

_LIMITS = (1, 125, 300, 4096)
_PENDING = 131
"""Most that the parser holds: a control frame but for its last byte, or a header."""
_CONTROL = 16 * 127 + 127 + 127
"""Most bytes of control frames at once: sixteen pongs, a ping, a close."""
_ENDS = ("CloseReceived", "ProtocolFailed")

Events = list[tuple[Any, ...]]


@frozen
class _Life:
    """How one connection is set up and treated."""

    limit: int
    window_bits: int | None
    takeover: bool
    take_control: bool
    late: bool
    """Whether two pieces are fed before the events of both are asked for."""
    close_at: int | None
    """Piece after which our side begins to close."""

    @classmethod
    def read(cls, reader: Reader) -> _Life:
        setup, treatment = reader.octet(), reader.octet()
        return cls(
            limit=_LIMITS[setup & 3],
            window_bits=9 + (setup >> 3) % 7 if setup & 4 else None,
            takeover=bool(setup & 64),
            take_control=bool(treatment & 1),
            late=bool(treatment & 128),
            close_at=treatment >> 2 & 31 if treatment & 2 else None,
        )

    def connect(self, stack: Stack) -> Any:  # Any: the class is another for each stack
        compression = None
        if self.window_bits is not None:
            compression = stack.compression.CompressionParameters(
                client_window_bits=self.window_bits, client_no_context_takeover=not self.takeover
            )
        return stack.connection_state.ConnectionState(maximum_message_bytes=self.limit, compression=compression)


def check(data: bytes, stacks: Sequence[Stack]) -> None:
    """Give one stream to every implementation, cut and whole."""
    reader = Reader(data)
    life, seed = _Life.read(reader), reader.octet()
    pieces = cut(reader.rest(), seed)
    told = [_live(life, stack, pieces) for stack in stacks]
    for one, other in pairwise(told):
        assert one == other, "twins disagree"
    whole = _events(_live(life, stacks[0], [b"".join(pieces)]))
    _compare_cuts(_events(told[0]), whole, compressed=life.window_bits is not None)


def _live(life: _Life, stack: Stack, pieces: Sequence[bytes]) -> list[tuple[Any, ...]]:
    """What a connection says to each piece."""
    state = life.connect(stack)
    told, received, ended = [], 0, False
    for number, piece in enumerate(pieces):
        received += len(piece)
        state.feed(piece)
        waits = life.late and number % 2 == 0 and number < len(pieces) - 1
        events = [] if waits else _take_events(state)
        assert not (ended and events), "something is received after the end"
        ended = ended or _check_events(life, events)
        _check_memory(life, state, received)
        if number == life.close_at:
            state.start_close(1001, "going")
        control = state.take_control() if life.take_control else b""
        assert len(control) <= _CONTROL
        told.append((events, control, state.close_code, state.close_reason, state.close_sent, state.closed))
    state.receive_eof()
    assert state.closed
    assert state.receive_data(b"\x81\x80\x00\x00\x00\x00") == [], "nothing is received after the stream's end"
    return told


def _take_events(state: Any) -> Events:
    events: Events = []
    while (event := state.next_event()) is not None:
        events.append(told_of(event))
    assert not state.pending, "nothing more is told, but something waits"
    return events


def _check_events(life: _Life, events: Events) -> bool:
    """Whether they end the reading."""
    for event in events:
        if event[0] == "MessageReceived":
            _, text, data = event
            assert len(data) <= life.limit, "a message exceeds its limit"
            assert not text or data.decode() is not None
    assert all(event[0] not in _ENDS for event in events[:-1]), "an end is not the last word"
    return bool(events) and events[-1][0] in _ENDS


def _check_memory(life: _Life, state: Any, received: int) -> None:
    buffered = 0 if state._assembler is None else state._assembler.buffered_bytes
    assert buffered <= life.limit, "more is held than a message may have"
    assert life.window_bits is not None or buffered <= received, "more is held than came"
    pending = getattr(getattr(state, "_parser", None), "_pending", b"")  # the compiled twin does not show it
    assert len(pending) <= _PENDING, "the parser holds more than a control frame"


def _events(told: Sequence[tuple[Any, ...]]) -> Events:
    return [event for each in told for event in each[0]]


def _compare_cuts(one: Events, other: Events, *, compressed: bool) -> None:
    """
    What was received is the same; where two things are wrong with one compressed message, the cuts may say which is
    told: inflating a piece comes before checking the text in it.
    """
    if compressed and one and other and one[-1][0] == other[-1][0] == "ProtocolFailed":
        one, other = one[:-1], other[:-1]
    assert one == other, "the cuts make a difference"
