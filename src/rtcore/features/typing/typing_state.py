"""
Who is writing in one conversation: users, and through which connections.

Pure, and without time: whoever keeps it says when somebody has stopped.
"""

from __future__ import annotations

from collections.abc import Hashable

from attrs import frozen

__all__ = ["TypingState", "Typists"]


@frozen(kw_only=True)
class Typists:
    """Those who write, as others are told."""

    users: tuple[str, ...] = ()
    """The first so many, in the order in which they began."""
    total: int = 0
    """All of them."""


class TypingState:
    """Nobody at first."""

    def __init__(self) -> None:
        self._users: dict[str, set[Hashable]] = {}

    def __len__(self) -> int:
        """How many users write."""
        return len(self._users)

    def start(self, user: str, key: Hashable) -> bool:
        """A user writes through a connection; returns whether he did not before."""
        keys = self._users.setdefault(user, set())
        began = not keys
        keys.add(key)
        return began

    def stop(self, user: str, key: Hashable) -> bool:
        """A connection's user writes no more through it; returns whether he writes no more at all."""
        keys = self._users.get(user)
        if keys is None or key not in keys:
            return False
        keys.remove(key)
        if keys:
            return False
        del self._users[user]
        return True

    def keys(self, user: str) -> list[Hashable]:
        """Through which connections a user writes."""
        return list(self._users.get(user, ()))

    def typists(self, most: int) -> Typists:
        """Who writes; the first `most` by name."""
        names = tuple(user for user, _ in zip(self._users, range(most), strict=False))
        return Typists(users=names, total=len(self._users))
