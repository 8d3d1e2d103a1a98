"""
Who may read a channel, and who may publish on it.

A namespace decides by two rules, and both must allow. Its scope binds `name:WHO` and everything below it to one
workspace or one user, or `name:WORKSPACE:USER` to one user of one workspace; its roles say which of those may read or
publish. What no namespace names has the defaults of `Namespace`: everyone who is admitted reads, publishers and
administrators publish.

No role stands above a scope, so that users and workspaces stay apart whoever configures the roles. The part of the name
between the first colon and the second is compared as a whole, with the identity's name as `channel_part` writes it and
never as it is: a user `a~40b` has the channels of `a~7E40b`, and those of `a@b` are another's.

A channel may be for fewer than its namespace allows (`AccessRules.restrict`, `AccessRules.follow`), never for more.

Code in the server's own process is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from attrs import evolve

from rtcore.errors import ErrorCode, RequestError
from rtcore.values.channels import Namespace, Scope, channel_part, namespace_of
from rtcore.values.identity import ANONYMOUS, NOBODY, Identity

__all__ = ["AccessRules"]

_DEFAULT: Final = Namespace()
_SHARED: Final = Scope.SHARED


class AccessRules:
    """
    The rules of a hub's namespaces.

    Args:
        namespaces: Options by namespace name; read at every check, so a change of the mapping holds at once.
    """

    __slots__ = ("_following", "_namespaces", "_restrictions")

    def __init__(self, namespaces: Mapping[str, Namespace]) -> None:
        self._namespaces = namespaces
        self._restrictions: dict[str, Callable[[Identity], bool]] = {}
        self._following: set[str] = set()

    def restrict(self, channel: str, readable: Callable[[Identity], bool]) -> None:
        """
        Let only some of those read one channel who may by its namespace.

        Args:
            channel: Its name. It stays restricted until it is restricted otherwise, with or without subscribers.
            readable: Whether an identity may.
        """
        self._restrictions[channel] = readable

    def is_restricted(self, channel: str) -> bool:
        """Whether `restrict` was called for a channel."""
        return channel in self._restrictions

    def follow(self, namespace: str) -> None:
        """Let `NAMESPACE:CHANNEL` be read only by who may read `CHANNEL`."""
        self._following.add(namespace)

    def check_read(self, identity: Identity, channel: str, *, field: str | None = None) -> None:
        """
        Return if the identity may subscribe to the channel and read its history.

        Raises:
            RequestError: `access.denied`. The words are the same whether the channel exists or not.
        """
        if not self.can_read(identity, channel):
            raise RequestError(ErrorCode.DENIED, "not allowed to read this channel", field=field)

    def check_publish(self, identity: Identity, channel: str, *, field: str | None = None) -> None:
        """
        Return if the identity may publish on the channel. It need not be allowed to read there.

        Raises:
            RequestError: `access.denied`. The words are the same whether the channel exists or not.
        """
        if not self.can_publish(identity, channel):
            raise RequestError(ErrorCode.DENIED, "not allowed to publish on this channel", field=field)

    def can_read(self, identity: Identity, channel: str) -> bool:
        """Whether `check_read` returns."""
        name = namespace_of(channel)
        namespace = self._namespaces.get(name, _DEFAULT)
        if not (_in_scope(namespace.scope, identity, channel) and _has_role(namespace.read_roles, identity)):
            return False
        if name in self._following:
            followed = channel[len(name) + 1 :]
            if not followed or not self.can_read(identity, followed):
                return False
        restriction = self._restrictions.get(channel)
        return restriction is None or restriction(identity)

    def readers_can_read(self, channel: str, other: str, *, roles: Iterable[str] | None = None) -> bool:
        """
        Whether everybody who may read one channel, and has no role but for that, may read another one.

        Args:
            channel: Which everybody may read whom its namespace lets.
            other: The other one.
            roles: Of which its readers must have one as well, by what `restrict` was told; None: no more than that.
        """
        needed = _each(self._namespaces.get(namespace_of(channel), _DEFAULT).read_roles)
        readers = [evolve(ANONYMOUS, roles=one | more) for one in needed for more in _each(roles)]
        return all(self.can_read(reader, other) for reader in readers)

    def can_publish(self, identity: Identity, channel: str) -> bool:
        """Whether `check_publish` returns."""
        # In one piece: it is asked for each event that a client publishes.
        namespace = self._namespaces.get(channel.partition(":")[0], _DEFAULT)
        roles = namespace.publish_roles
        if identity is NOBODY if roles is None else roles.isdisjoint(identity.roles):
            return False  # "everyone" means everyone whom the server's keys admit, not whoever reaches an open endpoint
        return namespace.scope is _SHARED or _in_scope(namespace.scope, identity, channel)


def _each(roles: Iterable[str] | None) -> list[frozenset[str]]:
    """One role each; of None, which asks for none, no role."""
    return [frozenset()] if roles is None else [frozenset([role]) for role in roles]


def _has_role(roles: frozenset[str] | None, identity: Identity) -> bool:
    return roles is None or not roles.isdisjoint(identity.roles)


def _in_scope(scope: Scope, identity: Identity, channel: str) -> bool:
    if scope is Scope.SHARED:
        return True
    if scope is Scope.MEMBER:
        # Two workspaces may have a user of the same name: each is somebody else.
        parts = channel.split(":", 3)[1:3]
        return len(parts) == 2 and _is_part(parts[0], identity.workspace) and _is_part(parts[1], identity.user)
    parts = channel.split(":", 2)[1:2]
    return bool(parts) and _is_part(parts[0], identity.workspace if scope is Scope.WORKSPACE else identity.user)


def _is_part(part: str, owner: str | None) -> bool:
    # Nobody owns the empty name: `inbox:` and `inbox::x` are not the channels of whoever has no token.
    if not owner:
        return False
    try:
        return part == channel_part(owner)
    except ValueError:  # an identity of this process's own making; tokens have no lone surrogates
        return False
