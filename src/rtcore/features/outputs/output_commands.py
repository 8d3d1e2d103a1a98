"""What clients ask of outputs: the content of one, its end, and the list of those that they may read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.outputs.output import Output
from rtcore.features.outputs.output_list import list_page
from rtcore.features.outputs.settings import OutputSettings
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.hub import Hub
from rtcore.protocol.json_codec import json_dumps
from rtcore.protocol.wire_fields import channel_name, text, whole_number, wire
from rtcore.values.channels import namespace_of
from rtcore.values.events import Json
from rtcore.values.identity import Identity
from rtcore.values.shown import show

__all__ = ["OUTPUT_ID_LENGTH", "OutputCommands"]

OUTPUT_ID_LENGTH: Final = 64
"""Longest identifier, in characters."""

_index = whole_number(0, 2**53)


@frozen(kw_only=True)
class _Cancel:
    output_id: str = wire(text(OUTPUT_ID_LENGTH))
    reason: str | None = wire(text(500), default=None)


@frozen(kw_only=True)
class _Read:
    output_id: str = wire(text(OUTPUT_ID_LENGTH))
    index: int = wire(_index, default=0)


@frozen(kw_only=True)
class _List:
    channel: str = wire(channel_name)
    index: int = wire(_index, default=0)


class OutputCommands:
    """
    Args:
        hub: Says who may read what.
        settings: Who may cancel.
        outputs: All of them by their ids, those that began first come first; changes while it is held here.
        depths: By namespace of outputs, how many colons are before the id of one in its channel.
    """

    def __init__(
        self, hub: Hub, settings: OutputSettings, outputs: Mapping[str, Output[Any]], depths: Mapping[str, int]
    ) -> None:
        self._hub = hub
        self._settings = settings
        self._outputs = outputs
        self._depths = depths

    @property
    def rules(self) -> Mapping[str, CommandRule[Any]]:
        """By message type."""
        return {
            "output.cancel": CommandRule(value=_Cancel, handler=self._cancel),
            "output.list": CommandRule(value=_List, handler=self._list),
            "output.read": CommandRule(value=_Read, handler=self._read),
        }

    def snapshot(self, identity: Identity, channel: str) -> Json | bytes:
        """The state behind a channel: the first page of an output, or of the list of them."""
        depth = self._depths[namespace_of(channel)]
        parts = channel.split(":", depth)
        if len(parts) > depth:
            output = self._outputs.get(parts[-1])
            return output.document() if output is not None and output.channel == channel else None
        return json_dumps(self._page(channel, 0))

    def _page(self, channel: str, index: int) -> dict[str, object]:
        there = [output for output in self._outputs.values() if output.directory == channel]
        return list_page(there, index, self._hub.limits.replay_bytes)

    def _readable(self, context: CommandContext, output_id: str) -> Output[Any]:
        output = self._outputs.get(output_id)
        # The words are the same for one that is not there and one that is another's.
        if output is None or not self._hub.access.can_read(context.identity, output.channel):
            raise RequestError(ErrorCode.NOT_FOUND, "data.output_id: no such output", field="data.output_id")
        return output

    def _cancel(self, context: CommandContext, command: _Cancel) -> Reply:
        output, identity = self._readable(context, command.output_id), context.identity
        owns = output.owner is not None and output.owner == identity.user
        if not owns and identity.roles.isdisjoint(self._settings.cancel_roles):
            raise RequestError(ErrorCode.DENIED, "not allowed to cancel this output", field="data.output_id")
        done = output.cancel(by=identity.user, reason=command.reason)
        return Reply("output.cancelling", {"output_id": output.output_id, "asked": done}, unasked=False)

    def _list(self, context: CommandContext, command: _List) -> Reply:
        channel = command.channel
        self._hub.access.check_read(context.identity, channel, field="data.channel")
        if channel.count(":") != self._depths.get(namespace_of(channel), 0) - 1:
            problem = f"data.channel: expected one with a list, such as outputs:WORKSPACE, got {show(channel)}"
            raise RequestError(ErrorCode.MALFORMED, problem, field="data.channel")
        return Reply("output.page", self._page(channel, command.index))

    def _read(self, context: CommandContext, command: _Read) -> Reply:
        output = self._readable(context, command.output_id)
        length = output.state.length
        if command.index > length:
            message = f"data.index: expected at most {length}, the end of the output so far, got {command.index}"
            raise RequestError(ErrorCode.MALFORMED, message, field="data.index")
        return Reply("output.content", output.page(command.index))
