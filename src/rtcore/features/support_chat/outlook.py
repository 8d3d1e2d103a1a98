"""What somebody sees: the desks that one may see, taken together."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.support_chat.analytics import merged_messages, merged_satisfaction
from rtcore.features.support_chat.chat_values import AgentStatus, Session, SessionStatus
from rtcore.features.support_chat.desk import Desk
from rtcore.features.support_chat.message_pages import message_page
from rtcore.features.support_chat.reported_text import NAME_LENGTH
from rtcore.features.support_chat.settings import SupportChatSettings
from rtcore.protocol.wire_fields import text, whole_number, wire
from rtcore.values.channels import CHANNEL_NAME_LENGTH
from rtcore.values.events import Json

__all__ = ["LONGEST_PAGE", "Outlook", "SessionQuery"]

LONGEST_PAGE: Final = 1000
"""Most messages that a page may be asked for; the setting `page_messages` may be less."""

_ENDED_SHOWN: Final = 20


@frozen(kw_only=True)
class SessionQuery:
    """Which session, and which of its messages."""

    session_id: str = wire(text(NAME_LENGTH), name="sessionId")
    desk: str | None = wire(text(CHANNEL_NAME_LENGTH), default=None)
    """Where two desks have a session of one id."""
    before: str | None = wire(text(NAME_LENGTH), default=None)
    """Message that the page ends before; None: it ends with the newest."""
    limit: int = wire(whole_number(1, LONGEST_PAGE), default=LONGEST_PAGE)


@frozen(kw_only=True)
class Outlook:
    """Of one who looks, now. In whatever is told, `desk` says whose it is."""

    desks: tuple[Desk, ...]
    settings: SupportChatSettings
    now: float
    """Unix seconds."""

    def sessions(self) -> list[Json]:
        """`active_sessions_updated`: the sessions that an agent has, oldest first, up to the setting `listed`."""
        return self._documents(self._of_status(SessionStatus.ACTIVE), self.settings.listed)

    def ended(self) -> list[Json]:
        """The sessions that ended last, newest first."""
        found = [(desk, session) for desk in self.desks for session in desk.state.newest_ended(_ENDED_SHOWN)]
        found.sort(key=lambda each: each[1].ended_at or 0.0, reverse=True)
        return self._documents(found, _ENDED_SHOWN)

    def session(self, query: SessionQuery, *, path: str = "") -> list[dict[str, Json]]:
        """
        `session_update` where it is asked for: a session with a page of its messages; of one id, that of each desk.

        Args:
            query: Which.
            path: What comes before the names of its fields in errors.

        Raises:
            RequestError: If there is none that this one may see, or no such message; the words are the same for
                another's.
        """
        found = [
            (desk, desk.state.sessions[query.session_id])
            for desk in self.desks
            if query.session_id in desk.state.sessions and query.desk in (None, desk.channel)
        ]
        if not found:
            field = f"{path}sessionId"
            raise RequestError(ErrorCode.NOT_FOUND, f"{field}: no such session", field=field)
        if query.before is not None:
            found = [(desk, session) for desk, session in found if query.before in session.messages]
            if not found:
                field = f"{path}before"
                raise RequestError(ErrorCode.NOT_FOUND, f"{field}: no such message is kept", field=field)
        return [{**desk.session_document(session), **self._page(session, query)} for desk, session in found]

    def depth(self) -> int:
        """How many wait."""
        return sum(desk.state.waiting for desk in self.desks)

    def queue(self) -> dict[str, Json]:
        """`queue_updated`: who waits, and for how long on average; who has waited longest comes first."""
        waiting = self._of_status(SessionStatus.WAITING)
        waits = [session.wait_seconds(self.now) for _, session in waiting]
        return {
            "waiting_sessions": self._documents(waiting, self.settings.listed),
            "queue_depth": len(waiting),
            "average_wait_seconds": round(sum(waits) / len(waits), 3) if waits else 0.0,
        }

    def agents(self) -> list[Json]:
        """Agents with their performance, by desk."""
        return [desk.agent_document(agent) for desk in self.desks for agent in desk.state.agents.values()]

    def metrics(self) -> dict[str, Json]:
        """`metrics_updated`: the overview, satisfaction, and messages."""
        parts = [desk.state.analytics for desk in self.desks]
        agents = [agent for desk in self.desks for agent in desk.state.agents.values()]
        waited = sum(part.waited for part in parts)
        return {
            "overview": {
                "activeSessions": len(self._of_status(SessionStatus.ACTIVE)),
                "waitingSessions": self.depth(),
                "endedSessions": sum(part.ended for part in parts),
                "averageWaitSeconds": (
                    round(sum(part.waited_seconds for part in parts) / waited, 3) if waited else None
                ),
                "agents": {status.value: sum(agent.status is status for agent in agents) for status in AgentStatus},
                "agentPerformance": self.agents(),
            },
            "satisfactionMetrics": merged_satisfaction(parts, self.now),
            "messageAnalytics": merged_messages(parts, self.now),
        }

    def _of_status(self, status: SessionStatus) -> list[tuple[Desk, Session]]:
        found = [(desk, session) for desk in self.desks for session in desk.state.of_status(status)]
        found.sort(key=lambda each: each[1].opened_at)  # one desk's are in order: that costs next to nothing
        return found

    def _documents(self, found: Iterable[tuple[Desk, Session]], most: int) -> list[Json]:
        return [desk.session_document(session) for desk, session in islice(found, most)]

    def _page(self, session: Session, query: SessionQuery) -> dict[str, Json]:
        most = min(query.limit, self.settings.page_messages)
        return message_page(session, before=query.before, most=most, most_bytes=self.settings.page_bytes)
