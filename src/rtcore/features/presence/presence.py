"""
The feature: who is present in a workspace, told to its members as it changes.

A connection is present once it says so, and until it ends; application code can name users too. What changes goes to
channel `presence:WORKSPACE` in steps, one for each interval, and whoever subscribes is told the list as of the position
that its subscription begins with. How many are present makes no difference to what one of them costs.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, ClassVar, Final

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.deadlines import Deadlines
from rtcore.features.feature import Feature
from rtcore.features.presence.appearance import GUEST, USER_LENGTH, Appearance, UserPresence, is_wire_text
from rtcore.features.presence.board import Board, Entry, PresenceStatistics
from rtcore.features.presence.presence_commands import presence_commands
from rtcore.features.presence.roster import RosterPage
from rtcore.features.presence.settings import PresenceSettings
from rtcore.features.presence.workspaces import workspace_channel
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.hub import Hub
from rtcore.hub.registry import Snapshot
from rtcore.hub.subscriber import Subscriber
from rtcore.values.channels import Namespace, Scope, find_own_channel, names_of_channel
from rtcore.values.events import Json
from rtcore.values.identity import DEFAULT_WORKSPACE, Identity
from rtcore.values.positions import Position
from rtcore.values.shown import show

__all__ = ["Presence", "PresentUser"]

_APPLICATION: Final = "application"


class Presence(Feature):
    """
    Args:
        hub: Where it is told, and whose timers are used.
        settings: Times and bounds.
    """

    NAMESPACES: ClassVar[Mapping[str, Namespace]] = {
        # 600 steps of 0.1 s: a client that was away for a minute goes on where it was.
        "presence": Namespace(scope=Scope.WORKSPACE, publish_roles=frozenset(), history_events=600)
    }
    REPLIES: ClassVar = frozenset({"presence.joined", "presence.left", "presence.updated", "presence:online:list"})

    def __init__(self, hub: Hub, settings: PresenceSettings | None = None) -> None:
        self.settings = settings or PresenceSettings()
        self._hub = hub
        self._board = Board(hub, self.settings)
        self._places: dict[Subscriber, Entry] = {}
        """Whom each connection that was ever present speaks for; its key is a number of its own."""
        self._numbers = itertools.count()
        self._stale = Deadlines(hub.timeouts, self.settings.stale_seconds, self._board.remove)
        self._grace = Deadlines(hub.timeouts, self.settings.grace_seconds, self._board.remove)
        self._away = Deadlines(hub.timeouts, self.settings.away_seconds, self._board.set_idle)

    @property
    def commands(self) -> Mapping[str, CommandRule[Any]]:
        return presence_commands(self)

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        return {"presence": self._snapshot}

    def _snapshot(self, identity: Identity, channel: str) -> Json | bytes:
        names = names_of_channel(channel)
        return self.page(names[0]).text() if names is not None and len(names) == 1 else None

    # Who is there

    def online(self, workspace: str = DEFAULT_WORKSPACE) -> list[UserPresence]:
        """Everybody who is online or away in a workspace at this moment, by name."""
        return self._board.online(workspace)

    def user(self, user: str, workspace: str = DEFAULT_WORKSPACE) -> UserPresence:
        """
        How a user appears in a workspace at this moment; offline where nothing is known of him.

        The connections of one who hides are counted here: what may be told to others is `seen_by`.
        """
        return self._board.user(user, workspace)

    def seen_by(self, identity: Identity, user: str, workspace: str) -> UserPresence:
        """How a user appears to a client: to others, one who hides is as one who is not there."""
        seen = self.user(user, workspace)
        # With guests about, `guest:NAME` is one of them and never who has a token of that name: see `user_of`.
        guest = identity.anonymous or (self.settings.guests and user.startswith(GUEST))
        if seen.status == "offline" and (guest or identity.user != user):
            return UserPresence(user=user, status="offline")
        return seen

    def is_hidden(self, user: str, workspace: str) -> bool:
        """Whether a user is there and does not want to be seen."""
        return self._board.is_hidden(user, workspace)

    def when_hidden(self, callback: Callable[[str, str], None]) -> None:
        """Have a function called with the user and the workspace, whenever somebody begins to hide."""
        self._board.hiding.append(callback)

    def page(
        self, workspace: str = DEFAULT_WORKSPACE, *, after: str | None = None, limit: int | None = None
    ) -> RosterPage:
        """
        A page of the list as subscribers have been told it, up to `position`.

        Args:
            workspace: Whose members.
            after: The user that the page before ended with; None: from the beginning.
            limit: Most users; None: `list_users`.

        Raises:
            ValueError: If the limit is not at least 1.
        """
        most = self.settings.list_users if limit is None else limit
        if type(most) is not int or most < 1:
            raise ValueError(f"limit: expected a whole number of at least 1, got {show(most)}")
        return self._board.page(workspace, after, most)

    def position(self, workspace: str = DEFAULT_WORKSPACE) -> Position | None:
        """The position of a workspace's channel that `page` is of; None while nobody was or subscribed there."""
        channel = find_own_channel("presence", workspace)
        return None if channel is None else self._hub.position(channel)

    def statistics(self, *, hidden: bool = True) -> PresenceStatistics:
        """A snapshot; walks over everybody. Not `hidden`: as others see it, without those who hide."""
        return self._board.statistics(hidden=hidden)

    # Connections

    def join(
        self, subscriber: Subscriber, identity: Identity, appearance: Appearance, *, name: str | None = None
    ) -> UserPresence:
        """
        A connection is present from now on, or says something new of its user.

        Args:
            subscriber: The connection; when it ends, so does its presence, after the grace.
            identity: Whose it is.
            appearance: How the user appears through it.
            name: What a client without a token calls itself; None: what it did before.

        Returns:
            How the user appears now.

        Raises:
            RequestError: If it may not be present, or there is no room; then nothing has changed.
        """
        workspace, user = self.workspace_of(identity), self.user_of(subscriber, identity, name)
        before = self._places.get(subscriber)
        same = before is not None and (before.workspace, before.user) == (workspace, user)
        entry = before if before is not None and same else Entry(workspace, user, next(self._numbers))
        self._board.say(entry, appearance)
        if self.settings.away_seconds:
            self._away.renew(entry)
        if not same:
            self._settle(subscriber, entry, before)
        return self.user(user, workspace)

    def _settle(self, subscriber: Subscriber, entry: Entry, before: Entry | None) -> None:
        """Remember whom a connection speaks for, in place of whom it did before."""
        self._places[subscriber] = entry
        if before is None:
            self._hub.when_gone(subscriber, partial(self._gone, subscriber))
        else:
            self._end(before)

    def leave(self, subscriber: Subscriber) -> None:
        """A connection is present no more, at once; idempotent."""
        entry = self._places.get(subscriber)
        if entry is not None:
            self._end(entry)

    def says(self, subscriber: Subscriber) -> Appearance | None:
        """How a user appears through one connection; None where that is not present."""
        entry = self._places.get(subscriber)
        return None if entry is None else self._board.says(entry)

    def _gone(self, subscriber: Subscriber) -> None:
        entry = self._places.pop(subscriber)
        if self.settings.grace_seconds and self._board.linger(entry):
            self._away.discard(entry)
            self._grace.renew(entry)
        else:
            self._end(entry)

    def _end(self, entry: Entry) -> None:
        self._away.discard(entry)
        self._board.remove(entry)

    def workspace_of(self, identity: Identity) -> str:
        """
        The workspace that an identity is present in.

        Raises:
            RequestError: `access.denied`, if there is none.
        """
        workspace_channel("presence", identity.workspace)
        return identity.workspace or ""

    def user_of(self, subscriber: Subscriber, identity: Identity, name: str | None = None) -> str:
        """
        Who a connection's user is to others: the token's, or `guest:NAME`.

        Raises:
            RequestError: If nobody knows.
        """
        if identity.anonymous:
            return self._guest(subscriber, name)
        if name is not None:
            problem = "data.name: the token says who you are; a name is for clients without one"
            raise RequestError(ErrorCode.MALFORMED, problem, field="data.name")
        if self.settings.guests and identity.user.startswith(GUEST):
            raise RequestError(ErrorCode.DENIED, f"a user called {GUEST}... cannot be told from a guest")
        return identity.user

    def _guest(self, subscriber: Subscriber, name: str | None) -> str:
        if not self.settings.guests:
            raise RequestError(ErrorCode.AUTHENTICATION_REQUIRED, "presence needs a token that says who you are")
        entry = self._places.get(subscriber)
        if name is None and entry is not None:
            return entry.user
        if name is None:
            problem = "data.name: missing; without a token, join with a name first"
            raise RequestError(ErrorCode.MALFORMED, problem, field="data.name")
        if not name.isprintable() or name.isspace():
            problem = f"data.name: expected printable characters, got {show(name)}"
            raise RequestError(ErrorCode.MALFORMED, problem, field="data.name")
        return GUEST + name

    # Application code

    def set(
        self,
        user: str,
        *,
        workspace: str = DEFAULT_WORKSPACE,
        status: str = "online",
        page: str | None = None,
        activity: str | None = None,
        source: str = _APPLICATION,
    ) -> None:
        """
        Name a user as present; ends by itself after `stale_seconds` unless it is said again.

        Args:
            user: Who, 1 to 255 characters.
            workspace: Where.
            status: `online`, `away` or `offline`.
            page: Where he is.
            activity: `viewing`, `editing` or `commenting`.
            source: Who says so: of several sources each has an entry of its own, as connections have.

        Raises:
            ValueError: If a value is not acceptable.
            RequestError: If there is no room, or no channel can be named after the workspace.
        """
        workspace_channel("presence", workspace)
        entry = Entry(workspace, _checked(user), source)
        self._board.say(entry, Appearance(status=status, page=page, activity=activity))
        self._stale.renew(entry)

    def unset(self, user: str, *, workspace: str = DEFAULT_WORKSPACE, source: str = _APPLICATION) -> None:
        """Take back what `set` said; idempotent."""
        entry = Entry(workspace, user, source)
        self._stale.discard(entry)
        self._board.remove(entry)

    @asynccontextmanager
    async def present(
        self,
        user: str,
        *,
        workspace: str = DEFAULT_WORKSPACE,
        status: str = "online",
        page: str | None = None,
        activity: str | None = None,
    ) -> AsyncGenerator[PresentUser]:
        """
        A user who is present while the block lasts; arguments and errors as of `set`. No checkpoint.

        Whoever leaves the block, by whatever way, takes the user along.
        """
        workspace_channel("presence", workspace)
        present = PresentUser(self._board, workspace, _checked(user))
        present.show(status=status, page=page, activity=activity)
        try:
            yield present
        finally:
            self._board.remove(present.entry)


class PresentUser:
    """A user whom a block holds present; `Presence.present` makes one."""

    def __init__(self, board: Board, workspace: str, user: str) -> None:
        self._board = board
        self.entry = Entry(workspace, user, self)

    def show(self, *, status: str = "online", page: str | None = None, activity: str | None = None) -> None:
        """
        Say how the user appears from now on, all of it.

        Raises:
            ValueError: If a value is not acceptable.
            RequestError: If there is no room.
        """
        self._board.say(self.entry, Appearance(status=status, page=page, activity=activity))


def _checked(user: str) -> str:
    if not isinstance(user, str):
        raise TypeError(f"user: expected text, got {show(user)}")
    if not is_wire_text(user, USER_LENGTH):
        raise ValueError(f"user: expected 1 to {USER_LENGTH} characters, got {len(user)}")
    return user
