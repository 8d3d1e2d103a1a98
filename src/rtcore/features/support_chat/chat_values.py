"""What a desk knows of a session, its messages and an agent; and how dashboards are told."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import define, field

from rtcore.values.events import Json, format_timestamp

__all__ = ["Agent", "AgentStatus", "ChatMessage", "MessageKind", "MessageStatus", "Session", "SessionStatus"]


_EXCERPT_LENGTH: Final = 200  # of the last message, where sessions are listed


class SessionStatus(StrEnum):
    """Where a session is."""

    WAITING = "waiting"
    ACTIVE = "active"
    ENDED = "ended"


class AgentStatus(StrEnum):
    """What an agent is doing."""

    ACTIVE = "active"
    IDLE = "idle"
    OFFLINE = "offline"
    IN_CALL = "in_call"


class MessageKind(StrEnum):
    """What a message consists of."""

    TEXT = "text"
    IMAGE = "image"
    FILE = "file"
    AUDIO = "audio"
    VIDEO = "video"


class MessageStatus(StrEnum):
    """How far a message has come."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


@define(eq=False, kw_only=True)
class ChatMessage:
    """One message; times are Unix seconds."""

    message_id: str
    sender: str
    from_agent: bool
    kind: MessageKind
    status: MessageStatus
    text: str
    timestamp: float

    def says(self, other: ChatMessage) -> bool:
        """Whether the other is the same message, however far either has come."""
        return (self.sender, self.from_agent, self.kind, self.text) == (
            other.sender,
            other.from_agent,
            other.kind,
            other.text,
        )

    def document(self, most: int | None = None) -> dict[str, Json]:
        """As dashboards are told; `most`: characters of the text."""
        return {
            "messageId": self.message_id,
            "sender": self.sender,
            "fromAgent": self.from_agent,
            "type": self.kind.value,
            "status": self.status.value,
            "text": self.text[:most],
            "timestamp": format_timestamp(self.timestamp),
        }


@define(eq=False, kw_only=True)
class Session:
    """One conversation with a customer; times are Unix seconds."""

    session_id: str
    customer: str
    opened_at: float
    subject: str = ""
    status: SessionStatus = SessionStatus.WAITING
    agent_id: str | None = None
    assigned_at: float | None = None
    answered_at: float | None = None
    """When an agent first wrote."""
    ended_at: float | None = None
    rating: int | None = None
    """Stars, 1 to 5."""
    unread: int = 0
    """Messages of the customer that no agent has read."""
    messages: dict[str, ChatMessage] = field(factory=dict)
    """The newest, by id, oldest first."""

    @property
    def last_message(self) -> ChatMessage | None:
        """The newest message."""
        return next(reversed(self.messages.values()), None)

    def wait_seconds(self, now: float) -> float:
        """How long the customer waited for an agent, or has been waiting."""
        until = self.assigned_at if self.assigned_at is not None else self.ended_at
        return max(0.0, (now if until is None else until) - self.opened_at)

    def document(self, now: float) -> dict[str, Json]:
        """As dashboards are told, without its messages."""
        last = self.last_message
        return {
            "sessionId": self.session_id,
            "customer": self.customer,
            "subject": self.subject,
            "status": self.status.value,
            "agentId": self.agent_id,
            "openedAt": format_timestamp(self.opened_at),
            "endedAt": None if self.ended_at is None else format_timestamp(self.ended_at),
            "waitSeconds": round(self.wait_seconds(now), 3),
            "unread": self.unread,
            "rating": self.rating,
            "lastMessage": None if last is None else last.document(_EXCERPT_LENGTH),
        }


@define(eq=False, kw_only=True)
class Agent:
    """Somebody who talks to customers."""

    agent_id: str
    name: str = ""
    status: AgentStatus = AgentStatus.OFFLINE
    handled: int = 0
    """Sessions that ended with this agent."""
    talk_seconds: float = 0.0
    """Time from assignment to end, of these together."""
    answer_seconds: float = 0.0
    """Time from opening to first answer, of those that were answered together."""
    answered: int = 0
    stars: int = 0
    ratings: int = 0

    def document(self) -> dict[str, Json]:
        """As dashboards are told."""
        return {
            "agentId": self.agent_id,
            "name": self.name,
            "status": self.status.value,
            "sessionsHandled": self.handled,
            "averageTalkSeconds": _mean(self.talk_seconds, self.handled),
            "averageAnswerSeconds": _mean(self.answer_seconds, self.answered),
            "averageRating": _mean(self.stars, self.ratings),
        }


def _mean(total: float, count: int) -> float | None:
    return round(total / count, 3) if count else None
