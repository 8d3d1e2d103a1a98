"""
Channel names, and what a namespace says of the channels under it.

A channel of a user or workspace has their names in its own: `notifications:WORKSPACE:USER`. These come from tokens and
may be any text, an e-mail address or a name of another script. So each is written as a part (`channel_part`): a name
that needs no escaping as it is, in another one each byte of UTF-8 that may not stand there as `~` and two hexadecimal
digits. There is exactly one part for a name and one name for a part, and none has a colon: whatever somebody is called,
his channels are nobody else's. Everything but names of channels has the names themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any, Final

from attrs import evolve, field, fields, frozen, validators

from rtcore.values.shown import show

__all__ = [
    "CHANNEL_NAME_LENGTH",
    "Namespace",
    "Overflow",
    "Scope",
    "channel_part",
    "check_channel_name",
    "find_own_channel",
    "is_channel_name",
    "name_of_part",
    "names_of_channel",
    "namespace_of",
    "own_channel",
]

CHANNEL_NAME_LENGTH: Final = 255
"""Longest channel name, in characters (all ASCII, so bytes too)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:~-]*", re.ASCII)
_matches = _NAME.fullmatch

_is_plain = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII).fullmatch
_ESCAPED = re.compile(rb"~([0-9A-F]{2})")
_WRITTEN: Final = tuple(chr(byte) if _is_plain(chr(byte)) else f"~{byte:02X}" for byte in range(256))
"""How each byte of a name is written in a part."""


def check_channel_name(name: str) -> str:
    """
    Return the name if it may be a channel's: 1 to 255 of `A-Z a-z 0-9 _ . : ~ -`, the first a letter or digit.

    The alphabet is narrow so that a name can stand in a URL, a log line or a page without escaping. For names of users
    and workspaces, see `channel_part`.

    Raises:
        ValueError: If it may not; the message repeats 60 characters of the name at most, escaped.
    """
    if len(name) > CHANNEL_NAME_LENGTH:
        raise ValueError(f"channel name of {len(name)} characters exceeds the limit of {CHANNEL_NAME_LENGTH}")
    if not _matches(name):
        wanted = "letters, digits, '_', '.', ':', '~' or '-', and begin with a letter or digit"
        raise ValueError(f"channel name must be {wanted}, got {show(name)}")
    return name


def is_channel_name(name: str) -> bool:
    """Whether `check_channel_name` accepts it."""
    return len(name) <= CHANNEL_NAME_LENGTH and _matches(name) is not None


def namespace_of(channel: str) -> str:
    """The part of a channel name before its first colon; the whole name where there is none."""
    return channel.partition(":")[0]


def channel_part(name: str) -> str:
    """
    A name of a user or workspace as one part of a channel's name: `ada@example.com` is `ada~40example.com`.

    Bytes of its UTF-8 other than letters, digits, `_`, `.` and `-` are written as `~` and two upper-case hexadecimal
    digits; so a name of those alone stays as it is. No two names have the same part.

    Args:
        name: At least one character. How long it may be depends on the channel; see `own_channel`.

    Returns:
        1 to 3 characters for each byte of its UTF-8. It may begin with `~`, so it stands behind a namespace.

    Raises:
        ValueError: If it is empty, or holds a lone surrogate, which UTF-8 cannot carry.

    Source: RFC 3986, sections 2.1 and 2.3, with `~` in the place of `%`.
    """
    if _is_plain(name):
        return name
    if not name:
        raise ValueError("an empty name has no channel")
    try:
        return "".join([_WRITTEN[byte] for byte in name.encode()])
    except UnicodeEncodeError as error:
        raise ValueError("a name with a lone surrogate has no channel: UTF-8 cannot carry it") from error


def name_of_part(part: str) -> str:
    """
    The name that `channel_part` wrote so.

    Raises:
        ValueError: If it writes no name so: there is a `~` without two upper-case hexadecimal digits, an escape for
            what needs none, what needs one without it, or bytes that are not UTF-8.
    """
    if _is_plain(part):
        return part
    try:
        name = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), part.encode()).decode()
        if channel_part(name) == part:
            return name
    except ValueError:  # a part of bytes that are not UTF-8; said below
        pass
    raise ValueError("not a name as channel_part writes it: '~' and two upper-case digits for each byte that needs it")


def own_channel(namespace: str, *names: str) -> str:
    """
    The channel of a user or workspace, such as `notifications:WORKSPACE:USER`.

    Args:
        namespace: Its first part, as it is.
        names: Whose, as tokens have them.

    Raises:
        ValueError: If a name has no part in a channel's, or the channel would be longer than 255 characters.
    """
    return check_channel_name(":".join((namespace, *map(channel_part, names))))


def find_own_channel(namespace: str, *names: str | None) -> str | None:
    """What `own_channel` returns; None where a name is missing, or there is no such channel."""
    try:
        return own_channel(namespace, *[name or "" for name in names])
    except ValueError:
        return None


def names_of_channel(channel: str) -> tuple[str, ...] | None:
    """The names in a channel of a user or workspace, or in one below it; None where a part stands for no name."""
    try:
        return tuple(map(name_of_part, channel.split(":")[1:]))
    except ValueError:
        return None


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
    """Whom the second part of a channel's name binds it to: a name as `channel_part` writes it."""

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
    """Roles of which a client that publishes must have one; None: everyone who is admitted; on a server with keys,
    with a token."""

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
