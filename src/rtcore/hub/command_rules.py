"""Commands that features and profiles add to those of the core."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.protocol.wire_fields import read_object
from rtcore.values.events import Json

__all__ = ["CommandRule"]

_T = TypeVar("_T")


@frozen(kw_only=True)
class CommandRule(Generic[_T]):
    """One command: what its data is, who may give it, and what carries it out."""

    value: type[_T]
    """attrs class of its data; the fields are declared with `wire`."""
    handler: Callable[[CommandContext, _T], Reply | Awaitable[Reply] | None]
    """
    Carries it out. Synchronous where nothing has to be awaited: then nothing happens between command and reply. What is
    awaited holds up the client's next commands; None: the answer comes later, by `CommandContext.answer`.
    """
    roles: frozenset[str] | None = None
    """Roles of which the client must have one; None: everyone who is admitted."""

    def run(self, context: CommandContext, data: Json) -> Reply | Awaitable[Reply] | None:
        """
        Carry it out.

        Returns:
            The reply; what is to be awaited for it, by the connection's task; or None: it comes later by itself.

        Raises:
            RequestError: If the client may not, or the data is not acceptable; then nothing has changed.
        """
        if self.roles is not None and self.roles.isdisjoint(context.identity.roles):
            raise RequestError(ErrorCode.DENIED, f"needs one of the roles {', '.join(sorted(self.roles))}")
        return self.handler(context, read_object(data, self.value, path="data"))
