"""What can be set of notifications: `[features.notifications]`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import field, frozen

from rtcore.values.rules import LONGEST_SECONDS, each, number, text, whole

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
    kept_seconds: float = field(default=30 * 86_400.0, validator=number(over=True, most=LONGEST_SECONDS))
    """How long a notification is kept that does not expire earlier: the most that `expires_after` may say, and more
    than any step of an escalation."""
    page_notifications: int = field(default=50, validator=whole(1))
    """Most notifications of a page: in the state behind a channel, and of `notification.list`. Fewer where they would
    be longer than `replay_bytes`, or half of that for each of the two channels."""
    title_length: int = field(default=200, validator=whole(1))
    """Longest title, in characters; a line of a screen holds fewer."""
    body_length: int = field(default=4000, validator=whole(1))
    """Longest body, in characters; what is longer belongs behind a link."""
    actions: int = field(default=5, validator=whole(0))
    """Most buttons of a notification: more do not stand beside each other. 0: none."""
    escalation_steps: int = field(default=10, validator=whole(0))
    """Most users in line for a notification that nobody reads. 0: none."""
    cache_bytes: int = field(default=67_108_864, validator=whole(1))
    """Bytes of inboxes in memory, what was read of them included, as JSON text; those that were not asked for longest
    are read again when they are."""
    store_seconds: float = field(default=5.0, validator=number(over=True))
    """How long code that was cancelled may be held up until the end of its progress is written."""
