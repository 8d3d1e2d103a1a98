"""
The server's side of a connection: bytes in, events and control frames out, by section of RFC 6455.

The tables have bytes on one side and events on the other; each row is also fed cut at every byte.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore._fast import FrameParser, MessageDeflater, encode_frame
from rtcore.protocol.compression import CompressionParameters
from rtcore.protocol.connection_state import ConnectionState
from rtcore.protocol.protocol_events import (
    CloseReceived,
    MessageReceived,
    PingReceived,
    PongReceived,
    ProtocolEvent,
    ProtocolFailed,
)

MASK = bytes.fromhex("37fa213d")
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
LIMIT = 1000


def frame(opcode: int, payload: bytes = b"", *, rsv1: bool = False, fin: bool = True) -> bytes:
    return encode_frame(opcode, payload, rsv1, fin, MASK)


def make_state(*, compression: bool = False, limit: int = LIMIT) -> ConnectionState:
    return ConnectionState(
        maximum_message_bytes=limit, compression=CompressionParameters(minimum_bytes=0) if compression else None
    )


def deflate(message: bytes) -> bytes:
    return MessageDeflater(15, 6).compress(message)


def text(data: bytes) -> MessageReceived:
    return MessageReceived(True, data)


CONVERSATIONS: dict[str, tuple[list[bytes], list[ProtocolEvent], bytes]] = {
    # What the peer sends, what comes of it, and the control frames that answer it.
    "5.6 text": ([frame(TEXT, b"Hello")], [text(b"Hello")], b""),
    "5.6 empty text": ([frame(TEXT)], [text(b"")], b""),
    "5.6 binary": ([frame(BINARY, b"\xff\x00")], [MessageReceived(False, b"\xff\x00")], b""),
    "5.6 of the size of the limit": ([frame(TEXT, b"a" * LIMIT)], [text(b"a" * LIMIT)], b""),
    "5.4 fragments": (
        [frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"b", fin=False), frame(CONTINUATION, b"c")],
        [text(b"abc")],
        b"",
    ),
    "5.4 a ping between fragments is answered first": (
        [frame(TEXT, b"a", fin=False), frame(PING, b"p"), frame(CONTINUATION, b"b")],
        [PingReceived(b"p"), text(b"ab")],
        b"\x8a\x01p",
    ),
    "5.4 a character over two fragments": (
        [frame(TEXT, b"\xe2\x82", fin=False), frame(CONTINUATION, b"\xac")],
        [text("€".encode())],
        b"",
    ),
    "5.5.2 ping": ([frame(PING)], [PingReceived(b"")], b"\x8a\x00"),
    "5.5.2 pings are answered in order": (
        [frame(PING, b"1"), frame(PING, b"2")],
        [PingReceived(b"1"), PingReceived(b"2")],
        b"\x8a\x011\x8a\x012",
    ),
    "5.5.3 a pong nobody asked for": ([frame(PONG, b"x")], [PongReceived(b"x")], b""),
    "5.5.1 close": ([frame(CLOSE, b"\x03\xe8bye")], [CloseReceived(1000, "bye")], b"\x88\x02\x03\xe8"),
    "5.5.1 close without code": ([frame(CLOSE)], [CloseReceived(1005, "")], b"\x88\x00"),
    "5.5.1 close between fragments": (
        [frame(TEXT, b"a", fin=False), frame(CLOSE, b"\x0f\xa0")],
        [CloseReceived(4000, "")],
        b"\x88\x02\x0f\xa0",
    ),
    "5.5.1 nothing is read after a close": (
        [frame(TEXT, b"a"), frame(CLOSE, b"\x03\xe8"), frame(TEXT, b"b"), frame(PING), b"\xff\xff"],
        [text(b"a"), CloseReceived(1000, "")],
        b"\x88\x02\x03\xe8",
    ),
    "7692 compressed": ([frame(TEXT, deflate(b"Hello" * 50), rsv1=True)], [text(b"Hello" * 50)], b""),
    "7692 7.2.3.1 one block": ([frame(TEXT, bytes.fromhex("f248cdc9c90700"), rsv1=True)], [text(b"Hello")], b""),
    "7692 7.2.3.1 fragmented": (
        [frame(TEXT, bytes.fromhex("f248cd"), rsv1=True, fin=False), frame(CONTINUATION, bytes.fromhex("c9c90700"))],
        [text(b"Hello")],
        b"",
    ),
    "7692 7.2.3.3 stored block": (
        [frame(TEXT, bytes.fromhex("000500faff48656c6c6f00"), rsv1=True)],
        [text(b"Hello")],
        b"",
    ),
    "7692 7.2.3.4 final block": ([frame(TEXT, bytes.fromhex("f348cdc9c9070000"), rsv1=True)], [text(b"Hello")], b""),
    "7692 7.2.3.5 two blocks": (
        [frame(TEXT, bytes.fromhex("f24805000000ffffcac9c90700"), rsv1=True)],
        [text(b"Hello")],
        b"",
    ),
    "7692 7.2.3.6 empty": ([frame(TEXT, b"\x00", rsv1=True)], [text(b"")], b""),
    "7692 6.1 plain between compressed": (
        [frame(TEXT, deflate(b"abc"), rsv1=True), frame(TEXT, b"abc"), frame(TEXT, deflate(b"abc"), rsv1=True)],
        [text(b"abc")] * 3,
        b"",
    ),
    "7692 ping between compressed fragments": (
        [frame(TEXT, b"\xf2\x48", rsv1=True, fin=False), frame(PING), frame(CONTINUATION, b"\xcd\xc9\xc9\x07\x00")],
        [PingReceived(b""), text(b"Hello")],
        b"\x8a\x00",
    ),
}

VIOLATIONS: dict[str, tuple[bytes, int]] = {
    "5.1 not masked": (b"\x81\x00", 1002),
    "5.2 RSV2": (b"\xa1\x80", 1002),
    "5.2 reserved opcode": (b"\x83\x80", 1002),
    "5.4 continuation of nothing": (frame(CONTINUATION, b"a"), 1002),
    "5.4 message within a message": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    "5.5 fragmented ping": (frame(PING, fin=False), 1002),
    "5.5 long ping": (frame(PING, b"a" * 126), 1002),
    "5.5.1 close of one byte": (frame(CLOSE, b"\x03"), 1002),
    "7.4.1 close code 1005": (frame(CLOSE, b"\x03\xed"), 1002),
    "7.4.2 close code 999": (frame(CLOSE, b"\x03\xe7"), 1002),
    "5.5.1 reason is not UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "8.1 text is not UTF-8": (frame(TEXT, b"\xff"), 1007),
    "8.1 text ends within a character": (frame(TEXT, b"\xe2\x82"), 1007),
    "8.1 surrogate over two fragments": (frame(TEXT, b"\xed", fin=False) + frame(CONTINUATION, b"\xa0\x80"), 1007),
    "8.1 within a frame that has not ended": (frame(TEXT, b"ok\xff" + b"a" * 900)[:11], 1007),
    "8.1 within a compressed frame that has not ended": (
        frame(TEXT, MessageDeflater(15, 0).compress(b"\xff" * 500), rsv1=True, fin=False)[:40],
        1007,
    ),
    "10.4 over the limit": (frame(TEXT, b"a" * (LIMIT + 1))[:4], 1009),
    "10.4 fragments over the limit": (
        frame(TEXT, b"a" * LIMIT, fin=False) + frame(CONTINUATION, b"a", fin=False)[:2],
        1009,
    ),
    "7692 inflates to more than the limit": (frame(BINARY, deflate(bytes(100_000)), rsv1=True), 1009),
    "7692 no deflate data": (frame(TEXT, b"\xff\xff\xff", rsv1=True), 1007),
    "7692 6.1 RSV1 on a later fragment": (
        frame(TEXT, b"\xf2", rsv1=True, fin=False) + frame(CONTINUATION, b"", rsv1=True),
        1002,
    ),
    "7692 6.1 RSV1 on a control frame": (frame(PING, rsv1=True), 1002),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_gives_its_events_wherever_it_is_cut(name: str) -> None:
    frames, events, answers = CONVERSATIONS[name]
    data = b"".join(frames)
    for cut in range(len(data) + 1):
        state = make_state(compression=True)
        assert state.receive_data(data[:cut]) + state.receive_data(data[cut:]) == events
        assert state.take_control() == answers
        assert state.take_control() == b""
        assert not state.control_pending


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_gives_its_events_byte_by_byte(name: str) -> None:
    frames, events, answers = CONVERSATIONS[name]
    state = make_state(compression=True)
    received = [event for octet in b"".join(frames) for event in state.receive_data(bytes((octet,)))]
    assert received == events
    assert state.take_control() == answers


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_told_after_what_came_before_it_wherever_it_is_cut(name: str) -> None:
    """The messages that were whole are delivered, the pings answered; a close frame says why; nothing more is read."""
    octets, close_code = VIOLATIONS[name]
    data = frame(TEXT, b"before") + frame(PING, b"p") + octets
    for cut in range(len(data)):
        state = make_state(compression=True)
        events = state.receive_data(data[:cut])
        events += state.receive_data(data[cut:])
        assert events[:2] == [text(b"before"), PingReceived(b"p")]
        assert [type(event) for event in events[2:]] == [ProtocolFailed]
        assert events[2].code == close_code  # type: ignore[union-attr]  # its type was just checked
        assert state.close_sent
        assert not state.closed
        answers = FrameParser(125, masked=False).feed(state.take_control())
        assert [(answer[0], answer[3][:2]) for answer in answers] == [
            (PONG, b"p"),
            (CLOSE, close_code.to_bytes(2, "big")),
        ]
        assert state.closed
        assert state.close_code == close_code
        assert state.receive_data(frame(TEXT, b"after")) == []


@pytest.mark.parametrize("last", [frame(CLOSE, b"\x03\xe8"), frame(TEXT, b"\xff")], ids=["close", "violation"])
def test_what_came_after_the_last_word_does_not_wait_to_be_told(last: bytes) -> None:
    """A caller that asks whether anything waits would keep the peer's bytes, and look for events, to no end."""
    state = make_state()
    state.feed(frame(TEXT, b"first") + last + frame(TEXT, b"late") * 3)
    assert state.next_event() == text(b"first")
    assert state.pending
    assert isinstance(state.next_event(), CloseReceived | ProtocolFailed)
    assert not state.pending
    assert state.next_event() is None


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_compressed_frames_need_compression(opcode: int) -> None:
    """RFC 6455, section 5.2: RSV1 must be 0 where no extension gives it a meaning."""
    state = make_state()
    events = state.receive_data(frame(opcode, deflate(b"Hello"), rsv1=True))
    assert [type(event) for event in events] == [ProtocolFailed]
    assert state.close_code == 1002


