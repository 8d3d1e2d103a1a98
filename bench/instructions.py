"""
Instructions that rtcore takes for one frame, event or delivery: a figure that no other load on the machine changes.

Each scenario of `counting/scenarios.py` runs under valgrind's callgrind in two sizes; the difference, divided by the
units between them, is what one unit costs in this process. The kernel's work is not in it.

Run: python bench/instructions.py [--check bench/instruction_budget.json]

With `--check`, a scenario above its budget ends this with status 1. Where nothing can be checked (no valgrind, no
compiled twins, a Python that the file has no budget for) it says so, and ends with status 0.

To renew budgets, after a change that is worth its instructions or one that saves some, for each version of Python:

    python bench/instructions.py --renew bench/instruction_budget.json

It writes what was measured and 10 % more for this version. Say in the commit why a budget grew.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from counting.budget import excesses, read_budget, this_python, write_budget
from counting.callgrind import CountingFailed, count_instructions, valgrind_version
from counting.scenarios import SCENARIOS


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), help="all by default")
    parser.add_argument("--check", type=Path, metavar="FILE", help="compare with the budgets there")
    parser.add_argument("--renew", type=Path, metavar="FILE", help="write budgets there")
    return parser.parse_args(arguments)


def obstacle(check: Path | None) -> str:
    """Why nothing can be counted or compared here; empty: it can."""
    from rtcore._fast import IMPLEMENTATION

    if valgrind_version() is None:
        return "there is no valgrind"
    if IMPLEMENTATION != "compiled":
        return "the compiled twins are not in use"
    if check is not None and read_budget(check, this_python()) is None:
        return f"{check} has no budget for Python {this_python()}"
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    if why := obstacle(options.check):
        print(f"instructions: not checked: {why}")
        return 0 if options.check else 1
    try:
        counts = count_instructions(SCENARIOS[name] for name in options.scenarios)
    except CountingFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"CPython {platform.python_version()}, {platform.machine()}, {valgrind_version()}; instructions a unit\n")
    print("| scenario | unit | instructions |\n| --- | --- | --- |")
    for name, count in counts.items():
        print(f"| {name} | {SCENARIOS[name].unit} | {count:,.0f} |")
    if options.renew:
        write_budget(options.renew, this_python(), counts)
    over = excesses(counts, read_budget(options.check, this_python()) or {}) if options.check else []
    for line in over:
        print(line, file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
