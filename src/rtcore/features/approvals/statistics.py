"""What approvals count of themselves."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field, frozen

from rtcore.features.approvals.approval import Outcome

__all__ = ["ApprovalCounters", "ApprovalStatistics"]


@frozen(kw_only=True)
class ApprovalStatistics:
    """Approvals of all workspaces, since the hub was opened."""

    open: int
    """Approvals that wait for a decision now."""
    waiting: int
    """Tasks of this process that wait for one now."""
    kept: int
    """Ended approvals that are kept now."""
    asked: int
    """Approvals that were opened; those of before a restart are not counted."""
    votes: int
    """Votes that were cast."""
    ended: Mapping[str, int]
    """Approvals that ended, by outcome."""


@define(eq=False)
class ApprovalCounters:
    """The running numbers behind a snapshot."""

    asked: int = 0
    votes: int = 0
    ended: dict[Outcome, int] = field(factory=lambda: dict.fromkeys(Outcome, 0))

    def snapshot(self, *, open: int, waiting: int, kept: int) -> ApprovalStatistics:
        """The numbers of this moment."""
        return ApprovalStatistics(
            open=open,
            waiting=waiting,
            kept=kept,
            asked=self.asked,
            votes=self.votes,
            ended={outcome.value: count for outcome, count in self.ended.items()},
        )
