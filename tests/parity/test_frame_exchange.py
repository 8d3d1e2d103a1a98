"""
Frames of one connection, both ways, over either implementation: what is told, what is handed on, and what leaves.

The protocol itself is tested as tables in `tests/protocol`, over whichever implementation was chosen; here both do the
same work side by side.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import pytest

from rtcore._pure.frame_writer import encode_frame
from rtcore.errors import LocalProtocolError, RemoteProtocolError

LoadTwin = Callable[[str], ModuleType]
LoadBoth = Callable[[str], tuple[ModuleType, ModuleType]]

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
MASK = b"mask"


def frame(opcode: int, payload: bytes = b"", *, rsv1: bool = False, fin: bool = True) -> bytes:
    return encode_frame(opcode, payload, rsv1, fin, MASK)


def make_exchange(module: ModuleType, **options: Any) -> Any:  # Any: a class of either implementation
    """An exchange whose subclass joins fragments, and tells closes and failures as pairs."""

    class Exchange(module.FrameExchange):  # type: ignore[misc, name-defined]  # of either implementation
        __slots__ = ("open",)

        def _assemble(self, opcode: int, last: bool, compressed: bool, payload: bytes) -> bytes | None:
            self.open = getattr(self, "open", b"") + (b"Z" if compressed else b"") + payload
            if not last:
                return None
            message, self.open = self.open, b""
            return message

        def _encode_compressed(self, data: bytes, text: bool) -> bytes:
            return encode_frame(TEXT if text else BINARY, data[::-1], True)

        def _receive_close(self, payload: bytes) -> tuple[str, bytes]:
            self.stop_reading()
            return "closed", payload

        def _fail(self, error: RemoteProtocolError) -> tuple[str, int, str]:
            self.stop_reading()
            return "failed", int(error.close_code), str(error)

    return Exchange(1000, **options)


def told_of(event: Any) -> Any:
    if isinstance(event, tuple):
        return event
    return type(event).__name__, *(getattr(event, name) for name in event.__match_args__)


def take_events(exchange: Any, piece: bytes) -> list[Any]:
    exchange.feed(piece)
    events = []
    while (event := exchange.next_event()) is not None:
        events.append(told_of(event))
    assert not exchange.pending
    return events


class Recorder:
    """Handler and attendant in one."""

    def __init__(self, exchange: Any, *, turns: Iterable[bool] = (), awaited: Iterable[object] = ()) -> None:
        self.exchange = exchange
        self.turns = iter(turns)
        self.awaited = iter(awaited)
        self.told: list[Any] = []

    def handle(self, message: Any) -> object:
        self.told.append(told_of(message))
        return next(self.awaited, None)

    def heard(self, event: Any) -> None:
        self.told.append(told_of(event))

    def turn_over(self, left: int, began: float) -> bool:
        self.told.append((left, began))
        return next(self.turns, False)


@pytest.fixture
def exchanges(load_twin: LoadTwin) -> ModuleType:
    return load_twin("frame_exchange")


def test_messages_are_handed_on_one_after_the_other_with_a_question_between(exchanges: ModuleType) -> None:
    """The question is asked only while something is left: not after the one message of most segments."""
    exchange = make_exchange(exchanges)
    recorder = Recorder(exchange)
    exchange.feed(frame(TEXT, b"one") + frame(PING, b"p") + frame(BINARY, b"two"))
    assert exchange.hand_on(recorder, recorder, 1.5) is None
    left = 64 * 1024 - 64
    assert recorder.told == [
        ("MessageReceived", True, b"one"),
        (left - 3, 1.5),
        ("PingReceived", b"p"),
        (left - 64 - 3, 1.5),
        ("MessageReceived", False, b"two"),
    ]
    assert exchange.handed_on
    assert (exchange.messages_received, exchange.traffic.messages_in, exchange.pings_received) == (2, 2, 1)
    assert exchange.hand_on(recorder, recorder, 1.5) is None
    assert not exchange.handed_on


def test_what_has_to_be_awaited_stops_the_handing_on(exchanges: ModuleType) -> None:
    exchange = make_exchange(exchanges)
    task = object()
    recorder = Recorder(exchange, awaited=[task])
    exchange.feed(frame(TEXT, b"one") + frame(TEXT, b"two"))
    assert exchange.hand_on(recorder, recorder, 0.0) is task
    assert recorder.told == [("MessageReceived", True, b"one")]
    assert exchange.pending
    assert exchange.hand_on(recorder, recorder, 0.0) is None
    assert recorder.told[-1] == ("MessageReceived", True, b"two")


def test_a_turn_that_is_over_leaves_the_rest(exchanges: ModuleType) -> None:
    exchange = make_exchange(exchanges)
    recorder = Recorder(exchange, turns=[False, True])
    exchange.feed(frame(TEXT, b"x") * 4)
    exchange.hand_on(recorder, recorder, 0.0)
    assert exchange.messages_received == 2
    assert exchange.pending


@pytest.mark.parametrize("end", ["queue_close", "abandon"])
def test_nothing_is_handed_on_once_the_handler_has_ended_it(exchanges: ModuleType, end: str) -> None:
    exchange = make_exchange(exchanges)

    class Ender(Recorder):
        def handle(self, message: Any) -> object:
            exchange.queue_close(b"") if end == "queue_close" else exchange.abandon()
            return super().handle(message)

    recorder = Ender(exchange)
    exchange.feed(frame(TEXT, b"x") * 3)
    exchange.hand_on(recorder, recorder, 0.0)
    assert exchange.messages_received == 1
    exchange.hand_on(recorder, recorder, 0.0)
    assert exchange.messages_received == 1


def test_an_error_of_the_handler_is_passed_on_and_the_next_message_stays(exchanges: ModuleType) -> None:
    exchange = make_exchange(exchanges)

    class Failing(Recorder):
        def handle(self, message: Any) -> object:
            raise KeyError(message.data)

    exchange.feed(frame(TEXT, b"one") + frame(TEXT, b"two"))
    with pytest.raises(KeyError, match="one"):
        exchange.hand_on(Failing(exchange), Failing(exchange), 0.0)
    assert told_of(exchange.next_event()) == ("MessageReceived", True, b"two")


def test_an_attribute_that_the_handler_lacks_is_an_error(exchanges: ModuleType) -> None:
    exchange = make_exchange(exchanges)
    exchange.feed(frame(TEXT, b"one"))
    with pytest.raises(AttributeError):
        exchange.hand_on(object(), object(), 0.0)


def test_what_leaves_leaves_in_order_and_the_close_frame_only_when_it_may(exchanges: ModuleType) -> None:
    exchange = make_exchange(exchanges)
    exchange.queue_frame(b"HTTP/1.1 101\r\n\r\n")
    assert exchange.queue_message(b"reply")
    exchange.queue_ping(b"ours")
    take_events(exchange, frame(PING, b"1") + frame(PING, b"2"))
    exchange.queue_close(b"\x03\xe8")
    assert exchange.outbox_bytes == 16 + 7
    pongs = encode_frame(PONG, b"1") + encode_frame(PONG, b"2") + encode_frame(PING, b"ours")
    assert exchange.take_outgoing(close=False) == pongs + b"HTTP/1.1 101\r\n\r\n" + encode_frame(TEXT, b"reply")
    assert exchange.outbox_bytes == 0
    assert exchange.queue_message(b"late", text=False), "it still may: the close frame waits"
    assert exchange.take_outgoing() == encode_frame(BINARY, b"late") + encode_frame(CLOSE, b"\x03\xe8")
    assert not exchange.queue_message(b"too late")
    assert exchange.take_outgoing() == b""
    assert (exchange.messages_sent, exchange.traffic.messages_out) == (2, 2)
    with pytest.raises(LocalProtocolError):
        exchange.encode_message(b"too late")


def test_one_message_is_handed_out_without_a_copy(exchanges: ModuleType) -> None:
    exchange = make_exchange(exchanges)
    data = b"x" * 1000
    exchange.queue_frame(data)
    assert exchange.take_outgoing() is data


def test_an_abandoned_exchange_keeps_nothing(exchanges: ModuleType) -> None:
    exchange = make_exchange(exchanges)
    exchange.queue_message(b"reply")
    exchange.abandon()
    assert exchange.outbox_bytes == 0
    assert exchange.take_outgoing() == b""


def test_a_compressed_connection_asks_its_subclass_for_frames(exchanges: ModuleType) -> None:
    exchange = make_exchange(exchanges, compression=True)
    exchange.queue_message(b"abc")
    assert exchange.take_outgoing() == encode_frame(TEXT, b"cba", True)


@pytest.mark.parametrize("wrong", [None, "text", bytearray(b"x"), memoryview(b"x")])
def test_something_other_than_bytes_is_refused(exchanges: ModuleType, wrong: object) -> None:
    exchange = make_exchange(exchanges)
    for call in (exchange.feed, exchange.queue_message):
        with pytest.raises(TypeError):
            call(wrong)
    assert exchange.take_outgoing() == b""


def test_a_subclass_that_leaves_its_part_out_is_told(exchanges: ModuleType) -> None:
    exchange = exchanges.FrameExchange(1000, True)
    exchange.feed(frame(TEXT, b"a", fin=False))
    with pytest.raises(NotImplementedError):
        exchange.next_event()
    with pytest.raises(NotImplementedError):
        exchange.queue_message(b"a")


def random_stream(chance: random.Random) -> bytes:
    """Frames of all kinds, some of them wrong."""
    data = bytearray()
    for _ in range(chance.randrange(1, 8)):
        opcode = chance.choice([TEXT, TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE])
        payload = chance.choice([b"", b"a", "é€🎉".encode(), b"\xff", b"x" * 200])[: 125 if opcode >= CLOSE else 200]
        data += frame(opcode, payload, rsv1=chance.random() < 0.1, fin=opcode >= CLOSE or chance.random() < 0.8)
    for _ in range(chance.choice([0, 0, 0, 2])):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def test_twins_agree_on_random_streams_cut_at_every_byte(load_both: LoadBoth) -> None:
    """What both tell and what both would write, after each of the two pieces."""
    chance = random.Random(6455)
    seen = set()
    for _ in range(120):
        data, compression = random_stream(chance), chance.random() < 0.3
        for cut in range(0, len(data) + 1, 1 if len(data) < 60 else 7):
            both = [make_exchange(module, compression=compression) for module in load_both("frame_exchange")]
            for piece in (data[:cut], data[cut:]):
                one, other = (take_events(exchange, piece) for exchange in both)
                assert one == other
                assert both[0].control_pending == both[1].control_pending
                assert both[0].take_outgoing() == both[1].take_outgoing()
                seen |= {event[0] for event in one}
            for figure in ("bytes_received", "pings_received", "pongs_received", "close_sent", "close_taken"):
                assert getattr(both[0], figure) == getattr(both[1], figure)
    assert seen == {"MessageReceived", "PingReceived", "PongReceived", "closed", "failed"}


def test_twins_agree_on_random_lives(load_both: LoadBoth) -> None:
    """Turns, answers, pings and closes in any order: what is told, counted and written is the same."""
    chance = random.Random(7692)
    for _ in range(300):
        both = [make_exchange(module) for module in load_both("frame_exchange")]
        recorders = [Recorder(exchange) for exchange in both]
        for _ in range(chance.randrange(1, 12)):
            steps = chance.choice(STEPS)(chance)
            for exchange, recorder in zip(both, recorders, strict=True):
                steps(exchange, recorder)
            assert recorders[0].told == recorders[1].told
            for figure in FIGURES:
                assert getattr(both[0], figure) == getattr(both[1], figure), figure
        assert both[0].take_outgoing() == both[1].take_outgoing()


FIGURES = (
    *("abandoned", "bytes_received", "close_sent", "close_taken", "control_pending", "handed_on", "messages_received"),
    *("messages_sent", "outbox_bytes", "pending", "pings_received", "pongs_received"),
)
Step = Callable[[Any, Recorder], None]


def feed_step(chance: random.Random) -> Step:
    data = random_stream(chance)
    return lambda exchange, recorder: exchange.feed(data)


def hand_step(chance: random.Random) -> Step:
    turns = [chance.random() < 0.3 for _ in range(5)]

    def hand_on(exchange: Any, recorder: Recorder) -> None:
        recorder.turns = iter(turns)
        exchange.hand_on(recorder, recorder, 0.0)

    return hand_on


def write_step(chance: random.Random) -> Step:
    close, size = chance.random() < 0.5, chance.choice([0, 125, 126, 70_000])

    def write(exchange: Any, recorder: Recorder) -> None:
        recorder.told.append(exchange.queue_message(b"m" * size, text=close))
        recorder.told.append(exchange.take_outgoing(close))

    return write


def end_step(chance: random.Random) -> Step:
    name = chance.choice(["queue_ping", "queue_close", "abandon"])

    def end(exchange: Any, recorder: Recorder) -> None:
        exchange.abandon() if name == "abandon" else getattr(exchange, name)(b"\x03\xe8")

    return end


STEPS = (feed_step, feed_step, hand_step, hand_step, write_step, end_step)
