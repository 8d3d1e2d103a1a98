"""
The feature: who is writing in a conversation, told to whoever has it open.

`typing.start` holds for some seconds, so a client that goes on typing says so again, and one that vanished stops by
itself. Each conversation has a channel of its own, `typing:WORKSPACE:CONVERSATION`: who writes there concerns those who
look at it, not ten thousand others. Only who is writing now matters, so nothing is kept for replay, a slow reader
gets the newest state alone, and nothing is published where nobody listens.

Any member of a workspace may read and write in any of its conversations: rtcore does not know who takes part in which.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any, ClassVar, Final

from attrs import Factory, define, frozen

from rtcore.errors import ErrorCode, HubClosed, RequestError
from rtcore.features.deadlines import Deadlines
from rtcore.features.feature import Feature
from rtcore.features.pacing import Pace
from rtcore.features.presence.appearance import USER_LENGTH, is_wire_text
from rtcore.features.presence.presence import Presence
from rtcore.features.typing.settings import TypingSettings
from rtcore.features.typing.typing_commands import check_conversation, typing_channel, typing_commands
from rtcore.features.typing.typing_state import TypingState, Typists
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.hub import Hub
from rtcore.hub.registry import Snapshot
from rtcore.hub.subscriber import Subscriber
from rtcore.values.channels import Namespace, Overflow, Scope, name_of_part, own_channel
from rtcore.values.events import Json
from rtcore.values.identity import DEFAULT_WORKSPACE, Identity

__all__ = ["Typing", "TypingStatistics"]

_logger = logging.getLogger(__name__)

_EVENT: Final = "presence:typing"
_APPLICATION: Final = "application"


@frozen(kw_only=True)
class TypingStatistics:
    """A snapshot of everybody who writes."""

    conversations: int
    """Conversations in which somebody does."""
    users: int
    """Users who do, counted in each."""


@define(eq=False)
class _Conversation:
    state: TypingState = Factory(TypingState)
    told: Typists = Factory(Typists)


@define(eq=False)
class _Writer:
    """A connection that has written something."""

    key: int
    writing: dict[str, str] = Factory(dict)
    """As whom, by channel."""


@frozen
class _Stroke:
    """Somebody writes somewhere."""

    channel: str
    user: str
    key: Hashable


class Typing(Feature):
    """
    Args:
        hub: Where it is told, and whose timers are used.
        presence: Knows what a guest is called.
        settings: Times and bounds.
    """

    NAMESPACES: ClassVar[Mapping[str, Namespace]] = {
        "typing": Namespace(
            scope=Scope.WORKSPACE, publish_roles=frozenset(), history_events=0, overflow=Overflow.CONFLATE
        )
    }
    REPLIES: ClassVar = frozenset({"typing.started", "typing.stopped"})

    def __init__(self, hub: Hub, presence: Presence, settings: TypingSettings | None = None) -> None:
        self.settings = settings or TypingSettings()
        self._hub = hub
        self._presence = presence
        self._conversations: dict[str, _Conversation] = {}
        """By channel."""
        self._writers: dict[Subscriber, _Writer] = {}
        self._by_key: dict[Hashable, _Writer] = {}
        self._numbers = itertools.count()
        self._pace: Pace[str] = Pace(hub.timeouts, self.settings.update_seconds, self._tell)
        self._strokes = Deadlines(hub.timeouts, self.settings.seconds, self._stopped)
        presence.when_hidden(self._hide)

    @property
    def commands(self) -> Mapping[str, CommandRule[Any]]:
        return typing_commands(self)

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        return {"typing": self._snapshot}

    # Connections

    def write(self, subscriber: Subscriber, identity: Identity, conversation: str) -> Typists:
        """
        A connection's user writes, for the next seconds.

        Returns:
            Who writes there now.

        Raises:
            RequestError: If it may not, or writes in too many conversations already; then nothing has changed.
        """
        channel = typing_channel(identity.workspace, conversation)
        user = self._presence.user_of(subscriber, identity)
        writer = self._writers.get(subscriber)
        if writer is not None and channel not in writer.writing:
            most = self.settings.conversations_per_connection
            if len(writer.writing) >= most:
                problem = f"data.conversation: the connection types in conversations_per_connection={most} others"
                raise RequestError(ErrorCode.BUSY, problem, field="data.conversation")
        if writer is None:
            writer = self._new_writer(subscriber)
        before = writer.writing.get(channel, user)
        if before != user:  # the client has authenticated meanwhile
            self._stop(_Stroke(channel, before, writer.key))
        if subscriber in self._writers:  # not over already
            writer.writing[channel] = user
            self._start(_Stroke(channel, user, writer.key))
        return self._typists(channel)

    def rest(self, subscriber: Subscriber, identity: Identity, conversation: str) -> Typists:
        """A connection's user writes no more; idempotent. Arguments and errors as of `write`."""
        channel = typing_channel(identity.workspace, conversation)
        writer = self._writers.get(subscriber)
        if writer is not None and channel in writer.writing:
            self._stop(_Stroke(channel, writer.writing[channel], writer.key))
        return self._typists(channel)

    def _new_writer(self, subscriber: Subscriber) -> _Writer:
        writer = self._writers[subscriber] = _Writer(next(self._numbers))
        self._by_key[writer.key] = writer
        self._hub.when_gone(subscriber, partial(self._gone, subscriber))
        return writer

    def _gone(self, subscriber: Subscriber) -> None:
        writer = self._writers.pop(subscriber)
        for channel, user in list(writer.writing.items()):
            self._stop(_Stroke(channel, user, writer.key))
        del self._by_key[writer.key]

    # Application code

    def users(self, conversation: str, *, workspace: str = DEFAULT_WORKSPACE) -> Typists:
        """Who writes in a conversation at this moment."""
        return self._typists(self._channel(conversation, workspace))

    def start(self, conversation: str, user: str, *, workspace: str = DEFAULT_WORKSPACE) -> None:
        """
        A user writes, for the next seconds.

        Args:
            conversation: Where: letters, digits, `_ . : ~ -`.
            user: Who, 1 to 255 characters.
            workspace: Whose conversation.

        Raises:
            ValueError: If the user's name is not acceptable.
            RequestError: If no channel can be named after the conversation.
        """
        if not is_wire_text(user, USER_LENGTH):
            raise ValueError(f"user: expected 1 to {USER_LENGTH} characters, got {len(user)}")
        self._start(_Stroke(self._channel(conversation, workspace), user, _APPLICATION))

    def stop(self, conversation: str, user: str, *, workspace: str = DEFAULT_WORKSPACE) -> None:
        """A user writes no more, through whatever connection: the message was sent. Idempotent."""
        channel = self._channel(conversation, workspace)
        there = self._conversations.get(channel)
        for key in () if there is None else there.state.keys(user):
            self._stop(_Stroke(channel, user, key))

    def statistics(self) -> TypingStatistics:
        """A snapshot."""
        counts = [len(there.state) for there in self._conversations.values()]
        return TypingStatistics(conversations=sum(count > 0 for count in counts), users=sum(counts))

    @staticmethod
    def _channel(conversation: str, workspace: str) -> str:
        return typing_channel(workspace, check_conversation(conversation))

    # What changes

    def _typists(self, channel: str) -> Typists:
        there = self._conversations.get(channel)
        return Typists() if there is None else there.state.typists(self.settings.listed_users)

    def _hide(self, user: str, workspace: str) -> None:
        """Somebody does not want to be seen any more, nor to be seen writing."""
        part = own_channel("typing", workspace)
        for channel, there in list(self._conversations.items()):
            if channel.startswith(f"{part}:"):
                for key in there.state.keys(user):
                    self._stop(_Stroke(channel, user, key))

    def _start(self, stroke: _Stroke) -> None:
        if self._presence.is_hidden(stroke.user, name_of_part(stroke.channel.split(":", 2)[1])):
            self._stop(stroke)
            return
        there = self._conversations.get(stroke.channel)
        if there is None:
            there = self._conversations[stroke.channel] = _Conversation()
        self._strokes.renew(stroke)
        if there.state.start(stroke.user, stroke.key):
            self._pace.changed(stroke.channel)

    def _stop(self, stroke: _Stroke) -> None:
        self._strokes.discard(stroke)
        self._stopped(stroke)

    def _stopped(self, stroke: _Stroke) -> None:
        writer = self._by_key.get(stroke.key)
        if writer is not None:
            writer.writing.pop(stroke.channel, None)
        there = self._conversations.get(stroke.channel)
        if there is not None and there.state.stop(stroke.user, stroke.key):
            self._pace.changed(stroke.channel)

    def _tell(self, channel: str) -> bool:
        """Publish who writes, if that is news to anybody; returns whether it is done."""
        there = self._conversations.get(channel)
        if there is None:
            return True
        typists = there.state.typists(self.settings.listed_users)
        if typists != there.told and self._hub.is_subscribed(channel):
            try:
                self._hub.publish(channel, _EVENT, _told(channel, typists), key=_EVENT)
            except HubClosed:
                return True
            except RequestError as error:  # the hub has no room for the channel just now
                _logger.warning("who is typing cannot be told for now: %s", error)
                return False
        there.told = typists
        if not len(there.state):
            del self._conversations[channel]
        return True

    def _snapshot(self, identity: Identity, channel: str) -> Json:
        there = self._conversations.get(channel)
        return _told(channel, Typists() if there is None else there.told)


def _told(channel: str, typists: Typists) -> dict[str, Json]:
    conversation = channel.split(":", 2)[2] if channel.count(":") >= 2 else ""
    return {"conversation": conversation, "users": typists.users, "total": typists.total}
