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
        "agent_status": "chat",
        "alert": "alert",
        "approval": "approval",
        "chat": "chat",
        "message_created": "chat",
        "notification": "notification",
        "output": "output",
        "presence": "presence",
        "queue": "queue",
        "task": "task",
        "tool": "tool",
        "workflow": "workflow",
    }
)
"""Categories by the beginning of event types, up to a `.`, `:` or `_` or the end; the longest one counts."""


@frozen(kw_only=True)
class ActivitySettings:
    """Settings of the activity timeline."""

    kept: int = field(default=1000, validator=whole(1))
    """Newest activities that are kept of each timeline: the shared one, each workspace's, each user's."""
    timelines: int = field(default=1000, validator=whole(1))
    """Timelines that are kept of each kind: of workspaces, users, users of one workspace, and channels that need a
    role; the one that was quiet for longest is forgotten first."""
    page: int = field(default=100, validator=whole(1))
    """Most activities of one page."""
    exported: int = field(default=10_000, validator=whole(1))
    """Most activities of one export."""
    categories: Mapping[str, str] = field(
        factory=dict, validator=table("a table of categories by the beginning of event types", text(), text())
    )
    """More categories than those that are built in, by the beginning of event types up to a `.`, `:` or `_` or the end;
    the longest one counts. Other events are no activity."""
    left_out: tuple[str, ...] = field(
        default=(
            *("progress", "output", "chunk", "status", "heartbeat", "update", "activity", "typing", "list"),
            *("message_updated", "notification.read", "notification.receipt", "notification.updated"),
            "queue_depth_changed",
        ),
        converter=items,
        validator=each(text()),
    )
    """Whole event types, and ends of them after the last `.`, `:` or `_`, that are too many to be worth an activity
    each."""
