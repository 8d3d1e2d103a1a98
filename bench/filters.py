"""
What a filter costs on an event: common ones, and the worst that a client may send within the limits.

For the worst ones the events are made to fit, since a publisher may be a friend of that client's: names that
all patterns nearly fit, and data in which every condition holds but the last.

Run: python bench/filters.py (the compiled twins must have been built)
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from rtcore.hub.filters import compile_filter
from rtcore.values.events import Json
from rtcore.values.limits import Limits

Event = tuple[str, str, Json]
Case = tuple[dict[str, Any], Event]

LIMITS = Limits()
DATA: Json = {"task_id": "t1", "status": "running", "progress": 40, "error": {"code": 5}}
EVENT: Event = ("task.progress", "tasks", DATA)
COMMON: dict[str, Case] = {
    "none": ({}, EVENT),
    "task_id": ({"task_id": "t1"}, EVENT),
    "type, one prefix": ({"type": "task.*"}, EVENT),
    "type, two patterns": ({"type": ["tool.*", "*.progress"]}, EVENT),
    "status in a set of three": ({"status": {"in": ["running", "failed", "done"]}}, EVENT),
    "progress in a range": ({"progress": {"gte": 10, "lt": 50}}, EVENT),
    "error.code": ({"error.code": 5}, EVENT),
    "type and task_id": ({"type": "task.*", "task_id": "t1"}, EVENT),
    "type, text between stars": ({"type": "*gres*"}, EVENT),
}


def worst() -> dict[str, Case]:
    """Filters that take all the room that there is."""
    longest_type, longest_channel = "a" * LIMITS.type_length, "a" * 255
    names: Event = (longest_type, longest_channel, {})
    deep = {str(number): number for number in range(30)}
    data: Json = dict(deep)
    for _ in range(15):
        data = {"a": data}
    nearly = [chr(98 + number % 25) + "a" * (60 - number // 25) for number in range(31)]
    starts = ["a" * 60 + name + "*" for name in nearly]
    ends = ["a" * 60 + "*" + name for name in nearly]
    found = "*" + "a*" * 63
    paths = {"a." * 15 + str(number): {"gte": number, "lte": number} for number in range(30)}
    return {
        "text between stars, 63 of 1": ({"channel": found}, names),
        "text between stars, 2 of 32": ({"channel": ["*" + "a" * 30 + "b*", "*" + "a" * 31 + "c*"]}, names),
        "31 prefixes": ({"channel": [*starts, found]}, names),
        "31 patterns with both ends": ({"channel": [*ends, found]}, names),
        "30 ranges, 16 objects deep": (paths, ("t", "c", data)),
        "all at once": (
            {"type": [*ends[:15], found], "channel": [*ends[15:30], found], **paths},
            (longest_type, longest_channel, data),
        ),
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


def bind(package: str, where: dict[str, Any], event: Event) -> Callable[[], object]:
    """One judgement by one implementation, with nothing around it but its arguments."""
    program = import_module(f"rtcore.{package}.filter_program").FilterProgram
    matches = program(compile_filter(where, LIMITS).conditions).matches
    event_type, channel, data = event
    return lambda: matches(event_type, channel, data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=25)
    options = parser.parse_args()
    empty, _ = measure(lambda: None, options.repeats)
    print(f"Python {platform.python_version()}, {platform.machine()}; nanoseconds a filter and event (+- spread)")
    print(f"of which calling the call of the measurement: {empty:.0f}")
    print("| filter | Python | compiled | times |")
    print("|---|---|---|---|")
    for name, (where, event) in {**COMMON, **worst()}.items():
        slow, slow_spread = measure(bind("_pure", where, event), options.repeats)
        fast, fast_spread = measure(bind("_fast", where, event), options.repeats)
        print(f"| {name} | {slow:.0f} +-{slow_spread:.0f} | {fast:.0f} +-{fast_spread:.0f} | {slow / fast:.1f} |")


if __name__ == "__main__":
    main()
