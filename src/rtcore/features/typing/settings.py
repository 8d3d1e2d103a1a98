"""What can be set of typing: `[features.typing]`."""

from __future__ import annotations

from attrs import field, frozen

from rtcore.values.rules import number, whole

__all__ = ["TypingSettings"]


@frozen(kw_only=True)
class TypingSettings:
    """Times and bounds of typing."""

    seconds: float = field(default=6.0, validator=number(over=True))
    """How long somebody types without saying so again; clients say so again every 3 s."""
    update_seconds: float = field(default=0.1, validator=number())
    """Least time between two messages about one conversation. 0: each change is a message of its own."""
    conversations_per_connection: int = field(default=8, validator=whole(1))
    """Most conversations in which one connection types at once: the next is refused."""
    listed_users: int = field(default=10, validator=whole(1))
    """Most users of one conversation who are told by name, those who began first; the rest are counted."""
