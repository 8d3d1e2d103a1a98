"""
Which deflate library, and which way to compress a message without context takeover?

Compares zlib (the standard library's), zlib-ng and isal (both from PyPI) on JSON event messages of 200 bytes to 4 KiB:

- `new`: a compressor made for each message;
- `copy`: a copy of a compressor that has seen nothing, made for each message;
- `reset`: one compressor for all messages, told to forget by a full flush after each.

Run: python bench/deflate_libraries.py
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import time
import zlib
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

SIZES = (200, 500, 1024, 2048, 4096)
WORDS = ("task", "index", "build", "upload", "started", "waiting for lock", "on shard", "compiled module", "retry in")


def make_message(size: int, chance: random.Random) -> bytes:
    """A progress event whose text is padded with words to about `size` bytes."""
    data: dict[str, Any] = {
        "task_id": f"task-{chance.getrandbits(48):012x}",
        "progress": chance.randint(0, 100),
        "message": "",
    }
    event = {
        "type": "task.progress",
        "channel": f"tasks:{chance.randint(1, 99)}",
        "data": data,
        "timestamp": f"2025-01-15T12:{chance.randint(10, 59)}:{chance.randint(10, 59)}.{chance.randint(100, 999)}Z",
        "offset": chance.randint(1, 10**6),
        "position": f"{chance.getrandbits(40):010x}-{chance.randint(1, 10**6)}",
    }
    while len(encoded := json.dumps(event, separators=(",", ":")).encode()) < size:
        data["message"] += f" {chance.choice(WORDS)} {chance.randint(0, 9999)}"
    return encoded


def ways(library: Any, level: int) -> Iterator[tuple[str, Callable[[bytes], bytes]]]:
    """The ways that a zlib-like module offers."""

    def make() -> Any:
        return library.compressobj(level, 8, -15)

    def compress_new(data: bytes) -> bytes:
        compressor = make()
        return bytes((compressor.compress(data) + compressor.flush(library.Z_SYNC_FLUSH))[:-4])

    pristine, shared = make(), make()

    def compress_copy(data: bytes) -> bytes:
        compressor = pristine.copy()
        return bytes((compressor.compress(data) + compressor.flush(library.Z_SYNC_FLUSH))[:-4])

    def compress_reset(data: bytes) -> bytes:
        return bytes((shared.compress(data) + shared.flush(library.Z_FULL_FLUSH))[:-4])

    yield "new", compress_new
    if hasattr(pristine, "copy"):
        yield "copy", compress_copy
    yield "reset", compress_reset


def check(compress: Callable[[bytes], bytes], messages: list[bytes]) -> bool:
    """Whether each message, the second time too, can be read by itself."""
    for message in [*messages, *messages]:
        try:
            if zlib.decompressobj(-15).decompress(compress(message) + b"\x00\x00\xff\xff") != message:
                return False
        except zlib.error:
            return False
    return True


def measure(compress: Callable[[bytes], bytes], messages: list[bytes], repeats: int) -> tuple[float, float]:
    """Median and spread (half the distance between the quartiles), in microseconds a message."""
    rounds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for message in messages:
            compress(message)
        rounds.append((time.perf_counter() - begin) / len(messages) * 1e6)
    low, middle, high = statistics.quantiles(rounds, n=4)
    return middle, (high - low) / 2


def libraries() -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """Those that are installed, with the levels worth comparing."""
    yield f"zlib {zlib.ZLIB_RUNTIME_VERSION}", zlib, (1, 6)
    try:
        from zlib_ng import zlib_ng
    except ImportError:
        print("zlib-ng is not installed: left out")
    else:
        yield f"zlib-ng {zlib_ng.ZLIBNG_VERSION}", zlib_ng, (1, 2, 6)
    try:
        from isal import isal_zlib
    except ImportError:
        print("isal is not installed: left out")
    else:
        yield f"isal {version('isal')}", isal_zlib, (0, 1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200, help="different messages of each size")
    parser.add_argument("--repeats", type=int, default=15, help="rounds over them")
    options = parser.parse_args()
    chance = random.Random(7)
    corpus = {size: [make_message(size, chance) for _ in range(options.messages)] for size in SIZES}
    print(f"Python {platform.python_version()}, {platform.machine()}")
    print("Microseconds a message (+- spread), and the share of its size that is left.")
    print("| library | level | way | " + " | ".join(f"{size} B" for size in SIZES) + " |")
    print("|---|---|---|" + "---|" * len(SIZES))
    for name, library, levels in libraries():
        for level in levels:
            for way, compress in ways(library, level):
                cells = []
                for messages in corpus.values():
                    if not check(compress, messages):
                        cells.append("wrong")
                        continue
                    middle, spread = measure(compress, messages, options.repeats)
                    left = sum(len(compress(message)) for message in messages) / sum(map(len, messages))
                    cells.append(f"{middle:.1f} +-{spread:.1f}, {left:.0%}")
                print(f"| {name} | {level} | {way} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
