"""How somebody appears: what a connection says of its user, and what comes of all his connections."""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from rtcore.protocol.json_codec import json_kept
from rtcore.values.events import Json, format_timestamp
from rtcore.values.rules import one_of, optional, text

__all__ = [
    "ACTIVITIES",
    "GUEST",
    "PAGE_LENGTH",
    "SHOWN_LENGTH",
    "STATUSES",
    "USER_LENGTH",
    "Appearance",
    "UserPresence",
    "is_wire_text",
]

STATUSES: Final = ("online", "away", "offline")
"""The best first: that is the one of a user who has several connections."""

ACTIVITIES: Final = ("viewing", "editing", "commenting")

PAGE_LENGTH: Final = 255
"""Longest page, in characters."""

USER_LENGTH: Final = 255
"""Longest user, in characters: as in tokens."""

GUEST: Final = "guest:"
"""What stands before the name of a client without a token."""

SHOWN_LENGTH: Final = len(GUEST) + USER_LENGTH
"""Longest name of anybody who is present, in characters."""


def is_wire_text(value: str, most: int) -> bool:
    """Whether a text has 1 to `most` characters, and JSON can carry it: a lone surrogate is no character."""
    return 0 < len(value) <= most and not any("\ud800" <= character <= "\udfff" for character in value)


_PAGE: Final = optional(
    text(f"text of 1 to {PAGE_LENGTH} characters", lambda value: is_wire_text(value, PAGE_LENGTH))
)


@frozen(kw_only=True)
class Appearance:
    """
    What one connection says of its user.

    Raises:
        ValueError: Naming the field, and what it may be.
    """

    status: str = field(default="online", validator=one_of(*STATUSES))
    page: str | None = field(default=None, validator=_PAGE)
    activity: str | None = field(default=None, validator=optional(one_of(*ACTIVITIES)))


@frozen(kw_only=True)
class UserPresence:
    """A user as others see him, whatever the number of his connections."""

    user: str
    status: str
    """`online`, `away` or `offline`."""
    page: str | None = None
    """Where he is, in words of the application."""
    activity: str | None = None
    """`viewing`, `editing` or `commenting`."""
    since: float | None = None
    """When he came, in Unix seconds; None: he is offline."""
    connections: int = field(default=0, eq=False)
    """Through how many connections; one more or less is no news to others."""

    def record(self) -> dict[str, Json]:
        """What others are told."""
        return {
            "user_id": self.user,
            "status": self.status,
            "page": self.page,
            "activity": self.activity,
            "since": None if self.since is None else format_timestamp(self.since),
        }

    def text(self) -> bytes:
        """The same as JSON text."""
        return json_kept(self.record())
