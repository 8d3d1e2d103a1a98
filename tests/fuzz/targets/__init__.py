"""
What is fuzzed: each target takes one input and raises where a promise is broken.

A new target is a module here with `check`, its name in `TARGETS`, and a folder of its name in `tests/fuzz/corpus`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.fuzz.stacks import Stack
from tests.fuzz.targets import commands, cuts, frames, inflate, request_head

__all__ = ["TARGETS", "Target"]

Target = Callable[[bytes, Sequence[Stack]], None]

TARGETS: Mapping[str, Target] = {
    "commands": commands.check,
    "cuts": cuts.check,
    "frames": frames.check,
    "inflate": inflate.check,
    "request_head": request_head.check,
}
"""By name: the input, and the implementations that must agree on it."""
