"""Bytes of two streams to pieces of text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtcore.features.process_output import OutputBuffer, OutputPiece


def take_all(buffer: OutputBuffer) -> list[OutputPiece]:
    return list(iter(buffer.take, None))


def test_a_character_that_comes_in_halves_stays_whole() -> None:
    buffer = OutputBuffer(64)
    buffer.feed("€".encode()[:2], is_stderr=False)
    assert buffer.take() is None
    buffer.feed("€".encode()[2:], is_stderr=False)
    assert [piece.text for piece in take_all(buffer)] == ["€"]


def test_halves_of_characters_of_two_streams_do_not_mix() -> None:
    buffer = OutputBuffer(64)
    first, second = "é".encode()
    for is_stderr in (False, True):
        buffer.feed(bytes([first]), is_stderr=is_stderr)
    for is_stderr in (False, True):
        buffer.feed(bytes([second]), is_stderr=is_stderr)
    assert [(piece.text, piece.is_stderr) for piece in take_all(buffer)] == [("é", False), ("é", True)]


def test_bytes_that_are_no_utf8_are_replaced_and_an_unfinished_character_too() -> None:
    buffer = OutputBuffer(64)
    buffer.feed(b"a\xffb\xe2\x82", is_stderr=False)
    buffer.finish(is_stderr=False)
    assert "".join(piece.text for piece in take_all(buffer)) == "a\ufffdb\ufffd"


def test_neighbours_of_one_stream_join_and_keep_their_place_among_the_other() -> None:
    buffer = OutputBuffer(64)
    for text, is_stderr in [("a", False), ("b", False), ("c", True), ("d", False)]:
        buffer.feed(text.encode(), is_stderr=is_stderr)
    pieces = take_all(buffer)
    assert [(piece.text, piece.is_stderr) for piece in pieces] == [("ab", False), ("c", True), ("d", False)]
    assert [piece.sequence for piece in pieces] == [0, 1, 2]


def test_a_long_run_is_cut_after_a_line_where_one_ends_in_time() -> None:
    buffer = OutputBuffer(10)
    buffer.feed(b"0123456\n89abcdefghijklmno", is_stderr=False)
    assert [piece.text for piece in take_all(buffer)] == ["0123456\n", "89abcdefgh", "ijklmno"]


def test_carriage_returns_are_kept() -> None:
    buffer = OutputBuffer(64)
    buffer.feed(b"10%\r20%\r\n", is_stderr=False)
    assert [piece.text for piece in take_all(buffer)] == ["10%\r20%\r\n"]


@given(
    st.integers(4, 40),
    st.lists(st.tuples(st.binary(max_size=60), st.booleans(), st.booleans()), max_size=20),
)
def test_pieces_are_the_streams_in_order_bounded_and_numbered(
    maximum: int, chunks: list[tuple[bytes, bool, bool]]
) -> None:
    """However bytes are cut on the way in and whenever pieces are taken, each stream reads as if decoded at once."""
    buffer = OutputBuffer(maximum)
    pieces: list[OutputPiece] = []
    for data, is_stderr, take in chunks:
        buffer.feed(data, is_stderr=is_stderr)
        if take and (piece := buffer.take()) is not None:
            pieces.append(piece)
    for is_stderr in (False, True):
        buffer.finish(is_stderr=is_stderr)
    pieces += take_all(buffer)
    for stream in (False, True):
        whole = b"".join(data for data, is_stderr, _ in chunks if is_stderr is stream)
        assert "".join(p.text for p in pieces if p.is_stderr is stream) == whole.decode(errors="replace")
    assert all(0 < len(piece.text.encode()) <= maximum for piece in pieces)
    assert [piece.sequence for piece in pieces] == list(range(len(pieces)))
    assert buffer.size == 0
