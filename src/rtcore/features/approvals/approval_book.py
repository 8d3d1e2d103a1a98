"""
Which approvals there are, by workspace: the open ones whole, of the ended ones the names.

Nothing here waits and nothing is written; whoever changes something has written it before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from attrs import define, field

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.approvals.approval import Approval, Ending, Outcome

__all__ = ["ApprovalBook", "Held", "Name"]

Name = tuple[str, str | None, str]
"""As `Question.name`."""


class Held(Protocol):
    """An approval, and whatever else goes with it."""

    @property
    def approval(self) -> Approval:
        """As it is now."""


_H = TypeVar("_H", bound=Held)


@define(eq=False)
class _Ended:
    """What is remembered of one that has ended."""

    ending: Ending
    name: Name | None


@define(eq=False)
class _Workspace(Generic[_H]):
    open: dict[str, _H] = field(factory=dict)
    ended: dict[str, _Ended] = field(factory=dict)
    """In the order of their endings; after a restart, of their questions."""
    reserved: int = 0
    """Places of those that are being written."""


class ApprovalBook(Generic[_H]):
    """
    Args:
        open_approvals: Most open ones in a workspace.
        kept_approvals: Most ended ones of a workspace that are remembered.
        kept_seconds: How long one is remembered.
    """

    def __init__(self, *, open_approvals: int, kept_approvals: int, kept_seconds: float) -> None:
        self._open_approvals = open_approvals
        self._kept_approvals = kept_approvals
        self._kept_seconds = kept_seconds
        self._workspaces: dict[str, _Workspace[_H]] = {}
        self._names: dict[Name, str] = {}

    # Looking

    def find(self, workspace: str, approval_id: str) -> _H | None:
        """An open one."""
        there = self._workspaces.get(workspace)
        return None if there is None else there.open.get(approval_id)

    def ending(self, workspace: str, approval_id: str) -> Ending | None:
        """How one ended that is kept; None for every other."""
        there = self._workspaces.get(workspace)
        ended = None if there is None else there.ended.get(approval_id)
        return None if ended is None else ended.ending

    def named(self, name: Name) -> str | None:
        """The approval that is known by a name; see `Question.name`."""
        return self._names.get(name)

    def open_in(self, workspace: str) -> list[_H]:
        """The open ones; what waits longest comes first."""
        there = self._workspaces.get(workspace)
        return [] if there is None else [there.open[name] for name in sorted(there.open)]

    def ended_in(self, workspace: str, outcomes: Iterable[Outcome]) -> list[str]:
        """Names of those that ended so; what was asked last comes first."""
        there, wanted = self._workspaces.get(workspace), frozenset(outcomes)
        ended = {} if there is None else there.ended
        return sorted((name for name, each in ended.items() if each.ending.outcome in wanted), reverse=True)

    def all_in(self, workspace: str) -> list[str]:
        """Names of all, in the order of their asking."""
        there = self._workspaces.get(workspace)
        return [] if there is None else sorted([*there.open, *there.ended])

    def everything_open(self) -> Iterator[_H]:
        """The open ones of all workspaces."""
        for there in self._workspaces.values():
            yield from there.open.values()

    def count_kept(self) -> int:
        """How many that have ended are remembered."""
        return sum(len(there.ended) for there in self._workspaces.values())

    # Changing

    def reserve(self, workspace: str) -> None:
        """
        Keep a place for one that is about to be written; `release` gives it back, once it is there or is not to be.

        Raises:
            RequestError: `limit.busy` if the workspace has as many as it may have.
        """
        there = self._workspaces.setdefault(workspace, _Workspace())
        if len(there.open) + there.reserved >= self._open_approvals:
            raise RequestError(ErrorCode.BUSY, f"the workspace has approvals={self._open_approvals} open already")
        there.reserved += 1

    def release(self, workspace: str) -> None:
        """Give a place back."""
        self._workspaces[workspace].reserved -= 1
        self._drop_if_empty(workspace)

    def add(self, held: _H) -> None:
        """One that is open from now on."""
        approval = held.approval
        self._workspaces.setdefault(approval.question.workspace, _Workspace()).open[approval.approval_id] = held
        self._remember_name(approval)

    def end(self, approval: Approval) -> None:
        """One that has ended, open here until now or never."""
        assert approval.ending is not None, "it has ended"
        there = self._workspaces.setdefault(approval.question.workspace, _Workspace())
        there.open.pop(approval.approval_id, None)
        there.ended[approval.approval_id] = _Ended(approval.ending, approval.question.name)
        self._remember_name(approval)

    def too_many(self, workspace: str, now: float, *, coming: int = 0) -> list[str]:
        """Names of ended ones that need not be kept, where so many more are about to end."""
        there = self._workspaces.get(workspace)
        if there is None:
            return []
        beyond = len(there.ended) + coming - self._kept_approvals
        oldest_kept = now - self._kept_seconds
        return [
            name
            for place, (name, each) in enumerate(there.ended.items())
            if place < beyond or each.ending.at < oldest_kept
        ]

    def forget(self, workspace: str, names: Iterable[str]) -> None:
        """Ended ones that are kept no longer."""
        there = self._workspaces.get(workspace)
        for name in names:
            ended = None if there is None else there.ended.pop(name, None)
            if ended is not None and ended.name is not None and self._names.get(ended.name) == name:
                del self._names[ended.name]
        self._drop_if_empty(workspace)

    def workspaces(self) -> list[str]:
        """Those of which there is anything."""
        return list(self._workspaces)

    def _remember_name(self, approval: Approval) -> None:
        name = approval.question.name
        if name is None:
            return
        if approval.ending is None or approval.ending.outcome is not Outcome.WITHDRAWN:
            self._names[name] = approval.approval_id
        elif self._names.get(name) == approval.approval_id:  # what was taken back can be asked anew
            del self._names[name]

    def _drop_if_empty(self, workspace: str) -> None:
        there = self._workspaces.get(workspace)
        if there is not None and not (there.open or there.ended or there.reserved):
            del self._workspaces[workspace]