def test_a_client_that_refers_to_older_messages_can_be_read_where_that_was_agreed() -> None:
    parameters = CompressionParameters(client_no_context_takeover=False)
    state = ConnectionState(maximum_message_bytes=LIMIT, compression=parameters)
    # RFC 7692, section 7.2.3.2: the second message is a reference to the first.
    for payload in ("f248cdc9c90700", "f200110000"):
        assert state.receive_data(frame(TEXT, bytes.fromhex(payload), rsv1=True)) == [text(b"Hello")]


def test_of_many_unanswered_pings_the_newest_are_answered() -> None:
    """A peer that pings and does not read must not fill memory with pongs."""
    state = make_state()
    for number in range(1000):
        state.receive_data(frame(PING, b"%d" % number))
    pongs = FrameParser(125, masked=False).feed(state.take_control())
    assert [pong[3] for pong in pongs] == [b"%d" % number for number in range(984, 1000)]


@pytest.mark.parametrize("limit", [0, -1, 1 << 63])
def test_a_limit_outside_its_range_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="maximum_message_bytes"):
        make_state(limit=limit)


def test_an_announced_length_takes_no_memory() -> None:
    """Memory grows as bytes come, never on an announced size."""
    state = make_state(limit=1 << 62)
    assert state.receive_data(b"\x82\xff" + (1 << 60).to_bytes(8, "big") + MASK + b"abc") == []


