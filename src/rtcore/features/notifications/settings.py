"""What can be set of notifications: `[features.notifications]`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import field, frozen

from rtcore.values.rules import each, number, text, whole

__all__ = ["KINDS", "NotificationSettings"]

KINDS: Final = frozenset(
    {"alert", "approval", "crisis", "mention", "message", "post_failed", "post_published", "review"}
)
"""The kinds of notifications that a team workspace has."""


def _words(names: Iterable[str]) -> frozenset[str]:
    return names if isinstance(names, str) else frozenset(names)  # type: ignore[return-value]  # named by its rule


@frozen(kw_only=True)
class NotificationSettings:
    """Who may send what, and how much is kept."""

    kinds: frozenset[str] = field(default=KINDS, converter=_words, validator=each(text()))
    """Kinds that a notification may be of. `crisis`, where it is one of them, goes in the high lane."""
    send_roles: frozenset[str] = field(
        default=frozenset({"admin", "publisher"}), converter=_words, validator=each(text())
    )
    """Roles of which a client needs one to send, within its own workspace."""
    kept_notifications: int = field(default=500, validator=whole(1))
    """Most notifications kept of each user, and of each workspace: the oldest are forgotten first, read or not."""
    kept_seconds: float = field(default=30 * 86_400.0, validator=number(over=True))
    """How long a notification is kept that does not expire earlier."""
    page_notifications: int = field(default=50, validator=whole(1))
    """Most notifications of a page: in the state behind a channel, and of `notification.list`."""
    cache_bytes: int = field(default=67_108_864, validator=whole(1))
    """Bytes of inboxes in memory, as JSON text; those that were not asked for longest are read again when they are."""
    store_seconds: float = field(default=5.0, validator=number(over=True))
    """How long code that was cancelled may be held up until the end of its progress is written."""
