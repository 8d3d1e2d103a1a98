"""How long to wait before trying again: exponential back-off with full jitter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["full_jitter"]

_DOUBLINGS: Final = 16
"""2**16 times the smallest wait is past every ceiling; without the bound the power would grow for ever."""


def full_jitter(failures: int, first: float, most: float, uniform: Callable[[float, float], float]) -> float:
    """
    Seconds to wait: uniform between 0 and `first * 2**failures`, at most `most`.

    Args:
        failures: How often it was tried in vain before the last time, from 0.
        first: Longest wait the first time.
        most: Longest wait at all.
        uniform: As `random.uniform`.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: full jitter.
    """
    return uniform(0.0, min(first * 2 ** min(failures, _DOUBLINGS), most))
