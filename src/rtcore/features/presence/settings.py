"""What can be set of presence: `[features.presence]`."""

from __future__ import annotations

from attrs import field, frozen

from rtcore.values.rules import Rule, number, whole

__all__ = ["PresenceSettings"]


@frozen(kw_only=True)
class PresenceSettings:
    """Times and bounds of presence."""

    stale_seconds: float = field(default=300.0, validator=number(over=True))
    """How long someone whom application code named as present is shown without being named again."""
    away_seconds: float = field(default=0.0, validator=number())
    """How long a connection that says nothing of its user shows him online: then away. 0: until it says so itself."""
    grace_seconds: float = field(default=5.0, validator=number())
    """How long a user is still shown after his last connection broke, so that loading a page again shows nobody
    leaving. 0: not at all."""
    update_seconds: float = field(default=0.1, validator=number())
    """Least time between two messages about one workspace: what changes meanwhile is in the next one. 0: each change
    is a message of its own."""
    users: int = field(default=50_000, validator=whole(1))
    """Most users of one workspace who are present at once, some 1 KiB each: the next is refused."""
    connections_per_user: int = field(default=32, validator=whole(1))
    """Most connections through which one user is present at once: the next is refused."""
    list_users: int = field(default=100, validator=whole(1))
    """Users told with a subscription, and in a page of the list where none asks for more."""
    list_users_maximum: int = field(default=1000, validator=whole(1))
    """Most users of a page that somebody asks for."""
    guests: bool = field(default=True, validator=Rule("true or false", lambda value: isinstance(value, bool)))
    """Whether clients without a token may be present under a name of their own choice, where they are let in at all."""
