"""`python -m rtcore`."""

from __future__ import annotations

import sys

from rtcore.cli import main

__all__: list[str] = []

sys.exit(main())
