"""One activity, and how an event becomes one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from rtcore.values.events import Event, Json, format_timestamp

__all__ = ["Activity", "Description", "clean", "describe", "describe_own"]

_ACTORS: Final = ("actor", "user_id", "by", "agent_id", "agentId", "user")
_ACTORS_OF_NOTIFICATIONS: Final = ("sender", "by")
"""Their `user` is who gets one."""
_TITLES: Final = ("title", "name", "message", "text", "question")
_RELATED: Final = re.compile(r"(\w+_id|\w+Id|id)", re.ASCII)
_TEXT_LENGTH: Final = 200
_RELATED_COUNT: Final = 16
_NAME_LENGTH: Final = 64


@frozen(kw_only=True)
class Activity:
    """Something that happened."""

    sequence: int
    """Number within the hub's life; a newer one has a greater number."""
    timestamp: float
    """Unix seconds."""
    category: str
    type: str
    """Type of the event, or what the application calls it."""
    actor: str | None
    """Who did it; None where nobody in particular did."""
    title: str
    """For people; at most 200 characters."""
    related: Mapping[str, str]
    """Ids of what it has to do with, by their name, such as `task_id`."""
    channel: str | None = None
    """Where the event was published, or would have been if anybody was there; None: it is no event's."""
    offset: int | None = None
    """The event's offset there, to look at the whole of it; None: it is in no history, since nobody was there."""
    words: str = field(init=False, repr=False, eq=False)
    """Title, type, actor and ids in small letters, a line each: what a text is looked for in."""

    @words.default
    def _make_words(self) -> str:
        return "\n".join((self.title, self.type, self.actor or "", *self.related.values())).casefold()

    def document(self) -> dict[str, Json]:
        """As clients are told."""
        return {
            "sequence": self.sequence,
            "timestamp": format_timestamp(self.timestamp),
            "category": self.category,
            "type": self.type,
            "actor": self.actor,
            "title": self.title,
            "related": dict(self.related),
            "channel": self.channel,
            "offset": self.offset,
        }


@frozen
class Description:
    """What an event's data says of it as an activity."""

    actor: str | None
    title: str
    related: Mapping[str, str]


def clean(text: str) -> str:
    """Text that JSON can carry, of at most 200 characters."""
    return text[:_TEXT_LENGTH].encode(errors="replace").decode()


def describe(event: Event) -> Description:
    """Who did it, a title, and the ids in the event's data: its own fields, not those inside of them."""
    data = event.data if isinstance(event.data, dict) else {}
    texts = {name: value for name, value in data.items() if isinstance(value, str) and value}
    actors = _ACTORS_OF_NOTIFICATIONS if event.type.startswith("notification") else _ACTORS
    actor = next((texts[name] for name in actors if name in texts), None)
    title = next((texts[name] for name in _TITLES if name in texts), event.type)
    ids = {name: value for name, value in texts.items() if len(name) <= _NAME_LENGTH and _RELATED.fullmatch(name)}
    return describe_own(title, actor=actor, related=ids)


def describe_own(title: str, *, actor: str | None, related: Mapping[str, str]) -> Description:
    """The same of what an application says: every text is bounded, and so is the number of ids."""
    ids = {clean(name)[:_NAME_LENGTH]: clean(value) for name, value in list(related.items())[:_RELATED_COUNT]}
    return Description(None if actor is None else clean(actor), clean(title), ids)
