"""
Support chat: what an application reports of it, for the people who watch over it.

The chat itself is the application's. It reports to a desk, one for a workspace, for a user, or for a user of a
workspace, and dashboards are shown the desks of who is looking: the own ones, and that of the workspace for who has one
of the roles. Message names and fields are those of the dashboards that are in use (`sessionId`), so these work
unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, ClassVar, Final

from attrs import evolve, frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.audience import Audiences
from rtcore.features.feature import Feature
from rtcore.features.support_chat.analytics import merged_messages, merged_satisfaction
from rtcore.features.support_chat.chat_values import AgentStatus, SessionStatus
from rtcore.features.support_chat.desk import Desk
from rtcore.features.support_chat.settings import SupportChatSettings
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.dialect import Dialect
from rtcore.hub.hub import Hub
from rtcore.protocol.wire_fields import text, wire
from rtcore.values.channels import Namespace
from rtcore.values.events import Json
from rtcore.values.identity import Identity

__all__ = ["SupportChat"]

_AUDIENCES: Final = Audiences(workspace="support_chat", user="user_support_chat", member="member_support_chat")
_ENDED_SHOWN: Final = 20


@frozen(kw_only=True)
class _OneSession:
    session_id: str = wire(text(200), name="sessionId")


@frozen(kw_only=True)
class _Nothing:
    """A request without data."""


class SupportChat(Feature):
    """
    Args:
        hub: Where desks are published.
        settings: Bounds and times.
    """

    NAMESPACES: ClassVar[Mapping[str, Namespace]] = MappingProxyType(_AUDIENCES.namespaces())

    def __init__(self, hub: Hub, settings: SupportChatSettings | None = None) -> None:
        self._hub = hub
        self._settings = settings or SupportChatSettings()
        self._desks: dict[str, Desk] = {}
        watched = evolve(self.NAMESPACES[_AUDIENCES.workspace], read_roles=self._settings.roles)
        hub.add_namespaces({_AUDIENCES.workspace: watched})

    @property
    def dialects(self) -> Mapping[str, Dialect]:
        """`support_chat`: the messages of a dashboard."""
        requests: dict[str, tuple[type, Callable[[CommandContext, Any], Reply]]] = {
            "request_session_update": (_OneSession, self._tell_session),
            "request_queue_update": (_Nothing, self._tell_queue),
            "request_metrics_update": (_Nothing, self._tell_metrics),
            "request_sessions_update": (_Nothing, self._tell_sessions),
        }
        return {
            "support_chat": Dialect(
                greet=lambda greeting: None,  # the first message is `auth_success`
                commands={
                    name: CommandRule(value=value, handler=handler) for name, (value, handler) in requests.items()
                },
                schedules={
                    "request_metrics_update": self._settings.metrics_seconds,
                    "request_queue_update": self._settings.queue_seconds,
                    "request_sessions_update": self._settings.sessions_seconds,
                },
                optional_channels=(
                    "user_support_chat:{user}",
                    "member_support_chat:{workspace}:{user}",
                    "support_chat:{workspace}",
                ),
                announces=False,
            )
        }

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
        channel = _AUDIENCES.channel(workspace=workspace, user=user)
        desk = self._desks.get(channel)
        if desk is None:
            if len(self._desks) >= self._settings.desks:
                raise RequestError(
                    ErrorCode.UNAVAILABLE, f"there are {len(self._desks)} desks already: desks={len(self._desks)}"
                )
            desk = self._desks[channel] = Desk(self._hub, channel, self._settings)
        return desk

    # What somebody may see

    def _visible(self, identity: Identity) -> list[Desk]:
        return [
            self._desks[channel]
            for channel in _AUDIENCES.channels_of(identity)
            if channel in self._desks and self._hub.access.can_read(identity, channel)
        ]

    def sessions(self, identity: Identity) -> list[Json]:
        """`active_sessions_updated`: the sessions that an agent has, oldest first, up to the setting `listed`."""
        now = self._hub.clock()
        active = (session for desk in self._visible(identity) for session in desk.state.of_status(SessionStatus.ACTIVE))
        return [session.document(now) for session in islice(active, self._settings.listed)]

    def ended(self, identity: Identity) -> list[Json]:
        """The sessions that ended last."""
        now = self._hub.clock()
        return [
            session.document(now)
            for desk in self._visible(identity)
            for session in desk.state.newest_ended(_ENDED_SHOWN)
        ]

    def session(self, identity: Identity, session_id: str, *, field: str) -> dict[str, Json]:
        """
        One session with its messages.

        Raises:
            RequestError: If there is none that this one may see; the words are the same for another's.
        """
        for desk in self._visible(identity):
            session = desk.state.sessions.get(session_id)
            if session is not None:
                return session.document(self._hub.clock(), whole=True)
        raise RequestError(ErrorCode.NOT_FOUND, f"{field}: no such session", field=field)

    def queue(self, identity: Identity) -> dict[str, Json]:
        """`queue_updated`: who waits, and for how long on average."""
        now = self._hub.clock()
        waiting = [
            session for desk in self._visible(identity) for session in desk.state.of_status(SessionStatus.WAITING)
        ]
        waits = [session.wait_seconds(now) for session in waiting]
        return {
            "waiting_sessions": [session.document(now) for session in waiting[: self._settings.listed]],
            "queue_depth": len(waiting),
            "average_wait_seconds": round(sum(waits) / len(waits), 3) if waits else 0.0,
        }

    def agents(self, identity: Identity) -> list[Json]:
        """Agents with their performance."""
        return [agent.document() for desk in self._visible(identity) for agent in desk.state.agents.values()]

    def metrics(self, identity: Identity) -> dict[str, Json]:
        """`metrics_updated`: the overview, satisfaction, and messages."""
        now, desks = self._hub.clock(), self._visible(identity)
        parts = [desk.state.analytics for desk in desks]
        agents = [agent for desk in desks for agent in desk.state.agents.values()]
        waited = sum(part.waited for part in parts)
        return {
            "overview": {
                "activeSessions": sum(1 for desk in desks for _ in desk.state.of_status(SessionStatus.ACTIVE)),
                "waitingSessions": sum(1 for desk in desks for _ in desk.state.of_status(SessionStatus.WAITING)),
                "endedSessions": sum(part.ended for part in parts),
                "averageWaitSeconds": (
                    round(sum(part.waited_seconds for part in parts) / waited, 3) if waited else None
                ),
                "agents": {status.value: sum(agent.status is status for agent in agents) for status in AgentStatus},
                "agentPerformance": [agent.document() for agent in agents],
            },
            "satisfactionMetrics": merged_satisfaction(parts, now),
            "messageAnalytics": merged_messages(parts, now),
        }

    # For dashboards

    def _tell_session(self, context: CommandContext, command: _OneSession) -> Reply:
        session = self.session(context.identity, command.session_id, field="data.sessionId")
        return Reply("session_update", [session])

    def _tell_queue(self, context: CommandContext, command: _Nothing) -> Reply:
        return Reply("queue_updated", self.queue(context.identity))

    def _tell_metrics(self, context: CommandContext, command: _Nothing) -> Reply:
        return Reply("metrics_updated", self.metrics(context.identity))

    def _tell_sessions(self, context: CommandContext, command: _Nothing) -> Reply:
        return Reply("active_sessions_updated", self.sessions(context.identity))
