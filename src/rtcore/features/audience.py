"""
Who sees what an application names for somebody: outputs, activities, desks.

What is named says it. A workspace: its members. A user: that user, in whatever workspace a token has him, so that is
right only where no two people have one name. Both: that user of that workspace, and nobody else. Each has a namespace
of its own, and the channels there are for those alone.
"""

from __future__ import annotations

from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.values.channels import Namespace, Scope, channel_part, check_channel_name, find_own_channel
from rtcore.values.identity import Identity

__all__ = ["Audiences"]


@frozen(kw_only=True)
class Audiences:
    """The namespaces of one feature."""

    workspace: str
    """`NAMESPACE:WORKSPACE` is for the members of the workspace."""
    user: str
    """`NAMESPACE:USER` is for the user."""
    member: str
    """`NAMESPACE:WORKSPACE:USER` is for the user of the workspace."""

    def namespaces(self) -> dict[str, Namespace]:
        """Their options: nobody publishes there from outside."""
        scopes = {self.workspace: Scope.WORKSPACE, self.user: Scope.USER, self.member: Scope.MEMBER}
        return {name: Namespace(scope=scope, publish_roles=frozenset()) for name, scope in scopes.items()}

    def channel(self, *, workspace: str | None, user: str | None) -> str:
        """
        The channel of those who are named.

        Raises:
            RequestError: If there can be no such channel; its field is the name that is at fault.
            ValueError: If nobody is named.
        """
        if workspace is None and user is None:
            raise ValueError("expected a workspace, a user, or both")
        channel = self.workspace if user is None else self.user if workspace is None else self.member
        for field, name in (("workspace", workspace), ("user", user)):
            if name is not None:
                try:
                    channel = check_channel_name(f"{channel}:{channel_part(name)}")
                except ValueError as error:
                    raise RequestError(ErrorCode.MALFORMED, f"{field}: {error}", field=field) from error
        return channel

    def channels_of(self, identity: Identity) -> list[str]:
        """The channels that are an identity's: of the user in the workspace, of the user, of the workspace."""
        own = (
            find_own_channel(self.member, identity.workspace, identity.user),
            find_own_channel(self.user, identity.user),
            find_own_channel(self.workspace, identity.workspace),
        )
        return [channel for channel in own if channel is not None]
