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
    report_roles: frozenset[str] = field(
        default=frozenset({"admin", "support_chat_reporter"}), converter=name_set, validator=each(text())
    )
    """Roles of which a client needs one to report what happens, at the desks of its own workspace; one whose token
    names no workspace reports at any."""
    desks: int = field(default=1000, validator=whole(1))
    """Most desks, of workspaces and users together."""
    sessions: int = field(default=1000, validator=whole(1))
    """Sessions of one desk that are kept; of those that have ended the oldest go first."""
    listed: int = field(default=200, validator=whole(1))
    """Most sessions of one list that a dashboard is sent; those that began first."""
    messages: int = field(default=100, validator=whole(1))
    """Newest messages of one session that are kept."""
    page_messages: int = field(default=100, validator=whole(1))
    """Most messages that one `session_update` has; older ones are asked for with `before`."""
    page_bytes: int = field(default=262_144, validator=whole(1))
    """Most bytes of JSON of these messages together, unless a single one has more."""
    agents: int = field(default=1000, validator=whole(1))
    """Most agents of one desk."""
    typing_seconds: float = field(default=6.0, validator=number(over=True))
    """After how long somebody who was reported to be typing is taken to have stopped."""
