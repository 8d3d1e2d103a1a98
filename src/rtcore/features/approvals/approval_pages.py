"""Approvals as they are read: page by page, as an audit trail, and as the snapshot that goes with a subscription."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, NoReturn

import trio
from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.approvals.approval import Approval, AuditStep, Outcome
from rtcore.features.approvals.approval_json import text_for, text_of
from rtcore.features.approvals.approval_register import ApprovalRegister
from rtcore.features.approvals.approval_state import can_decide
from rtcore.features.approvals.question import NAMESPACE
from rtcore.protocol.json_codec import json_dumps, json_fragment
from rtcore.values.channels import names_of_channel, namespace_of
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits
from rtcore.values.shown import show

__all__ = ["STATUSES", "ApprovalPage", "ApprovalPages", "page_to_wire"]

_IDENTIFIER: Final = re.compile(r"([0-9a-f]{11,12})-[0-9a-f]{16}")
"""As `approval_register` makes them: milliseconds, and chance."""

STATUSES: Final[Mapping[str, frozenset[Outcome]]] = MappingProxyType(
    {
        "open": frozenset(),
        "ended": frozenset(Outcome),
        **{outcome.value: frozenset({outcome}) for outcome in Outcome},
    }
)
"""What can be asked for, and the endings that it means."""


@frozen(kw_only=True)
class ApprovalPage:
    """Some approvals."""

    approvals: tuple[Approval, ...]
    more: bool
    """Whether there are others behind the last one."""


class ApprovalPages:
    """
    Reads what a register holds.

    Args:
        register: What is read.
        limits: A page also ends where `replay_bytes` are full.
        most: Most approvals of a page.
        clock: Unix seconds.
    """

    def __init__(self, register: ApprovalRegister, limits: Limits, most: int, clock: Callable[[], float]) -> None:
        self._register = register
        self._limits = limits
        self._most = most
        self._clock = clock

    async def page(self, workspace: str, *, status: str, after: str | None, limit: int | None) -> ApprovalPage:
        """
        Approvals of a workspace.

        A checkpoint. Cancelling it changes nothing.

        Args:
            workspace: Which.
            status: `open`: what waits longest first. `approved`, `rejected`, `expired`, `withdrawn`, or `ended` for all
                of these: what was asked last first.
            after: Only what comes behind this one, in that order, be it kept yet or not.
            limit: Most of them, 1 to `page_approvals`, which None is; fewer, where `Limits.replay_bytes` are full.

        Raises:
            RequestError: An argument is not acceptable; `request.not_found` if no approval so far can have been called
                `after`; `server.unavailable` if the store cannot be read.
        """
        if not isinstance(status, str) or status not in STATUSES:
            _refuse("status", f"expected one of {', '.join(STATUSES)}, got {show(status)}")
        self._check_place(workspace, after)
        most = self._checked_limit(limit)
        await trio.lowlevel.checkpoint()  # before the look: none between it and the reply
        book = self._register.book
        if status == "open":
            open = [each.approval for each in book.open_in(workspace)]
            return self._page([each for each in open if after is None or each.approval_id > after], most)
        names = book.ended_in(workspace, STATUSES[status])
        return await self._read(workspace, [name for name in names if after is None or name < after], most)

    async def audit(
        self, workspace: str, *, approval_id: str | None, after: str | None, limit: int | None
    ) -> list[AuditStep]:
        """
        Who asked, voted, decided and withdrew what, when and why.

        A checkpoint. Cancelling it changes nothing.

        Args:
            workspace: Whose trail.
            approval_id: Only of this one; None: of all that are open or kept, in the order of their asking.
            after: Only of those that were asked after this one.
            limit: Most approvals, 1 to `page_approvals`, which None is; fewer, where `Limits.replay_bytes` are full.

        Raises:
            RequestError: `request.not_found`; `server.unavailable` if the store cannot be read.
        """
        most = self._checked_limit(limit)
        await trio.lowlevel.checkpoint()
        if approval_id is not None:
            return list((await self._register.get(workspace, approval_id)).audit())
        self._check_place(workspace, after)
        names = [name for name in self._register.book.all_in(workspace) if after is None or name > after]
        page = await self._read(workspace, names, most)
        return [step for approval in page.approvals for step in approval.audit()]

    def snapshot(self, identity: Identity, channel: str) -> bytes:
        """
        What is open in a workspace, for one who may read its channel: what waits longest first.

        It is as long as a page at most; `more` says that `approval.list` has the rest.
        """
        assert namespace_of(channel) == NAMESPACE, "asked for its own channels only"
        names = names_of_channel(channel) or ()
        open = self._register.book.open_in(names[0]) if len(names) == 1 else []
        shown: list[bytes] = []
        room = self._limits.replay_bytes
        for each in open[: self._most]:
            text = text_for(each.text(), can_decide=can_decide(each.approval, identity))
            room -= len(text)
            if room < 0 and shown:
                break
            shown.append(text)
        around = json_dumps({"more": len(shown) < len(open), "open": len(open)})
        return b'{"approvals":[' + b",".join(shown) + b"]," + around[1:]

    def _check_place(self, workspace: str, after: str | None) -> None:
        """Compared as text, whatever is no identifier would stand anywhere: before all of them, or behind."""
        if after is None:
            return
        form = _IDENTIFIER.fullmatch(after) if isinstance(after, str) else None
        if form is None:
            _refuse("after", f"expected the id of an approval, got {show(after)}")
        # The clock may have been set back since the newest was asked.
        if int(form[1], 16) > self._clock() * 1000 and after not in self._register.book.all_in(workspace):
            problem = f"after: no approval so far has the id {show(after)}"
            raise RequestError(ErrorCode.NOT_FOUND, problem, field="after")

    def _checked_limit(self, limit: int | None) -> int:
        if limit is None:
            return self._most
        if type(limit) is not int or not 1 <= limit <= self._most:
            _refuse("limit", f"expected a whole number from 1 to page_approvals={self._most}, got {show(limit)}")
        return limit

    async def _read(self, workspace: str, names: list[str], most: int) -> ApprovalPage:
        found: list[Approval] = []
        for name in names:
            if len(found) > most:  # one more than the page takes: it says whether there are others
                break
            approval = await self._register.find(workspace, name)
            if approval is not None:  # it may be forgotten since the names were looked up
                found.append(approval)
        return self._page(found, most)

    def _page(self, approvals: list[Approval], most: int) -> ApprovalPage:
        fitting = self._fitting(approvals[:most])
        return ApprovalPage(approvals=fitting, more=len(fitting) < len(approvals))

    def _fitting(self, approvals: Iterable[Approval]) -> tuple[Approval, ...]:
        """As many as a reply may be long; one at least, so that a page never stands still."""
        fitting: list[Approval] = []
        room = self._limits.replay_bytes
        for approval in approvals:
            room -= len(text_of(approval, can_decide=False))
            if room < 0 and fitting:
                break
            fitting.append(approval)
        return tuple(fitting)


def page_to_wire(page: ApprovalPage, identity: Identity) -> dict[str, object]:
    """A page as one reader sees it; `json_dumps` takes it."""
    texts = [text_of(approval, can_decide=can_decide(approval, identity)) for approval in page.approvals]
    return {"approvals": [json_fragment(text) for text in texts], "more": page.more}


def _refuse(field: str, problem: str) -> NoReturn:
    raise RequestError(ErrorCode.MALFORMED, f"{field}: {problem}", field=field)
