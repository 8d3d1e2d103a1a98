"""
An approval as a value: what was asked, who said what, how it ended.

Values are never changed; a step makes a new one (`approval_state.py`), which is written first and then takes the place
of the old one. What happened, when, by whom and why, is all in them: the audit trail is read from the approval itself
and cannot differ from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NoReturn

from attrs import evolve, field, frozen

from rtcore.values.events import Json
from rtcore.values.shown import show

__all__ = ["Approval", "Approvers", "AuditStep", "Choice", "Decision", "Ending", "Outcome", "Question", "Vote"]


class Choice(StrEnum):
    """What an approver says."""

    APPROVE = "approve"
    REJECT = "reject"


class Outcome(StrEnum):
    """How an approval ended."""

    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    """Nobody decided in time."""
    WITHDRAWN = "withdrawn"
    """Whoever asked does not want to know any more."""


def _names(names: Iterable[str]) -> frozenset[str]:
    if not isinstance(names, Iterable):
        raise TypeError(f"roles and users: expected names, such as a set of them, got {show(names)}")
    return frozenset((names,) if isinstance(names, str) else names)


@frozen(kw_only=True)
class Approvers:
    """Who may decide: whoever has one of the roles or is one of the users, in the workspace of the approval."""

    roles: frozenset[str] = field(default=frozenset(), converter=_names)
    users: frozenset[str] = field(default=frozenset(), converter=_names)


@frozen(kw_only=True)
class Question:
    """What is asked, and by which rule it is decided."""

    title: str
    details: Json
    """Whatever helps to decide; shown to the whole workspace."""
    workspace: str
    approvers: Approvers
    quorum: int
    """Approvals that it takes."""
    rejections: int
    """Rejections that it takes; 1: one no decides."""
    key: str | None
    """Name of the question for whoever asks: asked again with it, it is the same approval."""
    durable: bool
    """Whether it stays open through a restart."""
    asked_by: str | None
    """A user, empty for a client without a token; None: the server's own code."""
    own_decision: bool
    """Whether `asked_by` may decide too."""
    left_to_settings: frozenset[str] = field(default=frozenset(), eq=False)
    """Fields that whoever asked said nothing of; not kept."""

    def is_again(self, known: Question) -> bool:
        """Whether it is the one that was asked before. What is left to the settings stays as it was then."""
        return evolve(self, **{name: getattr(known, name) for name in self.left_to_settings}) == known

    @property
    def name(self) -> tuple[str, str | None, str] | None:
        """By what it is found again; None where it has no key."""
        return None if self.key is None else (self.workspace, self.asked_by, self.key)


@frozen(kw_only=True)
class Vote:
    """What one approver said."""

    user: str
    """Who; empty for a client without a token."""
    choice: Choice
    reason: str | None
    at: float
    """Unix seconds."""


@frozen(kw_only=True)
class Ending:
    """How, when and why it was over."""

    outcome: Outcome
    at: float
    """Unix seconds."""
    by: str | None
    """Whose step it was; None: time's, or the server's own code's."""
    reason: str | None


@frozen(kw_only=True)
class AuditStep:
    """One line of the audit trail."""

    approval_id: str
    step: str
    """`asked`, `voted`, `decided`, `expired` or `withdrawn`."""
    at: float
    """Unix seconds."""
    who: str | None
    """A user, empty for a client without a token; None: time, or the server's own code."""
    what: str
    """The title that was asked, what was voted, how it was decided."""
    why: str | None


@frozen(kw_only=True)
class Decision:
    """
    What became of a request.

    It is neither true nor false, so that `if await hub.approvals.request(...)` cannot take a no for a yes: ask
    `decision.approved`.
    """

    approval_id: str
    outcome: Outcome
    at: float
    """Unix seconds."""
    reason: str | None
    """Of the vote that decided, or of who withdrew it."""
    votes: tuple[Vote, ...]
    """Who said what, why and when, in their order."""

    @property
    def approved(self) -> bool:
        """Whether enough approvers said yes."""
        return self.outcome is Outcome.APPROVED

    @property
    def rejected(self) -> bool:
        """Whether enough approvers said no."""
        return self.outcome is Outcome.REJECTED

    @property
    def expired(self) -> bool:
        """Whether time ran out."""
        return self.outcome is Outcome.EXPIRED

    def __bool__(self) -> NoReturn:
        raise TypeError("a decision is neither true nor false: ask decision.approved")


@frozen(kw_only=True)
class Approval:
    """One question and everything that was said to it."""

    approval_id: str
    """Later ones sort behind earlier ones."""
    question: Question
    asked_at: float
    """Unix seconds."""
    expires_at: float
    """Unix seconds."""
    votes: tuple[Vote, ...] = ()
    ending: Ending | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can be decided yet."""
        return self.ending is None

    @property
    def status(self) -> str:
        """`open`, or how it ended."""
        return "open" if self.ending is None else self.ending.outcome.value

    def count(self, choice: Choice) -> int:
        """How many said so."""
        return sum(vote.choice is choice for vote in self.votes)

    def decision(self) -> Decision:
        """What became of it, once it has ended."""
        assert self.ending is not None, "only what has ended is decided"
        return Decision(
            approval_id=self.approval_id,
            outcome=self.ending.outcome,
            at=self.ending.at,
            reason=self.ending.reason,
            votes=self.votes,
        )

    def audit(self) -> Iterator[AuditStep]:
        """What happened, in its order."""
        question = self.question
        yield self._step("asked", self.asked_at, question.asked_by, question.title, None)
        for vote in self.votes:
            yield self._step("voted", vote.at, vote.user, vote.choice.value, vote.reason)
        if self.ending is not None:
            outcome = self.ending.outcome
            decided = outcome in (Outcome.APPROVED, Outcome.REJECTED)
            step = "decided" if decided else outcome.value
            yield self._step(step, self.ending.at, self.ending.by, outcome.value, self.ending.reason)

    def _step(self, step: str, at: float, who: str | None, what: str, why: str | None) -> AuditStep:
        return AuditStep(approval_id=self.approval_id, step=step, at=at, who=who, what=what, why=why)
