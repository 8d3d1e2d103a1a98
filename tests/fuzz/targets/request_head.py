"""
A stranger's first bytes: request head and handshake.

Promised: nothing is raised but `HandshakeRefused` with a status that is documented; how the head is cut decides nothing
about whether it is taken, nor how it is read; no more is held than a head may have; what follows the head is handed on
byte for byte; our answers are well-formed HTTP, whatever the request says; h11, where it takes the same head, reads it
in the same way; and twins say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import h11

from rtcore.errors import HandshakeRefused
from rtcore.values.limits import Limits
from tests.fuzz.reading import Reader, cut
from tests.fuzz.stacks import Stack

__all__ = ["check"]

_LIMITS = (Limits(), Limits(request_head_bytes=256, request_line_bytes=128, request_headers=6))
_STATUSES = frozenset({400, 405, 414, 426, 431, 505})
_SUBPROTOCOLS = ("rtcore.v1", "chat")

Outcome = tuple[bytes, bytes] | int | None
"""Head and what follows it; the status that refuses it; None if it has not ended."""


def check(data: bytes, stacks: Sequence[Stack]) -> None:
    """Read one head in every implementation, cut and whole, and answer it."""
    reader = Reader(data)
    limits, seed = _LIMITS[reader.octet() & 1], reader.octet()
    stream = reader.rest()
    told = [_live(stack, stream, seed, limits) for stack in stacks]
    for one, other in pairwise(told):
        assert one == other, "twins disagree"


def _live(stack: Stack, stream: bytes, seed: int, limits: Limits) -> tuple[object, ...]:
    whole, pieces = (_read(stack, cut(stream, each), limits) for each in (0, seed))
    assert _taken(whole) == _taken(pieces), "the cuts decide whether a head is taken"
    if not isinstance(whole, tuple):
        return whole, pieces
    assert stream.endswith(whole[0] + whole[1])
    return whole, pieces, _answer(stack, whole[0], limits)


def _read(stack: Stack, pieces: Sequence[bytes], limits: Limits) -> Outcome:
    reader = stack.header_grammar.HeadReader(limits)
    for number, piece in enumerate(pieces):
        try:
            found = reader.feed(piece)
        except HandshakeRefused as refused:
            _check_refusal(stack, refused)
            return refused.status
        if found is not None:
            return found[0], found[1] + b"".join(pieces[number + 1 :])
        assert reader.buffered_bytes <= limits.request_head_bytes, "more is held than a head may have"
    return None


def _taken(outcome: Outcome) -> Outcome:
    """Where two things are wrong with a head, the cuts may say which is told; and one may be told before its end."""
    return outcome if isinstance(outcome, tuple) else None


def _answer(stack: Stack, octets: bytes, limits: Limits) -> bytes:
    """The response to a whole head."""
    try:
        head = stack.header_grammar.parse_request_head(octets, limits)
        assert head.version in ("1.0", "1.1")
        assert len(head.headers) <= limits.request_headers
        _compare_with_h11(octets, head)
        accepted = _accept(stack, head)
    except HandshakeRefused as refused:
        return _check_refusal(stack, refused)
    _check_accepted(stack, head, accepted)
    response: bytes = accepted.response
    return response


def _accept(stack: Stack, head: Any) -> Any:
    settings = stack.compression.CompressionSettings()
    return stack.handshake.accept_handshake(head, subprotocols=_SUBPROTOCOLS, compression=settings)


def _check_accepted(stack: Stack, head: Any, accepted: Any) -> None:
    status, fields, body = _parse_response(accepted.response)
    assert (status, body) == (101, b""), f"an upgrade is answered with {status} and {body!r}"
    assert fields["sec-websocket-accept"] == stack.handshake.accept_key(head.get("sec-websocket-key"))
    assert fields.get("sec-websocket-protocol") == accepted.subprotocol
    assert accepted.subprotocol in (None, *_SUBPROTOCOLS)
    assert ("sec-websocket-extensions" in fields) == (accepted.compression is not None)


def _compare_with_h11(octets: bytes, head: Any) -> None:
    """Two readings of one request are how requests are smuggled. What is no upgrade is h11's to read after us."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(octets)
    try:
        request = connection.next_event()
    except h11.RemoteProtocolError:
        return
    if isinstance(request, h11.Request):
        assert request.method.decode() == head.method
        assert request.target.decode() == head.target
        theirs = sorted((name.decode(), value.decode("latin-1")) for name, value in request.headers)
        assert theirs == sorted(head.headers), "h11 reads the head in another way"


def _check_refusal(stack: Stack, refused: HandshakeRefused) -> bytes:
    assert refused.status in _STATUSES, f"undocumented status {refused.status}"
    response: bytes = stack.handshake.refusal_response(refused)
    status, fields, body = _parse_response(response)
    assert status == refused.status
    assert int(fields["content-length"]) == len(body)
    return response


def _parse_response(response: bytes) -> tuple[int, dict[str, str], bytes]:
    """As strictly as our own requests are read: nothing of the request may have got into the lines of the answer."""
    lines, end, body = response.partition(b"\r\n\r\n")
    assert end
    first, *rest = lines.split(b"\r\n")
    assert all(0x20 <= octet < 0x7F for line in (first, *rest) for octet in line), "the answer has a control character"
    version, status, _ = first.split(b" ", 2)
    assert version == b"HTTP/1.1"
    fields = [line.decode().split(": ", 1) for line in rest]
    assert all(len(field) == 2 for field in fields)
    return int(status), {name.lower(): value for name, value in fields}, body
