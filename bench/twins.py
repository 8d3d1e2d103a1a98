"""
What compiling the twins gains: each family's commonest call, in Python and compiled.

Run: python bench/twins.py (the compiled twins must have been built)
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

MESSAGE = b'{"type":"task.progress","channel":"tasks","data":{"task_id":"t1","progress":40,"message":"3 of 10"}'
FRAME = bytes([0x81, 0x80 | 100]) + b"mask" + bytes(100)


def fill(ring: Any, count: int) -> Any:
    for number in range(count):
        ring.append(MESSAGE, number, 1, 200, float(number))
    return ring


def append_and_evict(ring: Any) -> Callable[[], object]:
    """A full event log: one comes, one goes."""
    fill(ring, 1000)

    def call() -> None:
        head = ring.head
        ring.append(MESSAGE, head, 1, 200, float(head))
        ring.evict_to(head - 999)

    return call


def calls(package: str) -> dict[str, Callable[[], object]]:
    """One call of each family, bound to one implementation."""

    def family(name: str) -> Any:
        return import_module(f"rtcore.{package}.{name}")

    bucket = family("token_bucket").TokenBucket(1e9, 100, 0.0)
    ring = fill(family("event_ring").EventRing(), 1000)
    encoder, masking, utf8 = family("batch_encoder"), family("masking"), family("utf8")
    framing, deflater = family("framing"), family("deflate").MessageDeflater()
    parser = framing.FrameParser(1 << 20)
    batch, large, text = [MESSAGE + b"}"] * 10, bytes(65536), ("h\u00e9llo " * 150).encode()
    return {
        "TokenBucket.take": lambda: bucket.take(1.0),
        "EventRing.append and evict_to, 1000 held": append_and_evict(family("event_ring").EventRing()),
        "EventRing.slice of 10": lambda: ring.slice(500, 510),
        "EventRing.index_of_offset of 1000": lambda: ring.index_of_offset(700),
        "EventRing.stop_for_bytes of 1000": lambda: ring.stop_for_bytes(0, 65536),
        "encode_message": lambda: encoder.encode_message(MESSAGE, b"ab12cd34ef-42"),
        "encode_batch of 10": lambda: encoder.encode_batch(batch, b"2025-01-15T12:00:00.123Z"),
        "MessageDeflater.compress 100 B": lambda: deflater.compress(MESSAGE),
        "encode_frame 100 B": lambda: framing.encode_frame(1, MESSAGE),
        "FrameParser.feed, a frame of 100 B": lambda: parser.feed(FRAME),
        "apply_mask 64 KiB": lambda: masking.apply_mask(large, b"mask"),
        "is_utf8 1 KiB": lambda: utf8.is_utf8(text),
    }


def measure(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median and spread (half the distance between the quartiles), in nanoseconds a call."""
    number = 1
    while True:
        begin = time.perf_counter()
        for _ in range(number):
            call()
        if time.perf_counter() - begin > 0.005:
            break
        number *= 2
    rounds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in range(number):
            call()
        rounds.append((time.perf_counter() - begin) / number * 1e9)
    low, middle, high = statistics.quantiles(rounds, n=4)
    return middle, (high - low) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=25)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}; nanoseconds a call (+- spread)")
    print("| call | Python | compiled | times |")
    print("|---|---|---|---|")
    compiled = calls("_fast")
    for name, call in calls("_pure").items():
        slow, slow_spread = measure(call, options.repeats)
        fast, fast_spread = measure(compiled[name], options.repeats)
        print(f"| {name} | {slow:.0f} +-{slow_spread:.0f} | {fast:.0f} +-{fast_spread:.0f} | {slow / fast:.1f} |")


if __name__ == "__main__":
    main()
