"""
Outputs that can be resumed: what a producer writes, for readers who come and go.

Each output has a channel of its own. Whoever subscribes gets what is kept of the content as the channel's state, and
then each chunk as an event, and the end exactly once: either as an event or, for who comes later, in the state. Chunks
say at which index they stand, so a reader that lost some knows, and asks for them with `output.read`.

Rejected: the content as history of events alone. A page of replay ends after a thousand events, and a token an event is
a hundred times its size.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, ClassVar, Final

from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.audience import Audiences
from rtcore.features.deadlines import Deadlines
from rtcore.features.feature import Feature
from rtcore.features.outputs.output import ItemOutput, Output, TextOutput
from rtcore.features.outputs.output_commands import OUTPUT_ID_LENGTH, OutputCommands
from rtcore.features.outputs.output_state import Kind
from rtcore.features.outputs.reader import OutputReader
from rtcore.features.outputs.settings import OutputSettings
from rtcore.features.scope import new_identifier
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.hub import Hub
from rtcore.hub.registry import Snapshot
from rtcore.values.channels import Namespace, check_channel_name
from rtcore.values.identity import DEFAULT_WORKSPACE

__all__ = ["OutputStatistics", "Outputs"]

_AUDIENCES: Final = Audiences(workspace="outputs", user="user_outputs", member="member_outputs")
_DEPTHS: Final = MappingProxyType({_AUDIENCES.workspace: 2, _AUDIENCES.user: 2, _AUDIENCES.member: 3})
"""How many colons are before the id of an output in its channel."""


@frozen(kw_only=True)
class OutputStatistics:
    """A snapshot."""

    running: int
    """Outputs whose producer is at work."""
    kept: int
    """Outputs that have ended and are still to be had."""
    bytes: int
    """Bytes of content that are kept."""
    started: int
    """Outputs that have begun so far."""


class Outputs(Feature):
    """
    Args:
        hub: Where they are published.
        settings: Bounds and times.
    """

    NAMESPACES: ClassVar[Mapping[str, Namespace]] = MappingProxyType(_AUDIENCES.namespaces())
    REPLIES: ClassVar = frozenset({"output.cancelling", "output.content", "output.page"})

    def __init__(self, hub: Hub, settings: OutputSettings | None = None) -> None:
        self._hub = hub
        self._settings = settings or OutputSettings()
        self._outputs: dict[str, Output[Any]] = {}  # Any: of text or items
        self._ended = Deadlines(hub.timeouts, self._settings.keep_seconds, self._forget)
        self._bytes: dict[str, int] = {}
        self._total_bytes = 0
        self._started = 0
        self._commands = OutputCommands(hub, self._settings, self._outputs, _DEPTHS)

    @property
    def commands(self) -> Mapping[str, CommandRule[Any]]:
        """`output.cancel`, `output.list` and `output.read`."""
        return self._commands.rules

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """The outputs of a workspace, a user, or a user of a workspace; or the content of one."""
        return dict.fromkeys(self.NAMESPACES, self._commands.snapshot)

    # For producers

    def text(
        self, name: str, *, output_id: str | None = None, workspace: str | None = None, user: str | None = None
    ) -> TextOutput:
        """
        A block that writes text.

        Args:
            name: For people.
            output_id: Identifier of up to 64 characters; None: a random one.
            workspace: Whose members may read it; None, and no user: those who need no token.
            user: The one user who may read it: in that workspace only, or, where none is named, in any.

        Raises:
            RequestError: If the names are not acceptable, the id is taken, or there are too many outputs.
        """
        return TextOutput(**self._arguments(Kind.TEXT, name, output_id, workspace, user))

    def items(
        self, name: str, *, output_id: str | None = None, workspace: str | None = None, user: str | None = None
    ) -> ItemOutput:
        """A block that appends JSON values; arguments and errors as of `text`."""
        return ItemOutput(**self._arguments(Kind.ITEMS, name, output_id, workspace, user))

    def _arguments(
        self, kind: Kind, name: str, output_id: str | None, workspace: str | None, user: str | None
    ) -> dict[str, Any]:
        output_id = output_id or new_identifier()
        if len(output_id) > OUTPUT_ID_LENGTH:
            problem = f"output_id: expected 1 to {OUTPUT_ID_LENGTH} characters, got {len(output_id)}"
            raise RequestError(ErrorCode.TOO_LARGE, problem, field="output_id")
        if workspace is None and user is None:
            workspace = DEFAULT_WORKSPACE
        directory = _AUDIENCES.channel(workspace=workspace, user=user)
        channel = f"{directory}:{output_id}"
        try:
            check_channel_name(channel)
        except ValueError as error:
            raise RequestError(ErrorCode.MALFORMED, f"output_id: {error}", field="output_id") from error
        return {
            "hub": self._hub,
            "settings": self._settings,
            "output_id": output_id,
            "name": name,
            "kind": kind,
            "channel": channel,
            "directory": directory,
            "owner": user,
            "began": self._on_begun,
            "grew": self._on_grown,
            "ended": self._on_ended,
        }

    # For readers

    @asynccontextmanager
    async def read(self, output_id: str, *, index: int = 0) -> AsyncGenerator[OutputReader]:
        """
        Read an output in this process, from `index` on, while the block lasts; leaving it changes nothing for others.

        Raises:
            RequestError: `request.not_found` if there is none.
        """
        output = self._find(output_id)
        async with self._hub.subscribe(output.channel) as events:
            output.events.readers.add(events)
            try:
                yield OutputReader(output, events, index)
            finally:
                output.events.readers.discard(events)

    def cancel(self, output_id: str, *, by: str = "", reason: str | None = None) -> bool:
        """
        Ask for the end of an output; arguments, result and errors as of `Output.cancel`.

        Raises:
            RequestError: `request.not_found` if there is none.
        """
        return self._find(output_id).cancel(by=by, reason=reason)

    def statistics(self) -> OutputStatistics:
        """A snapshot."""
        return OutputStatistics(
            running=len(self._outputs) - len(self._ended),
            kept=len(self._ended),
            bytes=self._total_bytes,
            started=self._started,
        )

    def _find(self, output_id: str) -> Output[Any]:
        output = self._outputs.get(output_id)
        if output is None:
            raise RequestError(ErrorCode.NOT_FOUND, "output_id: no such output", field="output_id")
        return output

    # Lives

    def _on_begun(self, output: Output[Any]) -> None:
        if output.output_id in self._outputs:
            raise RequestError(ErrorCode.CONFLICT, "output_id: there is one already", field="output_id")
        most = self._settings.outputs
        if len(self._outputs) >= most and not self._forget_oldest():
            raise RequestError(ErrorCode.BUSY, f"{most} outputs run already: outputs={most}")
        self._outputs[output.output_id] = output
        self._bytes[output.output_id] = 0
        output.number = self._started
        self._started += 1

    def _on_grown(self, output: Output[Any]) -> None:
        self._recount(output)
        while self._total_bytes > self._settings.total_bytes and self._forget_oldest():
            pass
        while self._total_bytes > self._settings.total_bytes:
            longest = self._outputs[max(self._bytes, key=self._bytes.__getitem__)]
            longest.state.forget_oldest()
            self._recount(longest)

    def _recount(self, output: Output[Any]) -> None:
        size = output.state.bytes
        self._total_bytes += size - self._bytes[output.output_id]
        self._bytes[output.output_id] = size

    def _on_ended(self, output: Output[Any]) -> None:
        self._ended.renew(output.output_id)

    def _forget(self, output_id: str) -> None:
        self._outputs.pop(output_id).events.stop()
        self._total_bytes -= self._bytes.pop(output_id)

    def _forget_oldest(self) -> bool:
        """Forget the output that ended first; False where all are running."""
        output_id = next(iter(self._ended), None)
        if output_id is None:
            return False
        self._ended.discard(output_id)
        self._forget(output_id)
        return True