@settings(max_examples=60)
@given(
    messages=st.lists(st.one_of(st.text(max_size=200), st.binary(max_size=200)), max_size=6),
    compressed=st.booleans(),
    seed=st.integers(0, 1 << 32),
)
def test_messages_survive_the_way_here_and_back(messages: list[str | bytes], compressed: bool, seed: int) -> None:
    chance = random.Random(seed)
    expected = [
        MessageReceived(isinstance(message, str), message.encode() if isinstance(message, str) else message)
        for message in messages
    ]
    sender, receiver = make_state(compression=compressed), make_state(compression=compressed)
    for _ in range(2):
        data = b"".join(masked_again(chance, sender.encode_message(m.data, m.text), compressed) for m in expected)
        received = []
        while data:
            size = chance.choice([1, 2, 5, 50, 500])
            received += receiver.receive_data(data[:size])
            data = data[size:]
        assert received == expected


def masked_again(chance: random.Random, data: bytes, compressed: bool) -> bytes:
    """A server's frame as a client would send it, in fragments."""
    ((opcode, _, rsv1, payload),) = FrameParser(LIMIT, compressed, masked=False).feed(data)
    cut = chance.randrange(len(payload) + 1)
    first = encode_frame(opcode, payload[:cut], rsv1, False, chance.randbytes(4))
    return first + encode_frame(CONTINUATION, payload[cut:], mask=chance.randbytes(4))


