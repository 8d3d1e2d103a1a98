"""What a command says about itself."""

from __future__ import annotations

import sys

__all__ = ["complain"]


def complain(text: str) -> None:
    """Write lines to the standard error. The text must be escaped already where parts of it come from elsewhere."""
    print(text, file=sys.stderr, flush=True)
