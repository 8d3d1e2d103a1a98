"""The commands of presence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.presence.appearance import ACTIVITIES, PAGE_LENGTH, SHOWN_LENGTH, STATUSES, Appearance
from rtcore.features.presence.workspaces import workspace_channel
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.protocol.command_fields import read_integer
from rtcore.protocol.json_codec import json_fragment
from rtcore.protocol.wire_fields import one_of, text, wire
from rtcore.values.shown import show

if TYPE_CHECKING:  # the feature knows its commands
    from rtcore.features.presence.presence import Presence

__all__ = ["GUEST_NAME_LENGTH", "LIST", "presence_commands"]

LIST: Final = "presence:online:list"
"""The reply with a page of the list."""

GUEST_NAME_LENGTH: Final = 64
"""Longest name of a client without a token, in characters."""

_NO_ACTIVITY: Final = "none"


@frozen(kw_only=True)
class Join:
    """All that a connection says of its user; what is left out is nothing."""

    status: str = wire(one_of(*STATUSES), default="online")
    page: str | None = wire(text(PAGE_LENGTH, least=0), default=None)
    activity: str | None = wire(one_of(*ACTIVITIES, _NO_ACTIVITY), default=None)
    name: str | None = wire(text(GUEST_NAME_LENGTH), default=None)


@frozen(kw_only=True)
class Update:
    """What is new; what is left out stays."""

    status: str | None = wire(one_of(*STATUSES), default=None)
    page: str | None = wire(text(PAGE_LENGTH, least=0), default=None)
    activity: str | None = wire(one_of(*ACTIVITIES, _NO_ACTIVITY), default=None)


@frozen(kw_only=True)
class Leave:
    """Nothing needs to be said."""


@frozen(kw_only=True)
class List:
    """A page of the list."""

    after: str | None = wire(text(SHOWN_LENGTH), default=None)
    limit: int | None = wire(read_integer, default=None)


def presence_commands(presence: Presence) -> Mapping[str, CommandRule[Any]]:
    """By message type."""

    def join(context: CommandContext, command: Join) -> Reply:
        appearance = _changed(Appearance(status=command.status), command.page, command.activity)
        return _told("presence.joined", context, appearance, command.name)

    def update(context: CommandContext, command: Update) -> Reply:
        said = presence.says(context.subscriber) or Appearance()
        appearance = evolve(said, status=command.status or said.status)
        return _told("presence.updated", context, _changed(appearance, command.page, command.activity), None)

    def _told(type: str, context: CommandContext, appearance: Appearance, name: str | None) -> Reply:
        shown = presence.join(context.subscriber, context.identity, appearance, name=name)
        return Reply(type, {"workspace": context.identity.workspace, **shown.record()}, unasked=False)

    def leave(context: CommandContext, command: Leave) -> Reply:
        presence.leave(context.subscriber)
        return Reply("presence.left", {"workspace": context.identity.workspace}, unasked=False)

    def list_users(context: CommandContext, command: List) -> Reply:
        workspace = presence.workspace_of(context.identity)
        context.hub.access.check_read(context.identity, workspace_channel("presence", workspace))
        most = presence.settings.list_users_maximum
        if command.limit is not None and not 1 <= command.limit <= most:
            problem = f"data.limit: expected 1 to list_users_maximum={most}, got {show(command.limit)}"
            raise RequestError(ErrorCode.MALFORMED, problem, field="data.limit")
        page = presence.page(workspace, after=command.after, limit=command.limit)
        position = presence.position(workspace)
        data = {
            "workspace": workspace,
            "users": json_fragment(page.users),
            "total": page.total,
            "more": page.more,
            "position": None if position is None else str(position),
        }
        return Reply(LIST, data)

    return {
        "presence.join": CommandRule(value=Join, handler=join),
        "presence.update": CommandRule(value=Update, handler=update),
        "presence.leave": CommandRule(value=Leave, handler=leave),
        "presence.list": CommandRule(value=List, handler=list_users),
    }


def _changed(appearance: Appearance, page: str | None, activity: str | None) -> Appearance:
    """With another page and activity, where those are given; empty text and `none` are nowhere and nothing."""
    if page is not None:
        appearance = evolve(appearance, page=page or None)
    if activity is not None:
        appearance = evolve(appearance, activity=None if activity == _NO_ACTIVITY else activity)
    return appearance
