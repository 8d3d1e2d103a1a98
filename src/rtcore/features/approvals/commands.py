"""The commands of clients: ask, decide, withdraw, list."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import frozen

from rtcore.errors import RequestError
from rtcore.features.approvals.approval import Approval, Approvers, Choice
from rtcore.features.approvals.approval_json import text_of
from rtcore.features.approvals.approval_pages import STATUSES, page_to_wire
from rtcore.features.approvals.approval_state import can_decide
from rtcore.features.approvals.question import KEY_LENGTH, NAME_LENGTH, channel_of, workspace_of
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.protocol.command_fields import read_text
from rtcore.protocol.json_codec import json_fragment
from rtcore.protocol.wire_fields import any_json, flag, items, nested, one_of, text, wire
from rtcore.values.events import Json
from rtcore.values.identity import Identity

if TYPE_CHECKING:  # only named here; the feature knows its commands
    from rtcore.features.approvals.approvals import Approvals

__all__ = ["IDENTIFIER_LENGTH", "DecideCommand", "approval_commands"]

_T = TypeVar("_T")

_SET: Final = sys.maxsize
"""A bound that is one of the settings, and looked at where every way to ask ends: see `make_question`."""
IDENTIFIER_LENGTH: Final = 64
"""Longest name of an approval that a client may send; ours are shorter."""


@frozen(kw_only=True)
class ApproversField:
    """Who may decide."""

    roles: tuple[str, ...] = wire(items(text(NAME_LENGTH), _SET, least=0), default=())
    users: tuple[str, ...] = wire(items(text(NAME_LENGTH), _SET, least=0), default=())


@frozen(kw_only=True)
class RequestCommand:
    """`approval.request`."""

    title: str = wire(read_text)
    details: Json = wire(any_json, default=None)
    approvers: ApproversField | None = wire(nested(ApproversField), default=None)
    quorum: int = wire(any_json, default=1)
    rejections: int = wire(any_json, default=1)
    expires_after: float | None = wire(any_json, default=None)
    key: str | None = wire(text(KEY_LENGTH), default=None)
    durable: bool = wire(flag, default=False)


@frozen(kw_only=True)
class DecideCommand:
    """`approval.decide`."""

    approval_id: str = wire(text(IDENTIFIER_LENGTH))
    decision: str = wire(one_of(*Choice))
    reason: str | None = wire(read_text, default=None)


@frozen(kw_only=True)
class WithdrawCommand:
    """`approval.withdraw`."""

    approval_id: str = wire(text(IDENTIFIER_LENGTH))
    reason: str | None = wire(read_text, default=None)


@frozen(kw_only=True)
class ListCommand:
    """`approval.list`."""

    status: str = wire(one_of(*STATUSES), default="open")
    after: str | None = wire(text(IDENTIFIER_LENGTH), default=None)
    limit: int | None = wire(any_json, default=None)


def approval_commands(approvals: Approvals) -> Mapping[str, CommandRule[Any]]:
    """The commands of one hub, by message type."""

    async def request(context: CommandContext, command: RequestCommand) -> Reply:
        asked = command.approvers
        opened = approvals.open(
            command.title,
            identity=context.identity,
            details=command.details,
            approvers=None if asked is None else Approvers(roles=asked.roles, users=asked.users),
            quorum=command.quorum,
            rejections=command.rejections,
            expires_after=command.expires_after,
            key=command.key,
            durable=command.durable,
        )
        return _reply("approval.opened", await _located(opened), context.identity)

    async def decide(context: CommandContext, command: DecideCommand) -> Reply:
        voted = approvals.decide(
            command.approval_id, identity=context.identity, decision=command.decision, reason=command.reason
        )
        return _reply("approval.recorded", await _located(voted), context.identity)

    async def withdraw(context: CommandContext, command: WithdrawCommand) -> Reply:
        withdrawn = approvals.withdraw(
            command.approval_id, workspace=workspace_of(context.identity), by=context.identity, reason=command.reason
        )
        return _reply("approval.closed", await _located(withdrawn), context.identity)

    async def listing(context: CommandContext, command: ListCommand) -> Reply:
        workspace = workspace_of(context.identity)
        context.hub.access.check_read(context.identity, channel_of(workspace))
        page = approvals.page(workspace, status=command.status, after=command.after, limit=command.limit)
        return Reply("approval.page", page_to_wire(await _located(page), context.identity))

    return MappingProxyType(
        {
            "approval.request": CommandRule(
                value=RequestCommand, handler=request, roles=approvals.settings.requester_roles
            ),
            "approval.decide": CommandRule(value=DecideCommand, handler=decide),
            "approval.withdraw": CommandRule(value=WithdrawCommand, handler=withdraw),
            "approval.list": CommandRule(value=ListCommand, handler=listing),
        }
    )


def _reply(type: str, approval: Approval, identity: Identity) -> Reply:
    shown = json_fragment(text_of(approval, can_decide=can_decide(approval, identity)))
    return Reply(type, {"approval": shown})


async def _located(call: Awaitable[_T]) -> _T:
    """What a call returns; a fault of an argument becomes one of the message's field."""
    try:
        return await call
    except RequestError as error:
        if error.field is None:
            raise
        raise RequestError(
            error.code, f"data.{error.message}", retry_after=error.retry_after, field=f"data.{error.field}"
        ) from error
