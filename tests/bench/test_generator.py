"""The load generator finds exactly what a server did wrong, and calls nothing a delivery that is none."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import psutil
import pytest

CLIENTS = 3
LOAD = {
    "--mode": "fanout",
    "--path": "/subscribe",
    "--ready": "subscribed",
    "--publisher-path": "/publish",
    "--message": "{M}{PAD}",
    "--clients": CLIENTS,
    "--rate": 800,
    "--seconds": 0.1,
    "--warm-up": 0.05,
    "--settle": 0,
    "--patience": 0.4,
    "--size": 200,
}
MARKER = 14

Run = Callable[..., Mapping[str, float]]
Frame = Callable[..., bytes]


@pytest.fixture
def run(programs: Any, flawed_server: Callable[..., Any]) -> Run:
    """One run against a server with a flaw."""
    from load.generator import run_load

    def measure(flaw: Callable[[int, bytes], bytes], *flags: str, server: Any = None, **load: object) -> Any:
        serving = flawed_server(flaw) if server is None else server
        wanted = {**LOAD, "--port": serving.port, **{f"--{name}": value for name, value in load.items()}}
        words = [word for pair in wanted.items() if pair[1] is not None for word in pair]
        return run_load(programs, [*words, *flags])

    return measure


def occurrences(figures: Mapping[str, float], of: int, modulus: int = 10) -> int:
    """How many of the published messages' numbers, from 1, leave this rest."""
    return sum(1 for number in range(1, int(figures["published"]) + 1) if number % modulus == of)


def faults(figures: Mapping[str, float]) -> dict[str, float]:
    names = ("lost", "duplicated", "reordered", "too_late", "misdelivered", "unknown", "altered")
    return {name: figures[name] for name in (*names, "protocol_errors", "stalls") if figures[name]}


def test_faultless_server_has_no_faults(run: Run, make_frame: Frame) -> None:
    figures = run(lambda _, message: make_frame(message))
    assert faults(figures) == {}
    assert figures["delivered"] == figures["expected"] == figures["published"] * CLIENTS > 0
    assert figures["bytes_each"] == 200 + 4


def test_what_is_lost_and_what_is_doubled_are_counted_apart(run: Run, make_frame: Frame) -> None:
    """A duplicate must not stand in for a loss: both would vanish from a plain count."""
    figures = run(lambda number, message: make_frame(message) * {3: 0, 5: 2}.get(number % 10, 1))
    lost, doubled = (occurrences(figures, rest) * CLIENTS for rest in (3, 5))
    assert faults(figures) == {"lost": lost, "duplicated": doubled}
    assert lost > 0
    assert figures["delivered"] == figures["expected"] - lost


def test_messages_out_of_order_are_deliveries_and_are_named(run: Run, make_frame: Frame) -> None:
    held: list[bytes] = []

    def swap(number: int, message: bytes) -> bytes:
        if number % 10 == 3:
            held.append(make_frame(message))
            return b""
        return make_frame(message) + (held.pop() if number % 10 == 4 else b"")

    figures = run(swap)
    assert faults(figures) in (
        {"reordered": occurrences(figures, 4) * CLIENTS},
        {"reordered": occurrences(figures, 4) * CLIENTS, "lost": CLIENTS},  # the last one held was the last
    )


def test_message_long_after_its_time_is_not_believed(run: Run, make_frame: Frame) -> None:
    """Further back than is remembered nobody can say whether it came before."""
    first: list[bytes] = []

    def repeat(number: int, message: bytes) -> bytes:
        first.append(message)
        return make_frame(message) + (make_frame(first[0]) if number == 80 else b"")

    assert faults(run(repeat)) == {"too_late": CLIENTS}


@pytest.mark.parametrize("pieces", [0, 1, 7])
def test_fragments_and_pings_between_them_are_put_together(
    pieces: int, run: Run, make_frame: Frame, flawed_server: Callable[..., Any]
) -> None:
    """A marker cut by a frame's end is whole in its message; one cut by a read is whole in its frame."""

    def fragment(number: int, message: bytes) -> bytes:
        cut = number % MARKER
        middle = make_frame(message[cut : cut + 50], 0, fin=False) + make_frame(b"there?", 9)
        return make_frame(message[:cut], 1, fin=False) + middle + make_frame(message[cut + 50 :], 0)

    server = flawed_server(fragment, pieces=pieces)
    load = {"rate": 60, "patience": 1.0} if pieces else {}
    figures = run(fragment, server=server, **load)
    assert faults(figures) == {}
    assert figures["delivered"] == figures["expected"] > 0
    assert figures["pings"] == figures["expected"]
    assert server.wait_pongs(int(figures["pings"]))


