"""How a connection ends, and what is sent on it. Source: RFC 6455, sections 5.5 and 7."""

from __future__ import annotations

import pytest

from rtcore._fast import MessageDeflater, encode_frame
from rtcore.errors import LocalProtocolError
from rtcore.protocol.compression import CompressionParameters
from rtcore.protocol.connection_state import ConnectionState
from rtcore.protocol.protocol_events import CloseReceived, MessageReceived, PingReceived, ProtocolFailed

TEXT, CLOSE, PING = 1, 8, 9


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    return encode_frame(opcode, payload, False, fin, bytes.fromhex("37fa213d"))


def make_state(*, compression: bool = False) -> ConnectionState:
    return ConnectionState(maximum_message_bytes=1000, compression=CompressionParameters() if compression else None)


def text(data: bytes) -> MessageReceived:
    return MessageReceived(True, data)


class TestClosing:
    """RFC 6455, section 7."""

    def test_the_peer_begins(self) -> None:
        state = make_state()
        assert (state.close_code, state.close_sent, state.close_received, state.closed) == (None, False, False, False)
        state.receive_data(frame(CLOSE, b"\x0f\xa0why"))
        assert (state.close_sent, state.close_received, state.close_taken, state.closed) == (True, True, False, False)
        assert state.take_control() == b"\x88\x02\x0f\xa0"
        assert state.close_taken
        assert state.closed
        assert (state.close_code, state.close_reason) == (4000, "why")

    def test_we_begin(self) -> None:
        state = make_state()
        state.start_close(1001, "away")
        assert state.take_control() == b"\x88\x06\x03\xe9away"
        assert state.close_sent
        assert not state.closed
        assert state.receive_data(frame(TEXT, b"late") + frame(PING)) == [text(b"late"), PingReceived(b"")]
        assert state.take_control() == b"", "nothing follows a close frame"
        assert state.receive_data(frame(CLOSE, b"\x03\xe8")) == [CloseReceived(1000, "")]
        assert state.take_control() == b""
        assert state.closed
        assert (state.close_code, state.close_reason) == (1001, "away")

    def test_both_begin(self) -> None:
        state = make_state()
        state.start_close(1001)
        assert state.receive_data(frame(CLOSE, b"\x03\xe8")) == [CloseReceived(1000, "")]
        assert not state.closed
        assert state.take_control() == b"\x88\x02\x03\xe9"
        assert state.closed

    def test_beginning_twice_is_beginning_once(self) -> None:
        state = make_state()
        state.start_close(1001)
        state.start_close(1011, "other")
        assert state.take_control() == b"\x88\x02\x03\xe9"
        state.start_close(1011, "other")
        assert not state.control_pending
        assert state.close_code == 1001

    def test_a_violation_after_our_close_frame_adds_no_second_one(self) -> None:
        state = make_state()
        state.start_close(1001)
        state.take_control()
        assert [type(event) for event in state.receive_data(b"\xff\xff")] == [ProtocolFailed]
        assert not state.control_pending
        assert state.closed

    def test_the_stream_ends_without_a_word(self) -> None:
        state = make_state()
        state.receive_data(frame(TEXT, b"a", fin=False))
        state.receive_eof()
        state.receive_eof()
        assert state.closed
        assert state.close_code == 1006
        assert state.receive_data(frame(TEXT, b"a")) == []
        state.start_close(1000)
        assert not state.control_pending

    def test_the_stream_ends_after_a_close_frame(self) -> None:
        state = make_state()
        state.start_close(1001)
        state.take_control()
        state.receive_eof()
        assert state.closed
        assert state.close_code == 1001

    def test_the_close_frame_comes_last_and_can_be_left_until_messages_are_answered(self) -> None:
        state = make_state()
        state.receive_data(frame(TEXT, b"question") + frame(PING, b"p") + frame(CLOSE, b"\x03\xe8"))
        assert state.take_control(close=False) == b"\x8a\x01p"
        assert state.control_pending
        assert not state.closed
        assert state.encode_message(b"answer") == b"\x81\x06answer"
        assert state.take_control() == b"\x88\x02\x03\xe8"
        with pytest.raises(LocalProtocolError):
            state.encode_message(b"late")

    @pytest.mark.parametrize("code", [0, 999, 1005, 1006, 1015, 5000])
    def test_a_code_that_must_not_be_sent_is_not(self, code: int) -> None:
        state = make_state()
        with pytest.raises(LocalProtocolError):
            state.start_close(code, "why")
        assert not state.close_sent

    def test_a_long_reason_is_cut(self) -> None:
        state = make_state()
        state.start_close(1011, "é" * 100)
        assert state.take_control() == b"\x88\x7c\x03\xf3" + "é".encode() * 61


class TestSending:
    """Frames of our own."""

    def test_messages_are_not_masked(self) -> None:
        """RFC 6455, section 5.1."""
        state = make_state()
        assert state.encode_message(b"Hello") == b"\x81\x05Hello"
        assert state.encode_message(b"Hello", text=False) == b"\x82\x05Hello"
        assert state.wire_encoding is None

    def test_messages_are_compressed_where_that_was_agreed(self) -> None:
        state = make_state(compression=True)
        message = b"Hello" * 100
        assert state.encode_message(message) == encode_frame(TEXT, MessageDeflater(15, 6).compress(message), True)
        assert state.wire_encoding == 15

    def test_a_ping_takes_the_place_of_one_that_was_not_sent(self) -> None:
        state = make_state()
        state.queue_ping(b"1")
        state.queue_ping(b"2")
        assert state.control_pending
        assert state.take_control() == b"\x89\x012"
        assert not state.control_pending

    def test_a_ping_has_125_bytes_at_most(self) -> None:
        state = make_state()
        state.queue_ping(b"a" * 125)
        with pytest.raises(LocalProtocolError):
            state.queue_ping(b"a" * 126)

    def test_no_ping_follows_a_close_frame(self) -> None:
        state = make_state()
        state.start_close(1000)
        state.queue_ping()
        assert state.take_control() == b"\x88\x02\x03\xe8"

    def test_pongs_come_before_pings_and_close_frames(self) -> None:
        state = make_state()
        state.queue_ping(b"ours")
        state.receive_data(frame(PING, b"theirs"))
        state.start_close(1000)
        assert state.take_control() == b"\x8a\x06theirs" + b"\x89\x04ours" + b"\x88\x02\x03\xe8"
