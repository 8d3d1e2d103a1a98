"""
Approvals: `await hub.approvals.request("Deploy 1.4?")` returns what people decided.

Events on channel `approvals:WORKSPACE`, all in the high lane and so in their order: `approval.requested`,
`approval.voted`, and at the end `approval.decided`, `approval.expired` or `approval.withdrawn`. Who subscribes is told
what is open just then, so an approver who comes back sees what waits for him.

Everybody who may read the channel sees the approvals of his workspace; who may decide one stands in its question.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import trio

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.approvals.approval import Approval, Approvers, AuditStep, Choice, Decision, Question
from rtcore.features.approvals.approval_pages import ApprovalPage, ApprovalPages
from rtcore.features.approvals.approval_register import ApprovalRegister
from rtcore.features.approvals.commands import approval_commands
from rtcore.features.approvals.question import (
    NAMESPACE,
    check_identity,
    check_reason,
    lifetime,
    make_question,
    workspace_of,
)
from rtcore.features.approvals.settings import ApprovalSettings
from rtcore.features.approvals.statistics import ApprovalStatistics
from rtcore.features.feature import Feature
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.hub import Hub
from rtcore.hub.registry import Snapshot
from rtcore.store.store import Store
from rtcore.values.channels import Namespace, Scope
from rtcore.values.events import Json
from rtcore.values.identity import DEFAULT_WORKSPACE, Identity
from rtcore.values.shown import show

__all__ = ["Approvals"]


class Approvals(Feature):
    """
    Questions to people, and their answers.

    Args:
        hub: Where the events go.
        store: Where approvals outlive the process, as far as it does itself.
        settings: Who asks and decides, and how long.
    """

    NAMESPACES: ClassVar[Mapping[str, Namespace]] = MappingProxyType(
        {NAMESPACE: Namespace(scope=Scope.WORKSPACE, publish_roles=frozenset())}
    )
    REPLIES: ClassVar = frozenset({"approval.closed", "approval.opened", "approval.page", "approval.recorded"})

    def __init__(self, hub: Hub, store: Store, settings: ApprovalSettings) -> None:
        self.settings = settings
        self._hub = hub
        self._register = ApprovalRegister(hub, store, settings)
        self._pages = ApprovalPages(self._register, hub.limits, settings.page_approvals, hub.clock)

    @property
    def commands(self) -> Mapping[str, CommandRule[Any]]:
        """`approval.request`, `approval.decide`, `approval.withdraw`, `approval.list`."""
        return approval_commands(self)

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """What is open."""
        return {NAMESPACE: self._pages.snapshot}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take up what the store holds, then end approvals whose time is up, until cancelled."""
        await self._register.run(task_status=task_status)

    # Asking

    async def request(
        self,
        title: str,
        *,
        details: Json = None,
        approvers: Approvers | None = None,
        quorum: int = 1,
        rejections: int = 1,
        expires_after: float | None = None,
        workspace: str = DEFAULT_WORKSPACE,
        key: str | None = None,
        durable: bool = False,
        asked_by: str | None = None,
        own_decision: bool = False,
    ) -> Decision:
        """
        Ask people, and wait for their decision.

        A checkpoint; any number of tasks may ask at once. Cancelled, the request is withdrawn (`approval.withdrawn`),
        unless it is durable: that one stays open, and asking again with its key waits for it again. The task is held up
        for the write no longer than `ApprovalSettings.store_seconds`.

        Args:
            title: 1 to `ApprovalSettings.title_length` characters.
            details: Whatever helps to decide, as JSON of at most `Limits.approval_bytes`; the whole workspace sees it.
            approvers: Who may decide; by default whoever has one of `ApprovalSettings.approver_roles`.
            quorum: Approvals that it takes, 1 to `ApprovalSettings.votes`.
            rejections: Rejections that it takes, likewise; with 1, one no decides.
            expires_after: Seconds; by default `ApprovalSettings.expires_seconds`.
            workspace: Whose members are asked.
            key: 1 to 255 characters that name the question for good: asked again, by the same, it is the same approval,
                also one that was decided meanwhile, as long as that is kept.
            durable: Whether it stays open through cancellation and a restart; needs a key.
            asked_by: The user that it is asked for; None: the program itself.
            own_decision: Whether that user may decide as well.

        Returns:
            The decision; also where time ran out (`expired`). It is no bool: see `Decision.approved`.

        Raises:
            TypeError: `approvers` are no `Approvers`.
            RequestError: An argument is not acceptable; `limit.busy` if the workspace has as many open as it may;
                `request.conflict` if the key stands for another question; `server.unavailable` if it cannot be written.
            HubClosed: The hub has ended.
        """
        question = self._question(
            title,
            details=details,
            approvers=approvers,
            quorum=quorum,
            rejections=rejections,
            workspace=workspace,
            key=key,
            durable=durable,
            asked_by=asked_by,
            own_decision=own_decision,
        )
        seconds = lifetime(expires_after, self.settings)
        return await self._register.wait(await self._register.ask(question, seconds, stays=durable))

    async def open(
        self,
        title: str,
        *,
        identity: Identity,
        details: Json = None,
        approvers: Approvers | None = None,
        quorum: int = 1,
        rejections: int = 1,
        expires_after: float | None = None,
        key: str | None = None,
        durable: bool = False,
    ) -> Approval:
        """
        Ask on behalf of a client, which does not wait: it stays open until it is decided, expires or is withdrawn.

        As `request` otherwise, but cancelled it has asked nothing. The roles of the identity are not looked at.
        """
        question = self._question(
            title,
            details=details,
            approvers=approvers,
            quorum=quorum,
            rejections=rejections,
            workspace=workspace_of(identity),
            key=key,
            durable=durable,
            asked_by=identity.user,
            own_decision=False,
        )
        return await self._register.ask(question, lifetime(expires_after, self.settings), stays=True)

    async def withdraw(
        self,
        approval_id: str | None = None,
        *,
        key: str | None = None,
        workspace: str = DEFAULT_WORKSPACE,
        asked_by: str | None = None,
        by: Identity | None = None,
        reason: str | None = None,
    ) -> Approval:
        """
        Take a request back; whoever waits for it gets a decision with the outcome `withdrawn`.

        A checkpoint. Cancelled, it is open yet.

        Args:
            approval_id: Which; or
            key: under which key it was asked by `asked_by`.
            workspace: In which workspace.
            asked_by: Whose key it is; None: the program's.
            by: Who takes it back; only who asked may. None: the program, which may always.
            reason: Why, 1 to `ApprovalSettings.reason_length` characters.

        Returns:
            The approval, whether this or something else ended it.

        Raises:
            RequestError: `request.not_found`, `access.denied`; `server.unavailable` if it cannot be written.
        """
        check_reason(reason, self.settings)
        if by is not None:
            check_identity("by", by)
        if (approval_id is None) == (key is None):
            raise RequestError(ErrorCode.MALFORMED, "approval_id: give either it or a key", field="approval_id")
        name = approval_id or self._register.book.named((workspace, asked_by, key or "")) or ""
        approval = await self._register.get(workspace, name)
        if by is not None and approval.question.asked_by != by.user:
            raise RequestError(ErrorCode.DENIED, "only who asked may withdraw an approval")
        return await self._register.withdraw(approval, by=None if by is None else by.user, reason=reason)

    # Deciding

    async def decide(
        self, approval_id: str, *, identity: Identity, decision: Choice | str, reason: str | None = None
    ) -> Approval:
        """
        Vote on an approval; the vote is kept when this returns.

        A checkpoint. Cancelled, it was not cast. The same vote again is the same vote.

        Args:
            approval_id: Which, of the identity's workspace.
            identity: Who votes.
            decision: `approve` or `reject`.
            reason: Why, 1 to `ApprovalSettings.reason_length` characters.

        Returns:
            The approval with the vote, decided or not.

        Raises:
            RequestError: `request.not_found`; `access.denied` if he may not; `request.conflict` if it has been decided,
                or he has voted otherwise; `server.unavailable` if it cannot be written.
        """
        check_reason(reason, self.settings)
        if decision not in tuple(Choice):
            problem = f"decision: expected one of {', '.join(Choice)}, got {show(decision)}"
            raise RequestError(ErrorCode.MALFORMED, problem, field="decision")
        return await self._register.vote(workspace_of(identity), approval_id, identity, Choice(decision), reason)

    # Looking

    async def page(
        self,
        workspace: str = DEFAULT_WORKSPACE,
        *,
        status: str = "open",
        after: str | None = None,
        limit: int | None = None,
    ) -> ApprovalPage:
        """Approvals of a workspace; see `ApprovalPages.page`."""
        return await self._pages.page(workspace, status=status, after=after, limit=limit)

    async def audit(
        self,
        workspace: str = DEFAULT_WORKSPACE,
        *,
        approval_id: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> list[AuditStep]:
        """Who asked, voted, decided and withdrew what, when and why; see `ApprovalPages.audit`."""
        return await self._pages.audit(workspace, approval_id=approval_id, after=after, limit=limit)

    def statistics(self) -> ApprovalStatistics:
        """A snapshot."""
        book = self._register.book
        open = list(book.everything_open())
        return self._register.counters.snapshot(
            open=len(open), waiting=sum(each.askers for each in open), kept=book.count_kept()
        )

    def _question(self, title: str, **arguments: Any) -> Question:  # Any: those of `make_question`
        return make_question(title, limits=self._hub.limits, settings=self.settings, **arguments)