def test_messages_joined_in_one_all_count(run: Run, make_frame: Frame) -> None:
    waiting: list[bytes] = []

    def batch(number: int, message: bytes) -> bytes:
        waiting.append(message)
        if number % 4:
            return b""
        text = b"[" + b",".join(waiting) + b"]"
        waiting.clear()
        return make_frame(text)

    figures = run(batch)
    held = figures["published"] % 4 * CLIENTS
    assert faults(figures) == ({"lost": held} if held else {})


def test_marker_torn_over_two_messages_is_no_delivery(run: Run, make_frame: Frame) -> None:
    def tear(number: int, message: bytes) -> bytes:
        cut = number % (MARKER - 1) + 1
        return make_frame(message[:cut]) + make_frame(message[cut:])

    figures = run(tear)
    assert figures["delivered"] == 0
    assert figures["lost"] == figures["expected"] > 0


def test_marker_with_one_wrong_character_is_no_delivery(run: Run, make_frame: Frame) -> None:
    def spoil(number: int, message: bytes) -> bytes:
        place = number % MARKER
        return make_frame(message[:place] + b"#" + message[place + 1 :])

    figures = run(spoil)
    assert figures["delivered"] == 0
    assert figures["lost"] == figures["expected"] > 0


@pytest.mark.parametrize("place", [MARKER, 100, -1])
def test_message_whose_text_was_altered_is_no_delivery(place: int, run: Run, make_frame: Frame) -> None:
    """A buffer sent before it is filled, or filled anew too soon, has whole markers and the wrong text behind them."""

    def spoil(number: int, message: bytes) -> bytes:
        spoilt = bytearray(message)
        spoilt[place] ^= 1
        return make_frame(bytes(spoilt) if number % 10 == 3 else message)

    figures = run(spoil)
    altered = occurrences(figures, 3) * CLIENTS
    assert faults(figures) == {"lost": altered, "altered": altered}
    assert altered > 0


def test_message_that_was_cut_short_is_no_delivery(run: Run, make_frame: Frame) -> None:
    figures = run(lambda number, message: make_frame(message[:-1] if number % 10 == 3 else message))
    assert figures["altered"] == figures["lost"] == occurrences(figures, 3) * CLIENTS


def test_padding_that_stands_by_itself_is_not_compared(run: Run, make_frame: Frame) -> None:
    """A server may send the fields of a message in another order."""
    figures = run(lambda _, message: make_frame(message[MARKER:] + message[:MARKER]), message="{M} {PAD}")
    assert faults(figures) == {}
    assert figures["delivered"] == figures["expected"] > 0


def test_what_the_publisher_hears_itself_is_no_delivery(run: Run, make_frame: Frame) -> None:
    load = {"publisher-path": "/hear"}
    figures = run(lambda number, message: make_frame(message) * (number % 10 != 3), **load)
    assert faults(figures) == {"lost": occurrences(figures, 3) * CLIENTS}


@pytest.mark.parametrize("place", [1, 5], ids=["another run's", "one that was never published"])
def test_foreign_marker_is_no_delivery(place: int, run: Run, make_frame: Frame) -> None:
    """A server with a history sends what an earlier run published."""

    def forge(_: int, message: bytes) -> bytes:
        digit = b"%x" % (int(message[place : place + 1], 16) ^ 8)
        return make_frame(message[:place] + digit + message[place + 1 :])

    figures = run(forge)
    assert figures["delivered"] == 0
    assert figures["unknown"] == figures["lost"] == figures["expected"] > 0


@pytest.mark.parametrize(
    "wrong",
    [b"\x81\x80abcd", b"\xa1\x00", b"\xc1\x01x", b"\x80\x00", b"\x09\x00", b"\x01\x00\x81\x00", b"\x83\x00"],
    ids=["masked", "reserved", "compressed", "continuation", "cut ping", "nested", "unknown"],
)
def test_wrong_frame_ends_the_connection_and_is_told(wrong: bytes, run: Run, make_frame: Frame) -> None:
    """Nothing after it may be believed."""
    figures = run(lambda number, message: wrong * (number == 10) + make_frame(message))
    assert figures["protocol_errors"] == figures["closed"] == CLIENTS
    assert figures["delivered"] == 9 * CLIENTS


