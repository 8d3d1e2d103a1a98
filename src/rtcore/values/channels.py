"""Channel names, and what a namespace says of the channels under it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any, Final

from attrs import evolve, field, fields, frozen, validators

__all__ = [
    "CHANNEL_NAME_LENGTH",
    "Namespace",
    "Overflow",
    "Scope",
    "check_channel_name",
    "is_channel_name",
    "namespace_of",
]

CHANNEL_NAME_LENGTH: Final = 255
"""Longest channel name, in characters (all ASCII, so bytes too)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*", re.ASCII)
_matches = _NAME.fullmatch


def check_channel_name(name: str) -> str:
    """
    Return the name if it may be a channel's: 1 to 255 of `A-Z a-z 0-9 _ . : -`, the first a letter or digit.

    The alphabet is narrow so that a name can stand in a URL, a log line or a page without escaping.

    Raises:
        ValueError: If it may not; the message does not repeat the name.
    """
    if len(name) > CHANNEL_NAME_LENGTH:
        raise ValueError(f"channel name of {len(name)} characters exceeds the limit of {CHANNEL_NAME_LENGTH}")
    if not _matches(name):
        raise ValueError("channel name must be letters, digits, '_', '.', ':' or '-', and begin with a letter or digit")
    return name


def is_channel_name(name: str) -> bool:
    """Whether `check_channel_name` accepts it."""
    return len(name) <= CHANNEL_NAME_LENGTH and _matches(name) is not None


def namespace_of(channel: str) -> str:
    """The part of a channel name before its first colon; the whole name where there is none."""
    return channel.partition(":")[0]


class Overflow(Enum):
    """What happens when a subscriber has no room left."""

    DROP_OLDEST = "drop_oldest"
    """The low lane goes first, then the oldest; the subscriber is told exactly what it lost."""
    WAIT = "wait"
    """`Hub.publish_wait` waits until every subscriber has room; a plain `publish` drops the oldest."""
    CONFLATE = "conflate"
    """A newer event with the same key takes the place of one still waiting, then as `DROP_OLDEST`."""
    DISCONNECT = "disconnect"
    """The subscriber is closed as a slow consumer before an event is dropped, and resumes when it comes back."""


class Scope(Enum):
    """Whom the second part of a channel's name binds it to."""

    SHARED = "shared"
    """Nobody: roles alone decide."""
    WORKSPACE = "workspace"
    """`name:WORKSPACE` and `name:WORKSPACE:...` are for the members of that workspace only."""
    USER = "user"
    """`name:USER` and `name:USER:...` are for that user only."""
    MEMBER = "member"
    """`name:WORKSPACE:USER` and `name:WORKSPACE:USER:...` are for that user of that workspace only."""


def _roles(names: Iterable[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


@frozen(kw_only=True)
class Namespace:
    """
    Options of every channel whose name begins with the namespace's.

    A `None` limit takes the server-wide default of `Limits`.
    """

    history_events: int | None = field(default=None, validator=validators.optional(validators.ge(0)))
    """Events kept for replay."""
    history_seconds: float | None = field(default=None, validator=validators.optional(validators.gt(0)))
    """Longest age of an event kept for replay."""
    history_bytes: int | None = field(default=None, validator=validators.optional(validators.gt(0)))
    """Bytes of encoded events kept for replay, per channel."""
    recall_events: int = field(default=0, validator=validators.ge(0))
    """Newest events that a subscriber who names no place in the past is sent first: 1 is the last value."""
    overflow: Overflow = Overflow.DROP_OLDEST
    presence: bool = False
    """Whether the channel keeps a list of who is subscribed to it."""
    scope: Scope = Scope.SHARED
    read_roles: frozenset[str] | None = field(default=None, converter=_roles)
    """Roles of which a reader must have one; None: everyone who is admitted."""
    publish_roles: frozenset[str] | None = field(default=frozenset({"publisher", "admin"}), converter=_roles)
    """Roles of which a client that publishes must have one; None: everyone who is admitted."""

    def over(self, base: Namespace) -> Namespace:
        """
        These options, with those of `base` where these were left at their defaults.

        So whoever gives a feature's namespace a longer history does not open its channels to everybody by the way.
        """
        untouched = Namespace()
        chosen: dict[str, Any] = {  # Any: fields of several types
            each.name: getattr(self, each.name)
            for each in fields(Namespace)
            if getattr(self, each.name) != getattr(untouched, each.name)
        }
        return evolve(base, **chosen)
