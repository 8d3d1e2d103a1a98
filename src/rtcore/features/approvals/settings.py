"""What can be set of approvals: `[features.approvals]`."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import field, frozen

from rtcore.values.rules import LONGEST_SECONDS, Rule, each, number, text, whole

__all__ = ["ApprovalSettings"]


def _roles(names: Iterable[str]) -> frozenset[str]:
    return names if isinstance(names, str) else frozenset(names)  # type: ignore[return-value]  # named by its rule


@frozen(kw_only=True)
class ApprovalSettings:
    """Who asks and who decides where a request does not say so itself, and how long things take and stay."""

    approver_roles: frozenset[str] = field(
        default=frozenset({"admin", "approver"}), converter=_roles, validator=each(text())
    )
    """Roles that decide what names no approvers of its own."""
    requester_roles: frozenset[str] = field(
        default=frozenset({"admin", "publisher"}), converter=_roles, validator=each(text())
    )
    """Roles of which a client needs one to ask; code in the server's process is not asked."""
    decide_own: bool = field(default=False, validator=Rule("true or false", lambda value: isinstance(value, bool)))
    """Whether somebody may decide what he has asked himself; a request of the server's code may allow it as well."""
    expires_seconds: float = field(default=3600.0, validator=number(over=True, most=LONGEST_SECONDS))
    """How long an approval waits where its request does not say so."""
    maximum_seconds: float = field(default=30 * 86_400.0, validator=number(over=True, most=LONGEST_SECONDS))
    """Longest time that a request may ask for."""
    title_length: int = field(default=200, validator=whole(1))
    """Longest title, in characters: a line on a page."""
    reason_length: int = field(default=1000, validator=whole(1))
    """Longest reason, in characters. All reasons of an approval go into the event of its decision, so `message_bytes`
    must have room for as many as its quorum takes."""
    votes: int = field(default=20, validator=whole(1))
    """Highest quorum, and most rejections that it may take."""
    approvers: int = field(default=100, validator=whole(1))
    """Most roles, and most users, that a request names."""
    page_approvals: int = field(default=100, validator=whole(1))
    """Most approvals of a page: in the state behind the channel, of `approval.list` and over HTTP."""
    kept_approvals: int = field(default=1000, validator=whole(1))
    """Ended approvals kept of each workspace, with who decided and why; the longest ended are forgotten first."""
    kept_seconds: float = field(default=90 * 86_400.0, validator=number(over=True))
    """How long an ended approval is kept; forgotten with the next one that ends in its workspace, or at a start."""
    store_seconds: float = field(default=5.0, validator=number(over=True))
    """How long code that was cancelled may be held up until the withdrawal of its request is written."""