def test_no_bytes_raise_anything() -> None:
    """Frames with bytes changed, and plain noise: events, or one `ProtocolFailed` at the end."""
    chance = random.Random(1)
    parts = [b"".join(frames) for frames, _, _ in CONVERSATIONS.values()]
    parts += [octets for octets, _ in VIOLATIONS.values()]
    failed = 0
    for _ in range(3000):
        data = bytearray(b"".join(chance.choices(parts, k=3)) if chance.random() < 0.8 else chance.randbytes(50))
        for _ in range(chance.randrange(3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        state = make_state(compression=chance.random() < 0.7)
        events: list[ProtocolEvent] = []
        for start in range(0, len(data), 37):
            events += state.receive_data(bytes(data[start : start + 37]))
        last = [isinstance(event, ProtocolFailed | CloseReceived) for event in events]
        assert not any(last[:-1])
        failed += bool(events) and isinstance(events[-1], ProtocolFailed)
        state.take_control()
        assert state.closed is any(last)
    assert 500 < failed < 3000


def test_snapshot_tells_of_control_frames_and_of_the_closing() -> None:
    state = make_state(compression=True)
    state.receive_data(frame(PING, b"1") + frame(PING, b"2") + frame(PONG) + frame(TEXT, b"not one of them"))
    figures = state.statistics()
    assert (figures.pings_received, figures.pongs_received, figures.control_pending) == (2, 1, True)
    assert (figures.window_bits, figures.close_code, figures.closed) == (15, None, False)
    state.receive_data(frame(CLOSE, (1001).to_bytes(2, "big") + b"bye"))
    figures = state.statistics()
    assert (figures.close_received, figures.close_sent, figures.closed) == (True, True, False), "our answer waits"
    state.take_control()
    figures = state.statistics()
    assert (figures.close_code, figures.close_reason, figures.closed) == (1001, "bye", True)
    assert not figures.control_pending
    assert make_state().statistics().window_bits is None
