"""
The approvals of a hub, kept in step with the store: every step is written first, and then it is so and is told.

Steps of one approval come one after the other, under its lock. What a step makes of an approval is a new value; while
that is being written the old one holds, and if it cannot be written nothing has changed. When a write has returned, no
cancellation comes before the events are out (see `Store.write`), so what is kept is told and what is told is kept.

Two endings need no write to be true, and so do not wait for a store that fails: the end of time, which stands in the
document, and the withdrawal of what was not to survive its asker. The next start comes to the same.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import trio
from attrs import evolve

from rtcore.errors import ErrorCode, HubClosed, RequestError
from rtcore.features.approvals.approval import Approval, Choice, Decision, Outcome, Question
from rtcore.features.approvals.approval_book import ApprovalBook, Name
from rtcore.features.approvals.approval_json import approval_to_wire, ending_to_wire, event_data, vote_to_wire
from rtcore.features.approvals.approval_state import cast_vote, end
from rtcore.features.approvals.approval_store import ApprovalStore
from rtcore.features.approvals.open_approval import OpenApproval
from rtcore.features.approvals.question import channel_of
from rtcore.features.approvals.settings import ApprovalSettings
from rtcore.features.approvals.statistics import ApprovalCounters
from rtcore.features.item_locks import ItemLocks
from rtcore.hub.hub import Hub
from rtcore.store.store import Store
from rtcore.values.events import Json, Lane
from rtcore.values.identity import Identity

__all__ = ["ApprovalRegister"]

_logger = logging.getLogger("rtcore.approvals")

_CANCELLED: Final = "whoever asked was cancelled"
_RESTARTED: Final = "the server was restarted"
_FORGOTTEN: Final = 1000
"""Most approvals that go with one that ends: a step is one write, and must not wait for a great tidying up."""


class ApprovalRegister:
    """See the module."""

    def __init__(self, hub: Hub, store: Store, settings: ApprovalSettings) -> None:
        self.book: ApprovalBook[OpenApproval] = ApprovalBook(
            open_approvals=hub.limits.approvals,
            kept_approvals=settings.kept_approvals,
            kept_seconds=settings.kept_seconds,
        )
        self.counters = ApprovalCounters()
        self.locks = ItemLocks()
        self._hub = hub
        self._store = ApprovalStore(store)
        self._settings = settings
        self._nursery: trio.Nursery | None = None

    # Steps

    async def ask(self, question: Question, seconds: float, *, stays: bool) -> Approval:
        """
        Open an approval, or find the one that was asked under the same key.

        A checkpoint. Cancelled, nothing was asked.

        Raises:
            RequestError: `limit.busy`, `server.unavailable` where it cannot be written, `request.conflict` where the
                key stands for another question.
            HubClosed: If the hub does not run.
        """
        self._check_running()
        if question.name is None:
            return await self._open(question, seconds, stays)
        async with self.locks.hold(question.name):
            known = await self._find_named(question.workspace, question.name)
            if known is None:
                return await self._open(question, seconds, stays)
            if not question.is_again(known.question):
                raise RequestError(ErrorCode.CONFLICT, "key: another question was asked under this key", field="key")
            live = self.book.find(question.workspace, known.approval_id)
            if live is not None:
                live.stays = live.stays or stays
            return known  # no checkpoint from here until it is waited for, so nobody finds it deserted in between

    async def _find_named(self, workspace: str, name: Name) -> Approval | None:
        """The approval of a name, with whatever was being written of it: that may be its withdrawal."""
        approval_id = self.book.named(name)
        if approval_id is None:
            return None
        async with self.locks.hold((workspace, approval_id)):
            return await self.find(workspace, approval_id) if self.book.named(name) == approval_id else None

    async def _open(self, question: Question, seconds: float, stays: bool) -> Approval:
        now = self._hub.clock()
        approval = Approval(approval_id=_new_identifier(now), question=question, asked_at=now, expires_at=now + seconds)
        self.book.reserve(question.workspace)
        try:
            await self._write(approval)
        finally:
            self.book.release(question.workspace)
        self._check_running()  # the hub may have ended meanwhile; what becomes of it is the next start's affair
        self._begin(OpenApproval(approval, stays))
        self.counters.asked += 1
        self._tell(approval, "requested", question.asked_by, approval_to_wire(approval))
        return approval

    async def vote(
        self, workspace: str, approval_id: str, identity: Identity, choice: Choice, reason: str | None
    ) -> Approval:
        """
        Take a vote; it is kept when this returns.

        A checkpoint. Cancelled, it was not cast.

        Raises:
            RequestError: As `cast_vote`; `request.not_found`; `server.unavailable` where it cannot be written.
            HubClosed: If the hub does not run.
        """
        self._check_running()
        async with self.locks.hold((workspace, approval_id)):
            current = await self.get(workspace, approval_id)
            voted = cast_vote(current, identity, choice, reason, self._hub.clock())
            if voted is not current:
                await self._write(voted)
                self._step(voted)
            return voted

    async def end(
        self,
        live: OpenApproval,
        outcome: Outcome,
        *,
        by: str | None = None,
        reason: str | None = None,
        strict: bool = False,
    ) -> None:
        """
        End an approval, unless it has ended.

        A checkpoint. Cancelled, it has not ended.

        Args:
            live: Which.
            outcome: How.
            by: Who ends it.
            reason: Why.
            strict: Whether it is not to end where that cannot be written.

        Raises:
            RequestError: `server.unavailable`, where `strict`.
        """
        async with self.locks.hold(live.name):
            await self._end(live, outcome, by=by, reason=reason, strict=strict)

    async def _end(
        self, live: OpenApproval, outcome: Outcome, *, by: str | None, reason: str | None, strict: bool
    ) -> None:
        if not live.approval.is_open:
            return
        ended = end(live.approval, outcome, self._hub.clock(), by=by, reason=reason)
        try:
            await self._write(ended)
        except RequestError:
            if strict:
                raise
            # It is logged, and the next start ends it as well: see the module.
        self._step(ended)

    async def withdraw(self, approval: Approval, *, by: str | None, reason: str | None) -> Approval:
        """Take a request back, unless it has ended; returns it as it has ended. As `end`, `strict`."""
        live = self.book.find(approval.question.workspace, approval.approval_id)
        if live is None:
            return approval
        await self.end(live, Outcome.WITHDRAWN, by=by, reason=reason, strict=True)
        return live.approval

    # Waiting

    async def wait(self, approval: Approval) -> Decision:
        """
        Wait for the decision.

        A checkpoint unless it is there. Cancelled, it withdraws what was not to stay and nobody else waits for.

        Raises:
            HubClosed: If the hub ends before.
        """
        live = self.book.find(approval.question.workspace, approval.approval_id)
        if live is None:
            return approval.decision()
        live.askers += 1
        try:
            await live.over.wait()
        except BaseException:
            live.askers -= 1
            if live.deserted:
                await self._withdraw(live)
            raise
        live.askers -= 1
        if live.approval.is_open:
            raise HubClosed("the hub has ended")
        return live.approval.decision()

    async def _withdraw(self, live: OpenApproval) -> None:
        """The task that asked is on its way out: it is held up for the write, but not for ever."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self._settings.store_seconds):
            await self._withdraw_deserted(live)
            return
        self._in_background(partial(self._withdraw_deserted, live))

    async def _withdraw_deserted(self, live: OpenApproval) -> None:
        """Withdraw it, unless somebody has asked for it again meanwhile."""
        async with self.locks.hold(live.name):
            if live.deserted:
                await self._end(live, Outcome.WITHDRAWN, by=None, reason=_CANCELLED, strict=False)

    # Reading

    async def get(self, workspace: str, approval_id: str) -> Approval:
        """An approval; RequestError `request.not_found` where there is none of this name in the workspace."""
        approval = await self.find(workspace, approval_id)
        if approval is None:
            raise RequestError(ErrorCode.NOT_FOUND, "approval_id: there is no such approval", field="approval_id")
        return approval

    async def find(self, workspace: str, approval_id: str) -> Approval | None:
        """An approval, open or kept; a checkpoint only where it is read from the store."""
        live = self.book.find(workspace, approval_id)
        if live is not None:
            return live.approval
        ending = self.book.ending(workspace, approval_id)
        if ending is None:
            return None
        kept = await self._store.get(workspace, approval_id)
        # The ending of the book, since that of the document may not have been written.
        return None if kept is None else evolve(kept, ending=ending)

    # Running

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take up what the store holds, then end approvals whose time is up, until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                await self._recover()
                self._nursery = nursery
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
            for live in list(self.book.everything_open()):
                live.over.set()

    async def _recover(self) -> None:
        async for page in self._store.pages():
            ended = [ended for approval in page if (ended := self._take_up(approval))]
            await self._store.write_page(ended)
            for approval in ended:
                self._tell_ending(approval)
        for workspace in self.book.workspaces():
            names = self.book.too_many(workspace, self._hub.clock())
            await self._store.forget(workspace, names)
            self.book.forget(workspace, names)

    def _take_up(self, approval: Approval) -> Approval | None:
        """Take an approval into the book; returns it where the restart has ended it."""
        if approval.ending is not None:
            self.book.end(approval)
            return None
        if approval.expires_at <= self._hub.clock():
            ended = end(approval, Outcome.EXPIRED, approval.expires_at)
        elif not approval.question.durable:
            ended = end(approval, Outcome.WITHDRAWN, self._hub.clock(), reason=_RESTARTED)
        else:
            self._begin(OpenApproval(approval, stays=True))
            return None
        self.book.end(ended)
        return ended

    def _check_running(self) -> None:
        if self._nursery is None:
            raise HubClosed("the hub does not run: open_hub runs it")

    def _in_background(self, work: Callable[[], Awaitable[None]]) -> None:
        if self._nursery is None:
            _logger.warning("an approval was left open by the end of the hub; the next start ends it")
            return
        self._nursery.start_soon(work)

    # Writing and telling

    async def _write(self, approval: Approval) -> None:
        """Write a step, and with an ending leave out what need not be kept any more."""
        workspace = approval.question.workspace
        names = [] if approval.is_open else self.book.too_many(workspace, self._hub.clock(), coming=1)[:_FORGOTTEN]
        await self._store.write([approval], workspace=workspace, forget=names)
        self.book.forget(workspace, names)

    def _begin(self, live: OpenApproval) -> None:
        self.book.add(live)
        left = live.approval.expires_at - self._hub.clock()
        live.timer = self._hub.timeouts.call_at(trio.current_time() + left, partial(self._look_at_time, live))

    def _look_at_time(self, live: OpenApproval) -> float | None:
        left = live.approval.expires_at - self._hub.clock()
        if left > 0:  # somebody set the wall clock back
            return trio.current_time() + left
        self._in_background(partial(self.end, live, Outcome.EXPIRED))
        return None

    def _step(self, approval: Approval) -> None:
        """What was written is so from now on."""
        live = self.book.find(approval.question.workspace, approval.approval_id)
        assert live is not None, "only what is open takes a step"
        new_votes = approval.votes[len(live.approval.votes) :]
        # All of it is so before any of it is told: whatever becomes of the telling, nobody waits for ever.
        live.become(approval)
        self.counters.votes += len(new_votes)
        if approval.ending is not None:
            self.book.end(approval)
            if live.timer is not None:
                live.timer.cancel()
            live.over.set()
        for vote in new_votes:
            data = event_data(approval, vote=vote_to_wire(vote), votes=_tally(approval))
            self._tell(approval, "voted", vote.user, data)
        if approval.ending is not None:
            self._tell_ending(approval)

    def _tell_ending(self, approval: Approval) -> None:
        assert approval.ending is not None, "it has ended"
        outcome = approval.ending.outcome
        self.counters.ended[outcome] += 1
        step = "decided" if outcome in (Outcome.APPROVED, Outcome.REJECTED) else outcome.value
        votes: list[Json] = [vote_to_wire(vote) for vote in approval.votes]
        data = event_data(approval, decision=ending_to_wire(approval.ending), votes=votes)
        self._tell(approval, step, approval.ending.by, data)

    def _tell(self, approval: Approval, step: str, actor: str | None, data: dict[str, Json]) -> None:
        if actor:  # where everybody who follows what happens looks for it
            data["actor"] = actor
        # One lane for all steps, so that none overtakes another; the high one, since somebody waits.
        try:
            self._hub.publish(channel_of(approval.question.workspace), f"approval.{step}", data, lane=Lane.HIGH)
        except HubClosed:
            _logger.info("approval %s: nobody is left to be told that it was %s", approval.approval_id, step)
        except RequestError as error:
            # No room for another channel, or too large: it is so all the same, and whoever asks for the state sees it.
            _logger.warning("approval %s: could not tell that it was %s: %s", approval.approval_id, step, error)


def _tally(approval: Approval) -> dict[str, Json]:
    return {choice.value: approval.count(choice) for choice in Choice}


def _new_identifier(now: float) -> str:
    """Milliseconds in a fixed width, so that identifiers sort by time, and enough chance to be nobody's guess."""
    return f"{int(now * 1000):011x}-{secrets.token_hex(8)}"
