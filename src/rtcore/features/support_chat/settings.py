"""What can be set of support chat."""

from __future__ import annotations

from attrs import field, frozen

from rtcore.values.rules import each, name_set, number, text, whole

__all__ = ["SupportChatSettings"]


@frozen(kw_only=True)
class SupportChatSettings:
    """Settings of support chat."""

    metrics_seconds: float = field(default=10.0, validator=number(over=True))
    """How often a dashboard is sent `metrics_updated`."""
    queue_seconds: float = field(default=5.0, validator=number(over=True))
    """How often a dashboard is sent `queue_updated`."""
    sessions_seconds: float = field(default=10.0, validator=number(over=True))
    """How often a dashboard is sent `active_sessions_updated`."""
    roles: frozenset[str] = field(
        default=frozenset({"admin", "supervisor", "agent", "publisher"}), converter=name_set, validator=each(text())
    )
    """Roles that see the desk of their workspace; a user's own desk needs none."""
    desks: int = field(default=1000, validator=whole(1))
    """Most desks, of workspaces and users together."""
    sessions: int = field(default=1000, validator=whole(1))
    """Sessions of one desk that are kept; of those that have ended the oldest go first."""
    listed: int = field(default=200, validator=whole(1))
    """Most sessions of one list that a dashboard is sent; those that began first."""
    messages: int = field(default=100, validator=whole(1))
    """Newest messages of one session that are kept."""
    agents: int = field(default=1000, validator=whole(1))
    """Most agents of one desk."""
    typing_seconds: float = field(default=6.0, validator=number(over=True))
    """After how long somebody who was reported to be typing is taken to have stopped."""
