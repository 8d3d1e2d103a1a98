"""
The rules of deciding: what a vote, the end of its time and a withdrawal make of an approval.

    open --vote--> open, approved or rejected
    open --time--> expired
    open --whoever asked--> withdrawn

What has ended stays as it is: the first answer wins. Nobody votes twice, nobody decides what he asked himself unless
that is allowed, and only approvers of the same workspace vote. The same vote of the same user again is the same vote,
since a client that lost the reply sends its request again.
"""

from __future__ import annotations

from attrs import evolve

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.approvals.approval import Approval, Choice, Ending, Outcome, Vote
from rtcore.values.identity import Identity

__all__ = ["can_decide", "cast_vote", "end"]


def can_decide(approval: Approval, identity: Identity) -> bool:
    """Whether somebody could still vote."""
    return (
        approval.is_open
        and identity.workspace == approval.question.workspace
        and _is_approver(approval, identity)
        and not _is_own(approval, identity)
        and all(vote.user != identity.user for vote in approval.votes)
    )


def cast_vote(approval: Approval, identity: Identity, choice: Choice, reason: str | None, now: float) -> Approval:
    """
    The approval with one more vote, and with its ending where that vote decides.

    Args:
        approval: As it is.
        identity: Who votes, of the approval's workspace.
        choice: What he says.
        reason: Why.
        now: Unix seconds.

    Returns:
        A new approval; the same one where this very vote has been cast before.

    Raises:
        RequestError: `access.denied` if he may not decide it, `request.conflict` if he or somebody else has.
    """
    if not _is_approver(approval, identity):
        raise RequestError(ErrorCode.DENIED, f"only {_approvers(approval)} may decide this approval")
    if _is_own(approval, identity):
        raise RequestError(ErrorCode.DENIED, "nobody decides what he asked himself")
    before = next((vote for vote in approval.votes if vote.user == identity.user), None)
    if before is not None and (before.choice, before.reason) == (choice, reason):
        return approval
    if approval.ending is not None:
        raise RequestError(ErrorCode.CONFLICT, f"the approval was {_ended(approval.ending)} already")
    if before is not None:
        raise RequestError(ErrorCode.CONFLICT, f"you have voted already: {before.choice.value}")
    if now >= approval.expires_at:
        raise RequestError(ErrorCode.CONFLICT, "the approval has expired already")
    vote = Vote(user=identity.user, choice=choice, reason=reason, at=now)
    voted = evolve(approval, votes=(*approval.votes, vote))
    outcome = _outcome(voted)
    return voted if outcome is None else end(voted, outcome, now, by=vote.user, reason=reason)


def end(
    approval: Approval, outcome: Outcome, at: float, *, by: str | None = None, reason: str | None = None
) -> Approval:
    """The open approval with its ending."""
    assert approval.ending is None, "an approval ends once"
    return evolve(approval, ending=Ending(outcome=outcome, at=at, by=by, reason=reason))


def _outcome(approval: Approval) -> Outcome | None:
    if approval.count(Choice.APPROVE) >= approval.question.quorum:
        return Outcome.APPROVED
    if approval.count(Choice.REJECT) >= approval.question.rejections:
        return Outcome.REJECTED
    return None


def _is_approver(approval: Approval, identity: Identity) -> bool:
    approvers = approval.question.approvers
    return identity.user in approvers.users or not approvers.roles.isdisjoint(identity.roles)


def _is_own(approval: Approval, identity: Identity) -> bool:
    question = approval.question
    return question.asked_by == identity.user and not question.own_decision


def _approvers(approval: Approval) -> str:
    approvers = approval.question.approvers
    named = (("roles", approvers.roles), ("users", approvers.users))
    return " and ".join(f"{kind} {', '.join(sorted(names))}" for kind, names in named if names)


def _ended(ending: Ending) -> str:
    by = "" if not ending.by else f" by {ending.by}"
    return f"{ending.outcome.value}{by}"
