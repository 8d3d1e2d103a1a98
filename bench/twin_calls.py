"""The calls that `twins.py` measures: for each family a function that makes them, bound to either twin."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from rtcore.hub.filters import compile_filter
from rtcore.values.limits import Limits

__all__ = ["CALLS"]

Calls = Mapping[str, Callable[[], object]]
Twin = Any  # the module: both twins have the same names

MESSAGE = b'{"type":"task.progress","channel":"tasks","data":{"task_id":"t1","progress":40,"message":"3 of 10"}'
FRAME = bytes([0x81, 0x80 | 100]) + b"mask" + bytes(100)
TEXT = ("h\u00e9llo " * 150).encode()
LARGE = bytes(65536)
HEAD = (
    b"GET /ws HTTP/1.1\r\nHost: realtime.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: https://example.com\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nUser-Agent: browser/1.0\r\n\r\n"
)


def batch_encoder(twin: Twin) -> Calls:
    batch = [MESSAGE + b"}"] * 10
    return {
        "encode_message": lambda: twin.encode_message(MESSAGE, b"ab12cd34ef-42"),
        "encode_batch of 10": lambda: twin.encode_batch(batch, b"2025-01-15T12:00:00.123Z"),
        "join of 10": lambda: twin.join(batch),
    }


def deflate(twin: Twin) -> Calls:
    deflater, inflater = twin.MessageDeflater(), twin.MessageInflater(15, False, 1 << 20)
    compressed = deflater.compress(MESSAGE)

    def inflate() -> bytes:
        return inflater.feed(compressed) + inflater.finish()

    return {
        "MessageDeflater.compress 100 B": lambda: deflater.compress(MESSAGE),
        "MessageInflater.feed and finish, 100 B": inflate,
    }


def event_ring(twin: Twin) -> Calls:
    ring, full = _filled(twin.EventRing()), _filled(twin.EventRing())

    def append_and_evict() -> None:
        """A full event log: one comes, one goes."""
        head = full.head
        full.append(MESSAGE, head, 200, float(head))
        full.evict_to(head - 999)

    return {
        "EventRing.append and evict_to, 1000 held": append_and_evict,
        "EventRing.slice of 10": lambda: ring.slice(500, 510),
        "EventRing.index_of_offset of 1000": lambda: ring.index_of_offset(700),
        "EventRing.stop_for_bytes of 1000": lambda: ring.stop_for_bytes(0, 65536),
    }


def _filled(ring: Any) -> Any:
    for number in range(1000):
        ring.append(MESSAGE, number, 200, float(number))
    return ring


def fan_out(twin: Twin) -> Calls:
    fan, group = twin.FanOut(65536), twin.SlotGroup()
    table = import_module(f"{twin.__package__}.socket_table").SocketTable()
    # Datagrams that nobody reads: a full buffer drops them without a word, so there is room for ever.
    nobody = _detached(socket.SOCK_DGRAM, None)
    address = socket.socket(fileno=os.dup(nobody))
    with address:
        for _ in range(64):
            group.add(table.add(_detached(socket.SOCK_DGRAM, address.getsockname()), _Owner()), None)

    def send() -> object:
        fan.add(group, MESSAGE)
        return fan.send()

    return {"FanOut.send 100 B to 64": send}


def _detached(kind: int, to: Any) -> int:
    made = socket.socket(socket.AF_INET, kind)
    if to is None:
        made.bind(("127.0.0.1", 0))
    else:
        made.connect(to)
    return made.detach()


class _Owner:
    """Takes what comes and does nothing with it."""

    def data_received(self, data: bytes) -> None:
        pass


def filter_program(twin: Twin) -> Calls:
    data = {"task_id": "t1", "status": "running", "progress": 40}

    def judge(wish: dict[str, Any]) -> Callable[[], object]:
        program = twin.FilterProgram(compile_filter(wish, Limits()).conditions)
        return lambda: program.matches("task.progress", "tasks", data)

    return {
        "FilterProgram.matches, task_id": judge({"task_id": "t1"}),
        "FilterProgram.matches, type task.*": judge({"type": "task.*"}),
        "FilterProgram.matches, a set of three": judge({"status": ["running", "failed", "done"]}),
    }


def framing(twin: Twin) -> Calls:
    parser = twin.FrameParser(1 << 20)
    return {
        "FrameParser.feed, a frame of 100 B": lambda: parser.feed(FRAME),
        "FrameParser.feed, 10 frames of 100 B": lambda: parser.feed(FRAME * 10),
    }


def json_text(twin: Twin) -> Calls:
    data = b'"' + b"x" * 100 + b'"'
    return {
        "json_depth_exceeds, 100 B": lambda: twin.json_depth_exceeds(MESSAGE, 64),
        "holds_null, 100 B": lambda: twin.holds_null(data),
        "encode_event_text, 100 B": lambda: twin.encode_event_text("tasks", "task.progress", data, 1.7e9, 42),
        "format_timestamp": lambda: twin.format_timestamp(1.7e9),
    }


def frame_writer(twin: Twin) -> Calls:
    return {"encode_frame 100 B": lambda: twin.encode_frame(1, MESSAGE)}


def frame_outbox(twin: Twin) -> Calls:
    outbox = twin.FrameOutbox()

    def send() -> bytes:
        outbox.queue_message(MESSAGE)
        return bytes(outbox.take_outgoing())

    return {"FrameOutbox, a message of 100 B queued and taken": send}


def frame_exchange(twin: Twin) -> Calls:
    exchange = twin.FrameExchange(1 << 20)

    def receive() -> object:
        exchange.feed(FRAME)
        return exchange.next_event()

    return {"FrameExchange, a message of 100 B fed and asked for": receive}


def peer_events(twin: Twin) -> Calls:
    return {"MessageReceived, made": lambda: twin.MessageReceived(True, MESSAGE)}


def masking(twin: Twin) -> Calls:
    return {
        "apply_mask 100 B": lambda: twin.apply_mask(MESSAGE, b"mask"),
        "apply_mask 64 KiB": lambda: twin.apply_mask(LARGE, b"mask"),
    }


def request_head(twin: Twin) -> Calls:
    limits = import_module("rtcore.values.limits").Limits()
    return {"parse_request_head, 8 headers": lambda: twin.parse_request_head(HEAD, limits)}


def socket_table(twin: Twin) -> Calls:
    table = twin.SocketTable()
    ours, theirs = (end.detach() for end in socket.socketpair())
    table.add(ours, _Owner())

    def poll() -> None:
        os.write(theirs, MESSAGE)
        table.poll()

    return {"SocketTable.poll, one socket with 100 B": poll}


def token_bucket(twin: Twin) -> Calls:
    bucket = twin.TokenBucket(1e9, 100, 0.0)
    return {"TokenBucket.take": lambda: bucket.take(1.0)}


def traffic(twin: Twin) -> Calls:
    totals = twin.Traffic()

    def count() -> None:
        totals.messages_in += 1

    return {"Traffic, one counted": count}


def utf8(twin: Twin) -> Calls:
    validator = twin.Utf8Validator()
    return {
        "is_utf8 1 KiB": lambda: twin.is_utf8(TEXT),
        "Utf8Validator.feed 1 KiB": lambda: validator.feed(TEXT),
    }


CALLS: Mapping[str, Callable[[Twin], Calls]] = {
    make.__name__: make
    for make in (
        *(batch_encoder, deflate, event_ring, fan_out, filter_program, frame_exchange, frame_outbox, frame_writer),
        *(framing, json_text, masking, peer_events, request_head, socket_table, token_bucket, traffic, utf8),
    )
}
"""By the family's name."""
