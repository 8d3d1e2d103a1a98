"""
Who may read which stream: whoever may read the channel that it is made of, and has one of its roles.

Both must allow, so that giving a stream roles never opens what the channel keeps to itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from rtcore.features.metric_streams.channel_streams import ALERTS, WORKFLOWS
from rtcore.hub.access import AccessRules
from rtcore.values.identity import Identity

__all__ = ["FAMILY", "StreamAccess", "channel_of"]

FAMILY: Final = "streams"
"""Namespace of the streams' channels, and the channel that says which streams there are."""
_MADE_OF: Final[Mapping[str, str]] = MappingProxyType({"flow_executions": WORKFLOWS, "alert_events": ALERTS})


def channel_of(stream: str) -> str:
    """The channel of a stream."""
    return f"{FAMILY}:{stream}"


class StreamAccess:
    """
    Args:
        access: The rules of the hub.
    """

    def __init__(self, access: AccessRules) -> None:
        self._access = access
        self._roles: dict[str, frozenset[str]] = {}
        for name in _MADE_OF:
            self._apply(name, None)

    def restrict(self, name: str, roles: Iterable[str]) -> None:
        """Let only those read a stream who have one of the roles."""
        self._roles[name] = frozenset(roles)
        self._apply(name, self._roles[name])

    def can_read(self, identity: Identity, name: str) -> bool:
        """Whether an identity may read a stream, be there one or not."""
        return self._access.can_read(identity, channel_of(name))

    def readers_can_read(self, channel: str, name: str) -> bool:
        """Whether all who may read a channel may read a stream, too: what it says can then be repeated there."""
        return self._access.readers_can_read(channel, channel_of(name))

    def may_repeat(self, name: str, other: str) -> bool:
        """Whether all who may read a stream may read another one, too."""
        roles = self._roles.get(name)
        return self._access.readers_can_read(channel_of(name), channel_of(other), roles=roles)

    def _apply(self, name: str, roles: frozenset[str] | None) -> None:
        channel = _MADE_OF.get(name)

        def is_readable(identity: Identity) -> bool:
            if channel is not None and not self._access.can_read(identity, channel):
                return False
            return roles is None or not roles.isdisjoint(identity.roles)

        self._access.restrict(channel_of(name), is_readable)
