"""
Good messages, cut at every byte.

Promised: whatever the fragments, the compression, the control frames between and the cut, the messages that were sent
are those that are received, by both implementations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.fuzz.message_streams import make_stream
from tests.fuzz.reading import Reader, told_of
from tests.fuzz.stacks import Stack

__all__ = ["check"]

_MESSAGE_BYTES = 1000


def check(data: bytes, stacks: Sequence[Stack]) -> None:
    """Make a stream of up to five messages; receive it whole, in two at every byte, and byte by byte."""
    reader = Reader(data)
    setup = reader.octet()
    messages = 1 + reader.octet() % 5
    window_bits = 9 + (setup >> 2) % 7 if setup & 1 else None
    takeover = bool(setup & 2)
    stream = make_stream(stacks[0].fast.encode_frame, reader.rest(), messages, window_bits, takeover)
    octets = stream.octets
    for stack in stacks:
        agreed = None
        if window_bits is not None:
            agreed = stack.compression.CompressionParameters(
                client_window_bits=window_bits, client_no_context_takeover=not takeover
            )
        for cut in range(len(octets) + 1):
            assert _receive(stack, agreed, [octets[:cut], octets[cut:]]) == stream.events, f"cut at {cut}, {stack.name}"
        single = [octets[index : index + 1] for index in range(len(octets))]
        assert _receive(stack, agreed, single) == stream.events, f"byte by byte, {stack.name}"


def _receive(stack: Stack, agreed: Any, pieces: Sequence[bytes]) -> list[tuple[Any, ...]]:
    state = stack.connection_state.ConnectionState(maximum_message_bytes=_MESSAGE_BYTES, compression=agreed)
    return [told_of(event) for piece in pieces for event in state.receive_data(piece)]
