"""
A desk: where an application reports what happens in its support chat, and what dashboards are told of it.

What changes is told at once; the figures that follow from it are sent on a schedule by whoever has subscribed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

import trio

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.support_chat.chat_values import (
    Agent,
    AgentStatus,
    ChatMessage,
    MessageKind,
    MessageStatus,
    Session,
    SessionStatus,
)
from rtcore.features.support_chat.desk_state import DeskState
from rtcore.features.support_chat.reported_text import TEXT_LENGTH, check_session_id, check_text
from rtcore.features.support_chat.settings import SupportChatSettings
from rtcore.hub.hub import Hub
from rtcore.values.events import Json
from rtcore.values.shown import show

__all__ = ["Desk"]

logger = logging.getLogger("rtcore.support_chat")

_Word = TypeVar("_Word", bound=StrEnum)


class Desk:
    """
    The chat of one workspace, or of one user; `SupportChat.desk` gives it. All of it is synchronous and never blocks.

    Args:
        hub: Where it is published.
        channel: On which channel.
        settings: Bounds and times.
        depth_changed: Called when more or fewer wait.

    What a method returns is what dashboards are told: of a session, a message, an agent.
    """

    def __init__(
        self, hub: Hub, channel: str, settings: SupportChatSettings, depth_changed: Callable[[], None]
    ) -> None:
        self.channel = channel
        """Where it is told; also its name, `desk`, in what dashboards are told."""
        self.state = DeskState(settings)
        """What is known; to be read only."""
        self._hub = hub
        self._settings = settings
        self._depth_changed = depth_changed
        self._typing: dict[str, dict[str, float]] = {}  # until when, by user, by session
        self._timed = False

    # Sessions

    def open_session(self, session_id: str, *, customer: str, subject: str = "") -> dict[str, Json]:
        """
        A customer begins to wait.

        Raises:
            RequestError: If there is a session of this id, it cannot stand in a path (see `check_session_id`), too many
                are open, or a text is too long.
        """
        check_session_id(session_id)
        check_text("customer", customer)
        check_text("subject", subject, least=0)
        told = self._tell_session(self.state.open(session_id, customer, subject, self._hub.clock()))
        self._depth_changed()
        return told

    def assign(self, session_id: str, agent_id: str) -> dict[str, Json]:
        """
        An agent takes a session.

        Raises:
            RequestError: If there is no such session, or it has ended.
        """
        check_text("agent_id", agent_id)
        waited = self.state.session(session_id).status is SessionStatus.WAITING
        told = self._tell_session(self.state.assign(session_id, agent_id, self._hub.clock()))
        if waited:
            self._depth_changed()
        return told

    def end_session(self, session_id: str) -> dict[str, Json]:
        """
        A session is over.

        Raises:
            RequestError: If there is no such session, or it has ended.
        """
        waited = self.state.session(session_id).status is SessionStatus.WAITING
        told = self._tell_session(self.state.end(session_id, self._hub.clock()))
        if self._typing.pop(session_id, None):
            self._tell_typing(session_id)
        if waited:
            self._depth_changed()
        return told

    def rate(self, session_id: str, stars: int) -> dict[str, Json]:
        """
        The customer says how it was, 1 to 5 stars.

        Raises:
            RequestError: If there is no such session, it was rated before, or it is another number.
        """
        return self._tell_session(self.state.rate(session_id, stars, self._hub.clock()))

    # Messages

    def message(
        self,
        session_id: str,
        message_id: str,
        *,
        sender: str,
        text: str = "",
        kind: str = "text",
        from_agent: bool = False,
        status: str = "sent",
    ) -> dict[str, Json]:
        """
        Somebody wrote. A message that was reported before, and is still kept, is that message: nothing happens.

        Args:
            session_id: Where.
            message_id: Identifier within the session.
            sender: Who.
            text: What, or what it is called: at most 10,000 characters.
            kind: `text`, `image`, `file`, `audio` or `video`.
            from_agent: Whether it was an agent; otherwise it is unread until `mark_read`.
            status: `sent`, `delivered`, `read` or `failed`.

        Raises:
            RequestError: If there is no such session, it has ended, there is another message of this id, or a value is
                not acceptable.
        """
        check_text("message_id", message_id)
        check_text("sender", sender)
        check_text("text", text, most=TEXT_LENGTH, least=0)
        message = ChatMessage(
            message_id=message_id,
            sender=sender,
            from_agent=from_agent,
            kind=_member(MessageKind, kind, "kind"),
            status=_member(MessageStatus, status, "status"),
            text=text,
            timestamp=self._hub.clock(),
        )
        there = self.state.repeated(session_id, message)
        if there is not None:
            return there.document()
        session = self.state.add_message(session_id, message)
        self._tell_message("message_created", session_id, message)
        self._tell_session(session)  # what is unread, and its last message
        self.stop_typing(session_id, sender)
        return message.document()

    def message_status(self, session_id: str, message_id: str, status: str) -> dict[str, Json]:
        """
        A message has come further.

        Raises:
            RequestError: If there is no such session or message, or no such status.
        """
        message = self.state.change_message(session_id, message_id, _member(MessageStatus, status, "status"))
        self._tell_message("message_updated", session_id, message)
        session = self.state.session(session_id, over=True)
        if session.last_message is message:
            self._tell_session(session)
        return message.document()

    def mark_read(self, session_id: str) -> dict[str, Json]:
        """
        An agent has read what there is.

        Raises:
            RequestError: If there is no such session, or it has ended.
        """
        return self._tell_session(self.state.mark_read(session_id))

    # People

    def agent_status(self, agent_id: str, status: str, *, name: str | None = None) -> dict[str, Json]:
        """
        What an agent is doing: `active`, `idle`, `offline` or `in_call`; told if it is new.

        Raises:
            RequestError: If there is no such status, or too many agents are known.
        """
        check_text("agent_id", agent_id)
        if name is not None:
            check_text("name", name)
        if self.state.set_agent(agent_id, _member(AgentStatus, status, "status"), name):
            told: Json = {"desk": self.channel, "agentId": agent_id, "status": status}
            self._publish("agent_status_changed", told, key=f"agent:{agent_id}")
        return self.agent_document(self.state.agent(agent_id))

    def typing(self, session_id: str, user: str) -> None:
        """
        Somebody is typing; it ends by itself unless it is said again.

        Raises:
            RequestError: If there is no such session, or it has ended.
        """
        check_text("user", user)
        self.state.session(session_id)
        users = self._typing.setdefault(session_id, {})
        new = user not in users
        users[user] = trio.current_time() + self._settings.typing_seconds
        if new:
            self._tell_typing(session_id)
        if not self._timed:
            self._timed = True
            self._hub.timeouts.call_at(users[user], self._on_timer)

    def stop_typing(self, session_id: str, user: str) -> None:
        """Somebody has stopped typing; nothing where that was known."""
        users = self._typing.get(session_id, {})
        if users.pop(user, None) is not None:
            self._tell_typing(session_id)

    def _on_timer(self) -> float | None:
        now = trio.current_time()
        for session_id, users in list(self._typing.items()):
            late = [user for user, until in users.items() if until <= now]
            for user in late:
                del users[user]
            if late:
                self._tell_typing(session_id)
            if not users:
                self._typing.pop(session_id, None)
        self._timed = bool(self._typing)
        return min((until for users in self._typing.values() for until in users.values()), default=None)

    # Telling

    def session_document(self, session: Session) -> dict[str, Json]:
        """What dashboards are told of a session of this desk, without its messages."""
        return {"desk": self.channel, **session.document(self._hub.clock())}

    def agent_document(self, agent: Agent) -> dict[str, Json]:
        """What dashboards are told of an agent of this desk."""
        return {"desk": self.channel, **agent.document()}

    def _tell_session(self, session: Session) -> dict[str, Json]:
        document = self.session_document(session)
        self._publish("session_update", [document], key=f"session:{session.session_id}")
        return document

    def _tell_message(self, type: str, session_id: str, message: ChatMessage) -> None:
        self._publish(type, {"desk": self.channel, "sessionId": session_id, "message": message.document()})

    def _tell_typing(self, session_id: str) -> None:
        users: list[Json] = list(self._typing.get(session_id, {}))
        told: Json = {"desk": self.channel, "sessionId": session_id, "users": users}
        self._publish("typing_indicator", told, key=f"typing:{session_id}")

    def _publish(self, type: str, data: Json, *, key: str | None = None) -> None:
        try:
            self._hub.publish(self.channel, type, data, key=key)
        except RequestError as error:  # what happened has happened: dashboards see it with the next snapshot
            logger.warning("dashboards of %s were not told %s: %s", self.channel, type, error)


def _member(kind: type[_Word], value: str, name: str) -> _Word:
    try:
        return kind(value)
    except ValueError:
        problem = f"{name}: expected one of {', '.join(kind)}, got {show(value)}"
        raise RequestError(ErrorCode.MALFORMED, problem, field=name) from None
