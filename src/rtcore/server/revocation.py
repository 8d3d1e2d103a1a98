"""
Tokens and users that are not let in any more, and what ends their connections at once.

A token carries its own proof, so a server that only looks at signatures lets it in until it expires. The list remembers
what was revoked until the token would have expired by itself, and calls back every live connection that it concerns.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from attrs import define, field, frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.server.settings import AuthenticationSettings
from rtcore.values.identity import Identity

__all__ = ["RevocationList", "RevocationStatistics"]

_logger = logging.getLogger(__name__)


@frozen(kw_only=True)
class RevocationStatistics:
    """A snapshot of the list."""

    tokens: int
    """Token ids that are revoked."""
    users: int
    """Users whose older tokens are revoked."""
    tracked: int
    """Live connections that a revocation can end."""
    cancelled: int
    """Connections ended so far."""


@define(eq=False)
class _Tracked:
    cancel: Callable[[], None]
    cancelled: bool = False


@define(eq=False)
class RevocationList:
    """
    What was revoked, and the live connections that it may concern.

    It lives in memory: whoever must keep revocations over a restart makes them again at the start.
    """

    maximum: int = 10_000
    """Most entries at once. A full list refuses more, since to forget one would let its bearer in again."""
    keep_seconds: float = 2_592_000.0
    """How long an entry is kept whose token's end is not known: at least the longest life of a token."""
    leeway_seconds: float = 10.0
    """How long after its end a token is still accepted, so that an entry outlasts its token."""
    clock: Callable[[], float] = time.time
    """Source of the time, in Unix seconds."""
    _tokens: dict[str, float] = field(factory=dict, init=False)
    """Token id to the end of its entry."""
    _users: dict[str, tuple[float, float]] = field(factory=dict, init=False)
    """User to the time of revocation and the end of the entry."""
    _by_token: dict[str, set[_Tracked]] = field(factory=dict, init=False)
    _by_user: dict[str, set[_Tracked]] = field(factory=dict, init=False)
    _tracked: int = field(default=0, init=False)
    _cancelled: int = field(default=0, init=False)

    @classmethod
    def of(cls, settings: AuthenticationSettings, *, clock: Callable[[], float] = time.time) -> RevocationList:
        """An empty list with the bounds that settings ask for."""
        return cls(
            maximum=settings.revocations,
            keep_seconds=settings.revocation_seconds,
            leeway_seconds=settings.leeway_seconds,
            clock=clock,
        )

    def revoke_token(self, token_id: str, *, expires_at: float | None = None) -> int:
        """
        Revoke one token by its `jti`, and end its connections.

        Args:
            token_id: The token's `jti`.
            expires_at: When the token ends by itself, in Unix seconds; None: not known.

        Returns:
            Number of connections that were ended.

        Raises:
            RequestError: `limit.busy` if the list is full; the connections are ended nevertheless.
        """
        ended = self._cancel(self._by_token.get(token_id, ()))
        self._make_room(token_id in self._tokens)
        self._tokens[token_id] = max(self._end(expires_at), self._tokens.get(token_id, 0.0))
        return ended

    def revoke_user(self, user: str) -> int:
        """
        Revoke every token of a user that was issued until now, and end their connections.

        A token without `iat` counts as issued before. `iat` has whole seconds, so a token of this very second is
        refused as well: a moment's wait is better than a door left open.

        Returns:
            Number of connections that were ended.

        Raises:
            RequestError: `limit.busy` if the list is full; the connections are ended nevertheless.
        """
        ended = self._cancel(self._by_user.get(user, ()))
        self._make_room(user in self._users)
        self._users[user] = (self.clock(), self._end(None))
        return ended

    def is_revoked(self, identity: Identity) -> bool:
        """Whether the token of an identity was revoked, by its id or with its user."""
        now = self.clock()
        if identity.token_id is not None and self._tokens.get(identity.token_id, 0.0) > now:
            return True
        revoked_at, end = self._users.get(identity.user, (0.0, 0.0))
        return end > now and (identity.issued_at is None or identity.issued_at <= revoked_at)

    @contextmanager
    def track(self, identity: Identity, cancel: Callable[[], None]) -> Iterator[None]:
        """
        Call `cancel` once if the identity is revoked while the block runs.

        An identity that was revoked between its authentication and this call is cancelled on entry. `cancel` is called
        from within `revoke_*`, so in the same thread, and must not block: it cancels a scope or starts a close.
        """
        tracked = _Tracked(cancel)
        if self.is_revoked(identity):
            self._cancel((tracked,))
        places = [(self._by_user, identity.user)]
        if identity.token_id is not None:
            places.append((self._by_token, identity.token_id))
        for index, name in places:
            index.setdefault(name, set()).add(tracked)
        self._tracked += 1
        try:
            yield
        finally:
            self._tracked -= 1
            for index, name in places:
                index[name].discard(tracked)
                if not index[name]:
                    del index[name]

    def statistics(self) -> RevocationStatistics:
        """A snapshot."""
        self._forget_ended()
        return RevocationStatistics(
            tokens=len(self._tokens), users=len(self._users), tracked=self._tracked, cancelled=self._cancelled
        )

    def _end(self, expires_at: float | None) -> float:
        # One that was given an early end by mistake would come back to life, so the end is never before now.
        now = self.clock()
        return now + self.keep_seconds if expires_at is None else max(expires_at, now) + self.leeway_seconds

    def _cancel(self, concerned: Iterable[_Tracked]) -> int:
        ended = 0
        for tracked in tuple(concerned):  # a callback may leave other blocks, and so change the set
            if tracked.cancelled:
                continue
            tracked.cancelled = True
            ended += 1
            try:
                tracked.cancel()
            except Exception:  # one connection's fault must not save the others from being ended
                _logger.exception("a connection could not be ended after a revocation")
        self._cancelled += ended
        return ended

    def _make_room(self, known: bool) -> None:
        if known or len(self._tokens) + len(self._users) < self.maximum:
            return
        self._forget_ended()
        if len(self._tokens) + len(self._users) >= self.maximum:
            raise RequestError(ErrorCode.BUSY, f"the revocation list is full with revocations={self.maximum}")

    def _forget_ended(self) -> None:
        now = self.clock()
        for token_id in [name for name, end in self._tokens.items() if end <= now]:
            del self._tokens[token_id]
        for user in [name for name, (_, end) in self._users.items() if end <= now]:
            del self._users[user]
