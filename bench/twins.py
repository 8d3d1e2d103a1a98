"""
What compiling the twins gains: the commonest calls of each family, in Python and compiled.

A family of `rtcore._fast.FAMILIES` without calls in `twin_calls.py` ends this with an error.

Run: python bench/twins.py (the compiled twins must have been built)
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module

from twin_calls import CALLS

from rtcore._fast import FAMILIES

Call = Callable[[], object]
LEAST_SECONDS = 0.005
"""Of one measured round, so that the clock's grain does not matter."""


def families_without_calls() -> list[str]:
    """Those that nobody has measured yet."""
    return [family for family in FAMILIES if not CALLS.get(family)]


def calls() -> Iterator[tuple[str, Call, Call]]:
    """Each call's name, and itself bound to the Python twin and to the compiled one."""
    for family in FAMILIES:
        pure, compiled = (import_module(f"rtcore.{package}.{family}") for package in ("_pure", "_fast"))
        made = zip(CALLS[family](pure).items(), CALLS[family](compiled).values(), strict=True)
        yield from ((name, slow, fast) for (name, slow), fast in made)


def measure(call: Call, repeats: int) -> tuple[float, float]:
    """Median and spread (half the distance between the quartiles), in nanoseconds a call."""
    number = 1
    while _time(call, number) < LEAST_SECONDS:
        number *= 2
    rounds = [_time(call, number) / number * 1e9 for _ in range(repeats)]
    low, middle, high = statistics.quantiles(rounds, n=4)
    return middle, (high - low) / 2


def _time(call: Call, number: int) -> float:
    begin = time.process_time()  # of this process alone: others do not count
    for _ in range(number):
        call()
    return time.process_time() - begin


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=25, help="rounds of each call, at least 2")
    options = parser.parse_args()
    if missing := families_without_calls():
        print(f"no call is measured of {', '.join(missing)}: add some to bench/twin_calls.py", file=sys.stderr)
        return 1
    print(f"Python {platform.python_version()}, {platform.machine()}; nanoseconds a call (± spread)\n")
    print("| call | Python | compiled | times |\n|---|---|---|---|")
    for name, pure, compiled in calls():
        slow, slow_spread = measure(pure, options.repeats)
        fast, fast_spread = measure(compiled, options.repeats)
        print(f"| {name} | {slow:,.0f} ± {slow_spread:.0f} | {fast:,.0f} ± {fast_spread:.0f} | {slow / fast:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
