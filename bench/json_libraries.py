"""
Which JSON library? Compares orjson, msgspec and the standard library's json on event messages of 200 bytes to 4 KiB.

msgspec is measured with plain dictionaries, as the others are: `data` belongs to the application and has no schema.

Run: python bench/json_libraries.py
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

SIZES = (200, 500, 1024, 2048, 4096)


def make_message(size: int, chance: random.Random) -> dict[str, Any]:
    """An event whose data grows field by field (numbers, text, flags, a nested list) to about `size` bytes of JSON."""
    data: dict[str, Any] = {"task_id": f"task-{chance.getrandbits(48):012x}", "progress": chance.random() * 100}
    event = {
        "type": "task.progress",
        "channel": f"tasks:{chance.randint(1, 99)}",
        "data": data,
        "timestamp": "2025-01-15T12:00:00.123Z",
        "offset": chance.randint(1, 10**6),
    }
    while len(json.dumps(event, separators=(",", ":"))) < size:
        number = len(data)
        data[f"field_{number}"] = chance.choice(
            [
                chance.randint(-(10**9), 10**9),
                chance.random(),
                "übermittelt " + "x" * chance.randint(0, 40),
                [True, False, None, chance.randint(0, 9)],
                {"host": f"node-{number}", "load": chance.random()},
            ]
        )
    return event


def libraries() -> Iterator[tuple[str, Callable[[Any], bytes], Callable[[bytes], Any]]]:
    """Name, encoder and decoder of each library that is installed."""
    compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    yield "json", lambda value: compact.encode(value).encode(), json.loads
    try:
        import orjson
    except ImportError:
        print("orjson is not installed: left out")
    else:
        yield f"orjson {orjson.__version__}", orjson.dumps, orjson.loads
    try:
        import msgspec
    except ImportError:
        print("msgspec is not installed: left out")
    else:
        yield f"msgspec {msgspec.__version__}", msgspec.json.Encoder().encode, msgspec.json.Decoder().decode


def measure(call: Callable[[Any], object], values: list[Any], repeats: int) -> tuple[float, float]:
    """Median and spread (half the distance between the quartiles), in microseconds a value."""
    rounds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for value in values:
            call(value)
        rounds.append((time.perf_counter() - begin) / len(values) * 1e6)
    low, middle, high = statistics.quantiles(rounds, n=4)
    return middle, (high - low) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=500, help="different messages of each size")
    parser.add_argument("--repeats", type=int, default=25, help="rounds over them")
    options = parser.parse_args()
    chance = random.Random(7)
    corpus = {size: [make_message(size, chance) for _ in range(options.messages)] for size in SIZES}
    print(f"Python {platform.python_version()}, {platform.machine()}; microseconds a message (+- spread)")
    print("| library | direction | " + " | ".join(f"{size} B" for size in SIZES) + " |")
    print("|---|---|" + "---|" * len(SIZES))
    for name, encode, decode in libraries():
        for direction in ("encode", "decode"):
            cells = []
            for events in corpus.values():
                texts = [encode(event) for event in events]
                if [decode(text) for text in texts] != events:
                    raise SystemExit(f"{name} does not give back what it was given")
                call, values = (encode, events) if direction == "encode" else (decode, texts)
                middle, spread = measure(call, values, options.repeats)
                cells.append(f"{middle:.2f} +-{spread:.2f}")
            print(f"| {name} | {direction} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
