"""
Support chat: what an application reports of it, for the people who watch over it.

The chat itself is the application's. It reports to a desk, one for a workspace, for a user, or for a user of a
workspace, and dashboards are shown the desks of who is looking: the own ones, and that of the workspace for who has one
of the roles. Message names and fields are those of the dashboards that are in use (`sessionId`), so these work
unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Final

from attrs import evolve

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.audience import Audiences
from rtcore.features.feature import Feature
from rtcore.features.support_chat.dashboard import dashboard_dialect
from rtcore.features.support_chat.desk import Desk
from rtcore.features.support_chat.outlook import Outlook
from rtcore.features.support_chat.reports import REPORTS, Report
from rtcore.features.support_chat.settings import SupportChatSettings
from rtcore.features.support_chat.watchers import Watchers
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.dialect import Dialect
from rtcore.hub.hub import Hub
from rtcore.values.channels import Namespace
from rtcore.values.events import Json
from rtcore.values.identity import Identity

__all__ = ["SupportChat"]

_AUDIENCES: Final = Audiences(workspace="support_chat", user="user_support_chat", member="member_support_chat")
_OWN_CHANNELS: Final = (
    f"{_AUDIENCES.user}:{{user}}",
    f"{_AUDIENCES.member}:{{workspace}}:{{user}}",
    f"{_AUDIENCES.workspace}:{{workspace}}",
)


class SupportChat(Feature):
    """
    Args:
        hub: Where desks are published.
        settings: Bounds and times.
    """

    NAMESPACES: ClassVar[Mapping[str, Namespace]] = MappingProxyType(_AUDIENCES.namespaces())
    REPLIES: ClassVar = frozenset(
        {"active_sessions_updated", "metrics_updated", "queue_depth_changed", "queue_updated", "session_update"}
        | {"support_chat.reported"}
    )

    def __init__(self, hub: Hub, settings: SupportChatSettings | None = None) -> None:
        self.settings = settings or SupportChatSettings()
        """Bounds, times and roles."""
        self._hub = hub
        self._desks: dict[str, Desk] = {}
        self._watchers = Watchers(hub, lambda identity: self.outlook(identity).depth())
        watched = evolve(self.NAMESPACES[_AUDIENCES.workspace], read_roles=self.settings.roles)
        hub.add_namespaces({_AUDIENCES.workspace: watched})

    @property
    def dialects(self) -> Mapping[str, Dialect]:
        """`support_chat`: the messages of a dashboard."""
        return {"support_chat": dashboard_dialect(self, self.settings, _OWN_CHANNELS)}

    @property
    def commands(self) -> Mapping[str, CommandRule[Any]]:
        """`support_chat.open_session` and the others: what an application reports from outside."""
        return {
            f"support_chat.{verb}": CommandRule(value=kind, handler=self._report, roles=self.settings.report_roles)
            for verb, kind in REPORTS.items()
        }

    # Reporting

    def desk(self, *, workspace: str | None = None, user: str | None = None) -> Desk:
        """
        Where to report what happens.

        Args:
            workspace: Whose desk; without a user, its members with one of the roles see it.
            user: Whose desk; nobody else sees it: in that workspace only, or, where none is named, in any.

        Raises:
            RequestError: If there can be no desk of that name, or there are too many.
            ValueError: If neither is given.
        """
        return self._desk(_AUDIENCES.channel(workspace=workspace, user=user))

    def _desk(self, channel: str) -> Desk:
        desk = self._desks.get(channel)
        if desk is None:
            if len(self._desks) >= self.settings.desks:
                raise RequestError(
                    ErrorCode.BUSY, f"there are {len(self._desks)} desks already: desks={len(self._desks)}"
                )
            desk = self._desks[channel] = self._new_desk(channel)
        return desk

    def _new_desk(self, channel: str) -> Desk:
        return Desk(self._hub, channel, self.settings, partial(self._watchers.changed, channel))

    def report(self, identity: Identity, report: Report) -> dict[str, Json]:
        """
        Deliver what somebody with one of the roles reports.

        Args:
            identity: Who; without a workspace, one who may name any.
            report: What.

        Returns:
            `desk`, and what became of it: a `session`, a `message` or an `agent`.

        Raises:
            RequestError: If it is another workspace's desk, or the desk refuses; then nothing has changed.
        """
        channel = _AUDIENCES.channel(workspace=_workspace_of(identity, report), user=report.user)
        new = channel not in self._desks
        desk = self._desk(channel)
        try:
            return {"desk": channel, **report.deliver(desk)}
        except RequestError:
            if new:  # what is refused must leave nothing behind
                del self._desks[channel]
            raise

    def _report(self, context: CommandContext, command: Report) -> Reply:
        try:
            return Reply("support_chat.reported", self.report(context.identity, command), unasked=False)
        except RequestError as error:
            raise _located(error) from error

    # What somebody may see

    def outlook(self, identity: Identity) -> Outlook:
        """All that somebody may see, as it is now."""
        desks = tuple(
            self._desks[channel]
            for channel in _AUDIENCES.channels_of(identity)
            if channel in self._desks and self._hub.access.can_read(identity, channel)
        )
        return Outlook(desks=desks, settings=self.settings, now=self._hub.clock())

    def watch(self, context_now: Callable[[], CommandContext]) -> None:
        """Tell a dashboard how many wait, whenever that changes."""
        self._watchers.add(context_now, _AUDIENCES.channels_of(context_now().identity))

    def sessions(self, identity: Identity) -> list[Json]:
        """The sessions that an agent has, oldest first, up to the setting `listed`."""
        return self.outlook(identity).sessions()

    def queue(self, identity: Identity) -> dict[str, Json]:
        """Who waits, and for how long on average."""
        return self.outlook(identity).queue()

    def metrics(self, identity: Identity) -> dict[str, Json]:
        """The overview, satisfaction, and messages."""
        return self.outlook(identity).metrics()


def _workspace_of(identity: Identity, report: Report) -> str | None:
    own = identity.workspace
    if own is None:
        if report.workspace is None and report.user is None:
            raise RequestError(ErrorCode.MALFORMED, "workspace: missing, and the token names none", field="workspace")
        return report.workspace
    if report.workspace not in (None, own):
        raise RequestError(ErrorCode.DENIED, "workspace: not allowed to report to another workspace", field="workspace")
    return own


def _located(error: RequestError) -> RequestError:
    """An error of a report as one of a command: its fields are those of `data`."""
    if error.field is None:
        return error
    return RequestError(error.code, f"data.{error.message}", retry_after=error.retry_after, field=f"data.{error.field}")
