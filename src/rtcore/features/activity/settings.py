"""What can be set of the activity timeline."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from rtcore.values.rules import each, items, table, text, whole

__all__ = ["CATEGORIES", "ActivitySettings"]

CATEGORIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "alert": "alert",
        "approval": "approval",
        "chat": "chat",
        "delivery": "delivery",
        "notification": "notification",
        "output": "output",
        "presence": "presence",
        "task": "task",
        "tool": "tool",
        "workflow": "workflow",
    }
)
"""Categories by the beginning of event types, up to the first `.`, `:` or `_`."""


@frozen(kw_only=True)
class ActivitySettings:
    """Settings of the activity timeline."""

    kept: int = field(default=1000, validator=whole(1))
    """Newest activities that are kept of each timeline: the shared one, each workspace's, each user's."""
    timelines: int = field(default=1000, validator=whole(1))
    """Timelines of workspaces and users that are kept; the one that was quiet for longest is forgotten first."""
    page: int = field(default=100, validator=whole(1))
    """Most activities of one page."""
    exported: int = field(default=10_000, validator=whole(1))
    """Most activities of one export."""
    categories: Mapping[str, str] = field(
        factory=dict, validator=table("a table of categories by the beginning of event types", text(), text())
    )
    """More categories, by the beginning of event types up to the first `.`, `:` or `_`. Others are no activity."""
    left_out: tuple[str, ...] = field(
        default=("progress", "output", "chunk", "status", "heartbeat", "update", "activity", "typing", "list"),
        converter=items,
        validator=each(text()),
    )
    """Ends of event types, after the last `.`, `:` or `_`, that are too many to be worth an activity each."""