@pytest.mark.parametrize("takeover", [True, False])
def test_compressed_messages_are_inflated(
    takeover: bool, run: Run, make_frame: Frame, programs: Any, flawed_server: Callable[..., Any]
) -> None:
    if not programs.inflates:
        pytest.skip("there is no zlib to build with")
    flush = zlib.Z_SYNC_FLUSH if takeover else zlib.Z_FULL_FLUSH
    compressor = zlib.compressobj(wbits=-15)

    def compress(number: int, message: bytes) -> bytes:
        if number % 10 == 3:
            return b""
        deflated = compressor.compress(message) + compressor.flush(flush)
        return make_frame(deflated[:-4], rsv1=True)

    extension = "permessage-deflate" + ("" if takeover else "; server_no_context_takeover")
    figures = run(compress, "--deflate", server=flawed_server(compress, extension=extension))
    assert faults(figures) == {"lost": occurrences(figures, 3) * CLIENTS}
    assert figures["bytes_each"] < 190


def test_message_for_somebody_else_is_misdelivered(run: Run, make_frame: Frame) -> None:
    """Everybody gets everything here: one delivery of each message is right, the others are not."""
    figures = run(lambda _, message: make_frame(message), "--addressed", message="{ID} {M}")
    assert figures["expected"] == figures["delivered"] == figures["published"] > 0
    assert figures["misdelivered"] == figures["published"] * (CLIENTS - 1)


def test_time_runs_from_when_a_message_was_due(run: Run, make_frame: Frame) -> None:
    """
    Of 20 messages at 200 a second that leave together the first was due 95 ms before the last could be published: no
    coordinated omission can hide that.
    """
    waiting: list[bytes] = []

    def hold(number: int, message: bytes) -> bytes:
        waiting.append(make_frame(message))
        if number % 20:
            return b""
        joined = b"".join(waiting)
        waiting.clear()
        return joined

    assert run(hold, rate=200, seconds=0.5)["maximum_us"] >= 95_000


@pytest.mark.parametrize("place", [60, 200], ids=["early", "late"])
def test_time_runs_also_while_the_generator_is_held_up_itself(place: int, run: Run, make_frame: Frame) -> None:
    """
    A quarter of the messages is due while the generator stands still for 0.3 s, more than 150 ms before it goes on. A
    clock that starts when a message is written would show none of that, nor a generator that leaves out what it missed.
    """

    def hold_up(number: int, message: bytes) -> bytes:
        if number == place:
            (generator,) = (child for child in psutil.Process().children() if child.name() == "generator")
            generator.suspend()
            threading.Event().wait(0.3)
            generator.resume()
        return make_frame(message)

    figures = run(hold_up, rate=400, seconds=0.6, patience=5)
    assert faults(figures) == {}
    assert figures["published"] >= 400 * 0.65 - 1
    assert figures["p90_us"] >= 150_000


def test_message_that_comes_after_the_measured_time_is_measured(run: Run, make_frame: Frame) -> None:
    """It is the slowest: without it a server that hangs would look quick. Here it hangs at message 101."""

    def hang(number: int, message: bytes) -> bytes:
        if number == 101:
            threading.Event().wait(0.4)
        return make_frame(message)

    figures = run(hang, patience=5)
    assert faults(figures) == {}
    assert figures["published"] > 101
    assert figures["maximum_us"] >= 350_000


def test_silent_clients_are_no_part_of_what_is_expected(run: Run, make_frame: Frame) -> None:
    figures = run(lambda _, message: make_frame(message), silent=2)
    assert faults(figures) == {}
    assert figures["expected"] == figures["published"] * CLIENTS


def test_echo_that_is_not_the_same_is_no_round_trip(run: Run, make_frame: Frame) -> None:
    load = {"mode": "echo", "path": "/echo", "ready": None, "size": 100}
    figures = run(lambda number, message: make_frame(message if number % 10 else message[:-1] + b"!"), **load)
    assert figures["bad_echoes"] > 0
    assert figures["done"] > figures["bad_echoes"]


def test_run_that_cannot_be_made_has_no_figures(run: Run, make_frame: Frame) -> None:
    from load.generator import LoadFailed

    with pytest.raises(LoadFailed, match=r"503 Service Unavailable\n.*refused or ended"):
        run(lambda _, message: make_frame(message), path="/refuse")
    with pytest.raises(LoadFailed, match=r"--rate: expected a number from 0\.01"):
        run(lambda _, message: make_frame(message), rate="fast")
