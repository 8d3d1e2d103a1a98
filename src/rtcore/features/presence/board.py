"""
Who is present in all workspaces, and the telling of it.

Entries come and go; what that changes in the eyes of others is published in steps, one for each workspace and interval,
and only then does the list say so too. So list and channel are always of one and the same position.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import Final

from attrs import Factory, define, frozen

from rtcore.errors import HubClosed, RequestError
from rtcore.features.pacing import Pace
from rtcore.features.presence.appearance import Appearance, UserPresence
from rtcore.features.presence.presence_diff import changes, parts
from rtcore.features.presence.presence_state import PresenceState
from rtcore.features.presence.roster import Roster, RosterPage
from rtcore.features.presence.settings import PresenceSettings
from rtcore.hub.hub import Hub
from rtcore.values.channels import own_channel

__all__ = ["Board", "Entry", "PresenceStatistics"]

_logger = logging.getLogger(__name__)

_NOBODY: Final = Roster().page(None, 1, 0)


@frozen
class Entry:
    """One connection of a user, or one source in this process that speaks of him."""

    workspace: str
    user: str
    key: Hashable


@frozen(kw_only=True)
class PresenceStatistics:
    """A snapshot of everybody who is present."""

    workspaces: int
    """Workspaces in which somebody is, or has just left."""
    users: int
    """Users with a connection in one of them, counted in each."""
    connections: int
    """Connections that are present, and entries that application code made."""
    lingering: int
    """Connections that broke and are shown for the rest of their grace."""


@define(eq=False)
class _Workspace:
    state: PresenceState
    roster: Roster = Factory(Roster)
    changed: dict[str, None] = Factory(dict)
    """Users of whom there may be something new to tell."""
    failing: bool = False
    """The last try to tell it failed."""


class Board:
    """
    Args:
        hub: Where it is told, and whose timers are used.
        settings: Times and bounds.
    """

    def __init__(self, hub: Hub, settings: PresenceSettings) -> None:
        self._hub = hub
        self._settings = settings
        self._workspaces: dict[str, _Workspace] = {}
        self.hiding: list[Callable[[str, str], None]] = []
        """Called with each user who begins to hide, and his workspace."""
        self._pace: Pace[str] = Pace(hub.timeouts, settings.update_seconds, self._tell)

    # Entries

    def say(self, entry: Entry, appearance: Appearance) -> None:
        """
        A user is present by an entry from now on, and appears so.

        Raises:
            RequestError: `limit.busy`, if there is no room; then nothing has changed.
        """
        there = self._workspaces.get(entry.workspace)
        if there is None:
            there = _Workspace(PresenceState(self._settings.users, self._settings.connections_per_user))
        before = there.state.is_hidden(entry.user)
        there.state.say(entry.user, entry.key, appearance, self._hub.clock())
        self._workspaces[entry.workspace] = there
        self._changed(entry, before)

    def remove(self, entry: Entry) -> None:
        """Forget an entry; idempotent."""
        there = self._workspaces.get(entry.workspace)
        before = there is not None and there.state.is_hidden(entry.user)
        if there is not None and there.state.remove(entry.user, entry.key, self._hub.clock()):
            self._changed(entry, before)

    def linger(self, entry: Entry) -> bool:
        """An entry's connection broke; it still counts until it is removed. Returns whether it is there."""
        there = self._workspaces.get(entry.workspace)
        return there is not None and there.state.linger(entry.user, entry.key)

    def set_idle(self, entry: Entry) -> None:
        """An entry has said nothing for long."""
        there = self._workspaces.get(entry.workspace)
        if there is not None:
            there.state.set_idle(entry.user, entry.key, self._hub.clock())
            self._changed(entry, there.state.is_hidden(entry.user))  # who is away does not hide

    # Looking

    def says(self, entry: Entry) -> Appearance | None:
        """What an entry last said; None where it is not there."""
        there = self._workspaces.get(entry.workspace)
        return None if there is None else there.state.says(entry.user, entry.key)

    def online(self, workspace: str) -> list[UserPresence]:
        """Everybody who is online or away, as of now, by name."""
        there = self._workspaces.get(workspace)
        seen = [] if there is None else [there.state.find(user) for user in sorted(there.state)]
        return [each for each in seen if each.status != "offline"]

    def user(self, user: str, workspace: str) -> UserPresence:
        """How a user appears, as of now."""
        there = self._workspaces.get(workspace)
        return UserPresence(user=user, status="offline") if there is None else there.state.find(user)

    def is_hidden(self, user: str, workspace: str) -> bool:
        """Whether a user is there and does not want to be seen."""
        there = self._workspaces.get(workspace)
        return there is not None and there.state.is_hidden(user)

    def page(self, workspace: str, after: str | None, most: int) -> RosterPage:
        """A page of the list, as it was told."""
        there = self._workspaces.get(workspace)
        return _NOBODY if there is None else there.roster.page(after, most, self._hub.limits.replay_bytes)

    def statistics(self, *, hidden: bool) -> PresenceStatistics:
        """A snapshot; walks over everybody. Not `hidden`: as if those who hide were not there."""
        states = [there.state for there in self._workspaces.values()]
        seen = [[user for user in state if hidden or not state.is_hidden(user)] for state in states]
        lingering = [
            each
            for state, users in zip(states, seen, strict=True)
            for user in users
            for each in state.connections(user)
        ]
        return PresenceStatistics(
            # One without a user is about to tell that the last has left.
            workspaces=sum(bool(users) or hidden or not len(state) for state, users in zip(states, seen, strict=True)),
            users=sum(map(len, seen)),
            connections=lingering.count(False),
            lingering=lingering.count(True),
        )

    # Telling

    def _changed(self, entry: Entry, was_hidden: bool) -> None:
        there = self._workspaces[entry.workspace]
        there.changed[entry.user] = None
        self._pace.changed(entry.workspace)
        if not was_hidden and there.state.is_hidden(entry.user):
            for callback in self.hiding:
                callback(entry.user, entry.workspace)

    def _tell(self, workspace: str) -> bool:
        """Publish what is new; returns whether all of it is."""
        there = self._workspaces.get(workspace)
        if there is None:
            return True
        users, there.changed = there.changed, {}
        try:
            self._publish(workspace, there, users)
        except HubClosed:
            return True
        except RequestError as error:  # the hub has no room for the channel just now
            if not there.failing:
                _logger.warning("presence of a workspace cannot be told for now: %s", error)
            there.failing, there.changed = True, users | there.changed
            return False
        there.failing = False
        if not len(there.state) and not len(there.roster):
            del self._workspaces[workspace]
        return True

    def _publish(self, workspace: str, there: _Workspace, users: dict[str, None]) -> None:
        limits, channel = self._hub.limits, own_channel("presence", workspace)
        news = changes(users, there.state, there.roster)
        for part in parts(news, len(there.roster), min(limits.write_bytes, limits.message_bytes // 2)):
            self._hub.publish(channel, part.type, part.data)
            for change in part.changes:
                change.apply(there.roster)
