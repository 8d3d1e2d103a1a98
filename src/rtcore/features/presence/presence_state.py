"""
Who is present in one workspace: users, their connections, and what those say.

A user appears as the best that one of his connections says: online before away before offline. Page and activity are
those of the connection with that status which spoke last. A connection that broke may linger, so that a page which is
loaded again takes its place before anybody sees a leave; the next connection of that user replaces the oldest such.

Pure: time is an argument, and what has to happen later is the caller's affair.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Final

from attrs import Factory, define

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.presence.appearance import STATUSES, Appearance, UserPresence

__all__ = ["PresenceState"]

_RANKS: Final = {status: rank for rank, status in enumerate(STATUSES)}


@define(eq=False)
class _Connection:
    says: Appearance
    idle: bool = False
    """It has said nothing for so long that `online` means away."""
    lingering: bool = False
    """It is over, and not yet forgotten."""

    @property
    def status(self) -> str:
        return "away" if self.idle and self.says.status == "online" else self.says.status


@define(eq=False)
class _User:
    connections: dict[Hashable, _Connection] = Factory(dict)
    """By key; those that spoke last stand last."""
    since: float | None = None

    def best(self) -> _Connection:
        """The connection that he appears by: of those with the best status, the last that spoke."""
        return min(reversed(self.connections.values()), key=lambda connection: _RANKS[connection.status])


class PresenceState:
    """
    Args:
        users: Most users at once.
        connections_per_user: Most connections of one user, those that linger not counted.
    """

    def __init__(self, users: int, connections_per_user: int) -> None:
        self._most_users = users
        self._most_connections = connections_per_user
        self._users: dict[str, _User] = {}

    def __len__(self) -> int:
        """Users with a connection, be it one that says offline or lingers."""
        return len(self._users)

    def __iter__(self) -> Iterator[str]:
        return iter(self._users)

    def connections(self, user: str) -> Iterator[bool]:
        """One for each connection of a user: whether it lingers."""
        return (each.lingering for each in self._users[user].connections.values())

    def is_hidden(self, user: str) -> bool:
        """Whether a user is there and does not want to be seen."""
        there = self._users.get(user)
        return there is not None and there.best().status == "offline"

    def says(self, user: str, key: Hashable) -> Appearance | None:
        """What a connection last said; None where it is not present."""
        connection = self._find(user, key)
        return None if connection is None else connection.says

    def say(self, user: str, key: Hashable, appearance: Appearance, now: float) -> None:
        """
        A connection says how its user appears; it is present from now on.

        Args:
            user: Whose connection.
            key: Which connection.
            appearance: What it says.
            now: Unix seconds.

        Raises:
            RequestError: `limit.busy`, if there is no room for another user or connection; then nothing has changed.
        """
        there = self._users.get(user)
        if there is None or key not in there.connections:
            self._make_room(there)
        if there is None:
            there = self._users[user] = _User()
        there.connections.pop(key, None)
        there.connections[key] = _Connection(appearance)
        self._appear(there, now)

    def set_idle(self, user: str, key: Hashable, now: float) -> None:
        """A connection has said nothing for long; the next that it says ends that."""
        connection = self._find(user, key)
        if connection is not None:
            connection.idle = True
            self._appear(self._users[user], now)

    def linger(self, user: str, key: Hashable) -> bool:
        """A connection broke; it still counts until it is removed. Returns whether it is there."""
        connection = self._find(user, key)
        if connection is None:
            return False
        connection.lingering = True
        return True

    def remove(self, user: str, key: Hashable, now: float) -> bool:
        """Forget a connection; returns whether it was there."""
        there = self._users.get(user)
        if there is None or there.connections.pop(key, None) is None:
            return False
        if there.connections:
            self._appear(there, now)
        else:
            del self._users[user]
        return True

    def find(self, user: str) -> UserPresence:
        """How a user appears."""
        there = self._users.get(user)
        if there is None:
            return UserPresence(user=user, status="offline")
        best = there.best()
        live = sum(not each.lingering for each in there.connections.values())
        if best.status == "offline":
            return UserPresence(user=user, status="offline", connections=live)
        return UserPresence(
            user=user,
            status=best.status,
            page=best.says.page,
            activity=best.says.activity,
            since=there.since,
            connections=live,
        )

    def _find(self, user: str, key: Hashable) -> _Connection | None:
        there = self._users.get(user)
        return None if there is None else there.connections.get(key)

    @staticmethod
    def _appear(there: _User, now: float) -> None:
        """Note since when he is there."""
        if there.best().status == "offline":
            there.since = None
        elif there.since is None:
            there.since = now

    def _make_room(self, there: _User | None) -> None:
        if there is None:
            if len(self._users) >= self._most_users:
                raise RequestError(ErrorCode.BUSY, f"the workspace holds its limit of users={self._most_users}")
            return
        lingering = next((key for key, each in there.connections.items() if each.lingering), None)
        if lingering is not None:
            del there.connections[lingering]
        elif len(there.connections) >= self._most_connections:
            limit = f"connections_per_user={self._most_connections}"
            raise RequestError(ErrorCode.BUSY, f"the user is present through the limit of {limit} already")
