"""
What an application outside this process reports to a desk: the commands `support_chat.*`, and the bodies over HTTP.

Each is one method of `Desk` with its arguments, and the desk that is meant.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

from rtcore.features.support_chat.chat_values import AgentStatus, MessageKind, MessageStatus
from rtcore.features.support_chat.desk import Desk
from rtcore.features.support_chat.reported_text import NAME_LENGTH, TEXT_LENGTH
from rtcore.protocol.wire_fields import flag, one_of, text, whole_number, wire
from rtcore.values.events import Json

__all__ = ["REPORTS", "STARS", "Report"]

STARS: Final = 5
"""Most stars."""

_NAME: Final = text(NAME_LENGTH)
_TEXT: Final = text(TEXT_LENGTH, least=0)


@frozen(kw_only=True)
class Report(ABC):
    """What every report has: at whose desk; without either, that of the reporter's own workspace."""

    workspace: str | None = wire(_NAME, default=None)
    user: str | None = wire(_NAME, default=None)

    @abstractmethod
    def deliver(self, desk: Desk) -> dict[str, Json]:
        """
        Tell it to the desk.

        Returns:
            What became of it: a `session`, a `message` or an `agent`, as dashboards are told.

        Raises:
            RequestError: As the desk does; then nothing has changed.
        """


@frozen(kw_only=True)
class _OfSession(Report):
    session_id: str = wire(_NAME)


@frozen(kw_only=True)
class _OpenSession(_OfSession):
    customer: str = wire(_NAME)
    subject: str = wire(text(NAME_LENGTH, least=0), default="")

    def deliver(self, desk: Desk) -> dict[str, Json]:
        return {"session": desk.open_session(self.session_id, customer=self.customer, subject=self.subject)}


@frozen(kw_only=True)
class _Assign(_OfSession):
    agent_id: str = wire(_NAME)

    def deliver(self, desk: Desk) -> dict[str, Json]:
        return {"session": desk.assign(self.session_id, self.agent_id)}


@frozen(kw_only=True)
class _EndSession(_OfSession):
    def deliver(self, desk: Desk) -> dict[str, Json]:
        return {"session": desk.end_session(self.session_id)}


@frozen(kw_only=True)
class _Rate(_OfSession):
    stars: int = wire(whole_number(1, STARS))

    def deliver(self, desk: Desk) -> dict[str, Json]:
        return {"session": desk.rate(self.session_id, self.stars)}


@frozen(kw_only=True)
class _MarkRead(_OfSession):
    def deliver(self, desk: Desk) -> dict[str, Json]:
        return {"session": desk.mark_read(self.session_id)}


@frozen(kw_only=True)
class _Message(_OfSession):
    message_id: str = wire(_NAME)
    sender: str = wire(_NAME)
    text: str = wire(_TEXT, default="")
    kind: str = wire(one_of(*MessageKind), default=MessageKind.TEXT.value)
    from_agent: bool = wire(flag, default=False)
    status: str = wire(one_of(*MessageStatus), default=MessageStatus.SENT.value)

    def deliver(self, desk: Desk) -> dict[str, Json]:
        message = desk.message(
            self.session_id,
            self.message_id,
            sender=self.sender,
            text=self.text,
            kind=self.kind,
            from_agent=self.from_agent,
            status=self.status,
        )
        return {"message": message}


@frozen(kw_only=True)
class _MessageStatus(_OfSession):
    message_id: str = wire(_NAME)
    status: str = wire(one_of(*MessageStatus))

    def deliver(self, desk: Desk) -> dict[str, Json]:
        return {"message": desk.message_status(self.session_id, self.message_id, self.status)}


@frozen(kw_only=True)
class _Typing(_OfSession):
    sender: str = wire(_NAME)

    def deliver(self, desk: Desk) -> dict[str, Json]:
        desk.typing(self.session_id, self.sender)
        return {}


@frozen(kw_only=True)
class _StopTyping(_OfSession):
    sender: str = wire(_NAME)

    def deliver(self, desk: Desk) -> dict[str, Json]:
        desk.stop_typing(self.session_id, self.sender)
        return {}


@frozen(kw_only=True)
class _AgentStatus(Report):
    agent_id: str = wire(_NAME)
    status: str = wire(one_of(*AgentStatus))
    name: str | None = wire(_NAME, default=None)

    def deliver(self, desk: Desk) -> dict[str, Json]:
        return {"agent": desk.agent_status(self.agent_id, self.status, name=self.name)}


REPORTS: Final[Mapping[str, type[Report]]] = MappingProxyType(
    {
        "agent_status": _AgentStatus,
        "assign": _Assign,
        "end_session": _EndSession,
        "mark_read": _MarkRead,
        "message": _Message,
        "message_status": _MessageStatus,
        "open_session": _OpenSession,
        "rate": _Rate,
        "stop_typing": _StopTyping,
        "typing": _Typing,
    }
)
"""By verb: the method of `Desk`."""
