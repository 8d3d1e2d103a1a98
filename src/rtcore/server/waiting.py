"""
How long a client is told to wait, in the two forms in which it is told.

Both are rounded up, since a client that obeys must not come before its time.
"""

from __future__ import annotations

import math

__all__ = ["header_seconds", "told_seconds"]


def told_seconds(seconds: float) -> float:
    """Seconds as a JSON body or a close reason has them: in tenths."""
    near = round(seconds, 1)
    return near if near >= seconds else round(near + 0.1, 1)


def header_seconds(seconds: float) -> str:
    """Seconds as `Retry-After` has them: whole ones, and at least one. Source: RFC 9110, section 10.2.3."""
    return str(max(1, math.ceil(seconds)))
