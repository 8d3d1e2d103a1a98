"""The commands of typing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.presence.workspaces import workspace_channel
from rtcore.features.typing.typing_state import Typists
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.protocol.wire_fields import text, wire
from rtcore.values.shown import show

if TYPE_CHECKING:  # the feature knows its commands
    from rtcore.features.typing.typing import Typing

__all__ = ["CONVERSATION_LENGTH", "check_conversation", "typing_channel", "typing_commands"]

CONVERSATION_LENGTH: Final = 128
"""Longest name of a conversation, in characters."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.:~-]+", re.ASCII)


@frozen(kw_only=True)
class Conversation:
    """Where."""

    conversation: str = wire(text(CONVERSATION_LENGTH))


def check_conversation(name: str) -> str:
    """
    Return the name if a conversation may have it: it is part of a channel's.

    Raises:
        RequestError: If it may not.
    """
    if len(name) > CONVERSATION_LENGTH or not _NAME.fullmatch(name):
        expected = f"1 to {CONVERSATION_LENGTH} letters, digits, '_', '.', ':', '~' or '-'"
        problem = f"data.conversation: expected {expected}, got {show(name)}"
        raise RequestError(ErrorCode.MALFORMED, problem, field="data.conversation")
    return name


def typing_channel(workspace: str | None, conversation: str) -> str:
    """The channel of a conversation; RequestError where there can be none."""
    return workspace_channel("typing", workspace, conversation)


def typing_commands(typing: Typing) -> Mapping[str, CommandRule[Any]]:
    """By message type."""

    def start(context: CommandContext, command: Conversation) -> Reply:
        conversation = check_conversation(command.conversation)
        typists = typing.write(context.subscriber, context.identity, conversation)
        return _told("typing.started", context, conversation, typists)

    def stop(context: CommandContext, command: Conversation) -> Reply:
        conversation = check_conversation(command.conversation)
        typists = typing.rest(context.subscriber, context.identity, conversation)
        return _told("typing.stopped", context, conversation, typists)

    return {
        "typing.start": CommandRule(value=Conversation, handler=start),
        "typing.stop": CommandRule(value=Conversation, handler=stop),
    }


def _told(type: str, context: CommandContext, conversation: str, typists: Typists) -> Reply:
    data: dict[str, object] = {"conversation": conversation}
    # As with publishing: to type somewhere is not to read there.
    if context.hub.access.can_read(context.identity, typing_channel(context.identity.workspace, conversation)):
        data |= {"users": typists.users, "total": typists.total}
    return Reply(type, data, unasked=False)
