"""
A stranger's deflate data, message by message.

Promised: nothing is raised but `RemoteProtocolError` with 1007 or 1009; nothing comes out beyond the limit; twins say
the same; how a message is cut changes nothing of its bytes, as long as its references stay in the window; what zlib
makes of the whole is what comes out; and what our own deflater makes of any bytes gives the bytes again.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from rtcore.errors import RemoteProtocolError
from tests.fuzz.reading import Reader, cut
from tests.fuzz.stacks import Stack

__all__ = ["check"]

_LIMITS = (0, 1, 16, 125, 1000, 20_000, 100_000, 1 << 20)
_TAIL = b"\x00\x00\xff\xff"
"""What the sender leaves off. Source: RFC 7692, section 7.2.1."""
_FINAL_BLOCK = b"\x01\x00\x00\xff\xff"
"""zlib reaches its end in it unless the message was cut inside a block."""
_TOO_FAR = "invalid distance too far back"
_REST = 255
"""Instead of a message's length: all that is left."""

Setup = tuple[int, bool, int]
Outcome = tuple[bytes, int | None, str]
"""Bytes of a message, or the close code that it earns and why."""


def check(data: bytes, stacks: Sequence[Stack]) -> None:
    """Inflate the messages of one connection in every implementation, cut and whole."""
    reader = Reader(data)
    options, seed = reader.octet(), reader.octet()
    setup = 8 + (options & 7), bool(options & 8), _LIMITS[options >> 4 & 7]
    messages = _read_messages(reader)
    told = [_inflate(stack, setup, messages, seed) for stack in stacks]
    for one, other in pairwise(told):
        assert one == other, "twins disagree"
    whole = _inflate(stacks[0], setup, messages, 0)
    _compare_cut_with_whole(told[0], whole)
    if messages:
        _compare_with_zlib(setup, messages[0], whole[0])
        _check_round_trip(stacks, setup[0], messages[0])


def _compare_cut_with_whole(pieces: Sequence[Outcome], whole: Sequence[Outcome]) -> None:
    """
    The same of each, up to a reference beyond the agreed window, which no honest peer makes: zlib holds one against the
    window only where it reaches back over the beginning of a piece.
    """
    for cut_up, at_once in zip(pieces, whole, strict=False):
        if _TOO_FAR in cut_up[2]:
            return
        assert (cut_up[0], cut_up[1] is None) == (at_once[0], at_once[1] is None), "the cuts change what comes out"
    assert len(pieces) == len(whole)


def _read_messages(reader: Reader) -> list[bytes]:
    messages = []
    while not reader.exhausted and len(messages) < 8:
        size = reader.octet()
        messages.append(reader.rest() if size == _REST else reader.take(size))
    return messages


def _inflate(stack: Stack, setup: Setup, messages: Sequence[bytes], seed: int) -> list[Outcome]:
    """What becomes of each message, up to the first that cannot be inflated."""
    inflater = stack.fast.MessageInflater(*setup)
    outcomes = []
    for message in messages:
        outcomes.append(_inflate_one(inflater, cut(message, seed), setup[2]))
        if outcomes[-1][1] is not None:
            break
    return outcomes


def _inflate_one(inflater: Any, pieces: Sequence[bytes], limit: int) -> Outcome:
    before_in, before_out = inflater.bytes_in, inflater.bytes_out
    output = b""
    try:
        for piece in pieces:
            output += inflater.feed(piece)
            assert len(output) <= limit, "more comes out than the limit"
        output += inflater.finish()
    except RemoteProtocolError as error:
        return _check_failure(error, inflater.bytes_out - before_out, limit)
    assert len(output) <= limit
    assert inflater.bytes_in - before_in == sum(map(len, pieces))
    assert inflater.bytes_out - before_out == len(output)
    return output, None, ""


def _check_failure(error: RemoteProtocolError, inflated: int, limit: int) -> Outcome:
    assert error.close_code in (1007, 1009)
    assert inflated <= limit, "more was inflated than the limit"
    return b"", error.close_code, str(error)


def _compare_with_zlib(setup: Setup, message: bytes, outcome: Outcome) -> None:
    """zlib by itself, where the message has no final block: what comes after one is ours to join."""
    window_bits, _, limit = setup
    stream = zlib.decompressobj(-window_bits)
    try:
        expected = stream.decompress(message + _TAIL + _FINAL_BLOCK) if message else b""
    except zlib.error:
        assert outcome[1] is not None, "what zlib refuses was taken"
        return
    if message and not stream.eof:
        assert outcome[1] is not None, "a message that ends inside a block was taken"
    elif len(expected) > limit:
        assert outcome[1] == 1009, "a message over the limit was not refused for that"
    elif not stream.unused_data:
        assert outcome == (expected, None, "")


def _check_round_trip(stacks: Sequence[Stack], window_bits: int, message: bytes) -> None:
    payloads = {stack.fast.MessageDeflater(window_bits, 6).compress(message) for stack in stacks}
    assert len(payloads) == 1, "deflating twins disagree"
    payload = payloads.pop()
    for stack in stacks:
        inflater = stack.fast.MessageInflater(window_bits, False, len(message))
        assert inflater.feed(payload) + inflater.finish() == message
