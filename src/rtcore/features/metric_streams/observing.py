"""Who is handed every sample in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rtcore.values.events import Json

__all__ = ["SampleObserver"]


class SampleObserver(Protocol):
    """Looks at samples as they are published: the rules of alerts, say."""

    def observe(self, stream: str, data: Mapping[str, Json]) -> object:
        """
        Take one sample; must not block. What it raises is logged, and harms neither the stream nor other observers.

        Args:
            stream: Name of the stream.
            data: Its figures; not to be changed.
        """
