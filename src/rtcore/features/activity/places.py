"""
Which timeline an activity is on: that of those who could see the event.

A timeline is called as the channel on which it is told. For a channel of a workspace, a user, or a user of a workspace
it is theirs. Where a channel needs a role, or is for fewer than its namespace, the timeline is
`channel_activity:CHANNEL` (of its workspace or user, where it is one's), and whoever may read the one may read the
other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from rtcore.features.audience import Audiences
from rtcore.hub.hub import Hub
from rtcore.values.channels import Namespace, Scope, is_channel_name, namespace_of
from rtcore.values.identity import Identity

__all__ = ["NAMESPACES", "OF_CHANNEL", "OWN_CHANNELS", "SHARED", "Places"]

SHARED: Final = "activity"
"""What everybody may see who is admitted."""
OF_CHANNEL: Final = "channel_activity"
"""Where a timeline is for those who may read the channel that its name goes on with."""
_AUDIENCES: Final = Audiences(workspace="workspace_activity", user="user_activity", member="member_activity")
_BY_SCOPE: Final = {
    Scope.SHARED: SHARED,
    Scope.WORKSPACE: _AUDIENCES.workspace,
    Scope.USER: _AUDIENCES.user,
    Scope.MEMBER: _AUDIENCES.member,
}
_NAMES: Final = {Scope.SHARED: 0, Scope.WORKSPACE: 1, Scope.USER: 1, Scope.MEMBER: 2}


NAMESPACES: Final[Mapping[str, Namespace]] = MappingProxyType(
    dict.fromkeys((SHARED, OF_CHANNEL), Namespace(publish_roles=frozenset())) | _AUDIENCES.namespaces()
)
"""Options of the channels on which timelines are told: nobody publishes there from outside."""

OWN_CHANNELS: Final = (
    f"{_AUDIENCES.user}:{{user}}",
    f"{_AUDIENCES.member}:{{workspace}}:{{user}}",
    f"{OF_CHANNEL}:queues:{{workspace}}",
    f"{OF_CHANNEL}:support_chat:{{workspace}}",
)
"""Those of a client, with blanks for its names, beside what it may choose itself; some of them it may not read."""


class Places:
    """
    Args:
        hub: Whose channels are meant; its access rules learn who may read `channel_activity`.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        hub.access.follow(OF_CHANNEL)

    @staticmethod
    def named(workspace: str | None, user: str | None) -> str:
        """The timeline of those who are named; that of everybody, where nobody is. Errors as of `Audiences.channel`."""
        if workspace is None and user is None:
            return SHARED
        return _AUDIENCES.channel(workspace=workspace, user=user)

    def of_event(self, channel: str) -> str | None:
        """The timeline of those who may read a channel; None where nobody may, or it has too long a name for one."""
        if namespace_of(channel) in NAMESPACES:  # what is told of activities is none
            return None
        place = f"{OF_CHANNEL}:{channel}" if self._hub.access.is_restricted(channel) else self._by_namespace(channel)
        return place if place is not None and is_channel_name(place) else None

    def _by_namespace(self, channel: str) -> str | None:
        namespace = self._hub.namespaces.get(namespace_of(channel))
        if namespace is None:
            return SHARED
        count = _NAMES[namespace.scope]
        name, *owners = channel.split(":", count + 1)[: count + 1]
        if len(owners) < count or not all(owners):
            return None
        if namespace.read_roles is not None:
            return ":".join((OF_CHANNEL, name, *owners))
        return ":".join((_BY_SCOPE[namespace.scope], *owners))

    def visible(self, identity: Identity, of_channels: Iterable[str]) -> list[str]:
        """
        The timelines that an identity may see.

        Args:
            identity: Whose rights count.
            of_channels: Those of the namespace `OF_CHANNEL` that there are: which of these one may see is no matter of
                names.
        """
        places = (SHARED, *_AUDIENCES.channels_of(identity), *of_channels)
        return [place for place in places if self._hub.access.can_read(identity, place)]
