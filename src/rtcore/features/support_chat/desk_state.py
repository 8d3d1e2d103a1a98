"""
What is known of one desk: its sessions, its queue, its agents. Pure; time is an argument, in Unix seconds.

Reports come from an application whose own order may differ from ours, so what concerns something that has ended or was
never there is refused, and nothing changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from attrs import define, field

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.support_chat.analytics import Analytics
from rtcore.features.support_chat.chat_values import (
    Agent,
    AgentStatus,
    ChatMessage,
    MessageStatus,
    Session,
    SessionStatus,
)
from rtcore.features.support_chat.settings import SupportChatSettings
from rtcore.values.shown import show

__all__ = ["DeskState"]


@define(eq=False)
class DeskState:
    """
    Args:
        settings: Bounds.
    """

    settings: SupportChatSettings
    sessions: dict[str, Session] = field(factory=dict, init=False)
    """By id, oldest first."""
    agents: dict[str, Agent] = field(factory=dict, init=False)
    analytics: Analytics = field(factory=Analytics, init=False)
    waiting: int = field(default=0, init=False)
    """Sessions that no agent has taken."""
    _ended: deque[str] = field(factory=deque, init=False)

    def open(self, session_id: str, customer: str, subject: str, now: float) -> Session:
        """A customer begins to wait."""
        if session_id in self.sessions:
            raise RequestError(ErrorCode.CONFLICT, "session_id: there is one already", field="session_id")
        if len(self.sessions) >= self.settings.sessions:
            if not self._ended:
                raise RequestError(
                    ErrorCode.BUSY,
                    f"{len(self.sessions)} sessions are open already: sessions={self.settings.sessions}",
                )
            del self.sessions[self._ended.popleft()]
        session = Session(session_id=session_id, customer=customer, subject=subject, opened_at=now)
        self.sessions[session_id] = session
        self.waiting += 1
        return session

    def assign(self, session_id: str, agent_id: str, now: float) -> Session:
        """An agent takes a session, from the queue or from another agent."""
        session, agent = self.session(session_id), self.agent(agent_id)
        if session.assigned_at is None:
            session.assigned_at = now
            self.analytics.waited += 1
            self.analytics.waited_seconds += session.wait_seconds(now)
        self._leave_queue(session)
        session.agent_id, session.status = agent.agent_id, SessionStatus.ACTIVE
        return session

    def end(self, session_id: str, now: float) -> Session:
        """A session is over."""
        session = self.session(session_id)
        self._leave_queue(session)
        session.status, session.ended_at, session.unread = SessionStatus.ENDED, now, 0
        self.analytics.ended += 1
        if session.agent_id is not None and session.assigned_at is not None:
            agent = self.agent(session.agent_id)
            agent.handled += 1
            agent.talk_seconds += max(0.0, now - session.assigned_at)
        self._ended.append(session_id)
        return session

    def _leave_queue(self, session: Session) -> None:
        if session.status is SessionStatus.WAITING:
            self.waiting -= 1

    def rate(self, session_id: str, stars: int, now: float) -> Session:
        """The customer says how it was: once, during the session or after it."""
        session = self.session(session_id, over=True)
        if session.rating is not None:
            raise RequestError(ErrorCode.CONFLICT, "session_id: rated already", field="session_id")
        if type(stars) is not int or not 1 <= stars <= 5:
            problem = f"stars: expected a whole number from 1 to 5, got {show(stars)}"
            raise RequestError(ErrorCode.MALFORMED, problem, field="stars")
        session.rating = stars
        self.analytics.stars[stars] += 1
        self.analytics.days.add(now, stars)
        if session.agent_id is not None:
            agent = self.agent(session.agent_id)
            agent.stars += stars
            agent.ratings += 1
        return session

    def repeated(self, session_id: str, message: ChatMessage) -> ChatMessage | None:
        """
        The message that was reported before under this id; None: it is new, or not kept any more.

        Raises:
            RequestError: If there is no such session, or that was another message.
        """
        there = self.session(session_id, over=True).messages.get(message.message_id)
        if there is not None and not there.says(message):
            problem = f"message_id: there is another message {show(message.message_id)} already"
            raise RequestError(ErrorCode.CONFLICT, problem, field="message_id")
        return there

    def add_message(self, session_id: str, message: ChatMessage) -> Session:
        """Somebody wrote, under an id that is new."""
        session = self.session(session_id)
        if len(session.messages) >= self.settings.messages:
            del session.messages[next(iter(session.messages))]
        session.messages[message.message_id] = message
        self.analytics.kinds[message.kind] += 1
        self.analytics.statuses[message.status] += 1
        self.analytics.hours.add(message.timestamp)
        if not message.from_agent:
            session.unread += 1
        elif session.answered_at is None:
            session.answered_at = message.timestamp
            if session.agent_id is not None:
                agent = self.agent(session.agent_id)
                agent.answered += 1
                agent.answer_seconds += max(0.0, message.timestamp - session.opened_at)
        return session

    def change_message(self, session_id: str, message_id: str, status: MessageStatus) -> ChatMessage:
        """A message has come further."""
        session = self.session(session_id, over=True)
        message = session.messages.get(message_id)
        if message is None:
            raise RequestError(ErrorCode.NOT_FOUND, "message_id: no such message", field="message_id")
        self.analytics.statuses[message.status] -= 1
        self.analytics.statuses[status] += 1
        message.status = status
        return message

    def mark_read(self, session_id: str) -> Session:
        """An agent has read what there is."""
        session = self.session(session_id)
        session.unread = 0
        return session

    def set_agent(self, agent_id: str, status: AgentStatus, name: str | None) -> bool:
        """What an agent is doing; False where that is nothing new."""
        agent = self.agent(agent_id)
        changed = agent.status is not status or (name is not None and name != agent.name)
        agent.status = status
        agent.name = agent.name if name is None else name
        return changed

    def agent(self, agent_id: str) -> Agent:
        """An agent, known or new."""
        agent = self.agents.get(agent_id)
        if agent is None:
            if len(self.agents) >= self.settings.agents:
                raise RequestError(
                    ErrorCode.BUSY, f"{len(self.agents)} agents are known already: agents={self.settings.agents}"
                )
            agent = self.agents[agent_id] = Agent(agent_id=agent_id)
        return agent

    def session(self, session_id: str, *, over: bool = False) -> Session:
        """
        A session.

        Raises:
            RequestError: If there is none, or it has ended and `over` is false.
        """
        session = self.sessions.get(session_id)
        if session is None:
            raise RequestError(ErrorCode.NOT_FOUND, "session_id: no such session", field="session_id")
        if session.status is SessionStatus.ENDED and not over:
            raise RequestError(ErrorCode.CONFLICT, "session_id: the session has ended", field="session_id")
        return session

    def of_status(self, status: SessionStatus) -> Iterator[Session]:
        """Sessions that are there, oldest first."""
        return (session for session in self.sessions.values() if session.status is status)

    def newest_ended(self, count: int) -> Iterator[Session]:
        """Sessions that ended last, newest first."""
        return (self.sessions[session_id] for session_id in islice(reversed(self._ended), count))
