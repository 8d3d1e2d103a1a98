"""rtcore: the real-time core for Python."""

from __future__ import annotations

from rtcore.values.version import VERSION as __version__

__all__ = ["__version__"]
