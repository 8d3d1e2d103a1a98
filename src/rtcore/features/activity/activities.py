"""
The activity timeline: every feature's events, and what an application records, as something that people can read,
search and take away.

It sees each event after it was published, and those that were not, since nobody was there: what happened does not
depend on who watches. Those of a known category become activities; what comes by the dozen
(progress, output) does not. An activity is for those who could see the event; `places` says which timeline that is.

Nothing is published of an activity while nobody has subscribed to its timeline: an application that has no use for it
pays for a look at each event's type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final

from attrs import frozen

from rtcore.errors import ErrorCode, HubClosed, RequestError
from rtcore.features.activity.activity import Activity, Description, clean, describe, describe_own
from rtcore.features.activity.places import NAMESPACES, OF_CHANNEL, OWN_CHANNELS, Places
from rtcore.features.activity.settings import CATEGORIES, ActivitySettings
from rtcore.features.activity.timeline import ActivityQuery, Timeline, search
from rtcore.features.feature import Feature
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.dialect import Dialect
from rtcore.hub.hub import Hub
from rtcore.hub.registry import Snapshot
from rtcore.protocol.command_fields import read_integer
from rtcore.protocol.wire_fields import Reader, items, text, timestamp, whole_number, wire
from rtcore.values.channels import Namespace, namespace_of
from rtcore.values.events import Event, Json
from rtcore.values.identity import Identity

__all__ = ["Activities", "ActivitySearch", "ActivityStatistics"]

_SEPARATOR: Final = re.compile(r"[.:_]")
_NAMES: Final[Reader[tuple[str, ...]]] = items(text(128), 32)


@frozen(kw_only=True)
class ActivitySearch:
    """What a client looks for; all that is given must be so."""

    category: tuple[str, ...] | None = wire(_NAMES, default=None)
    type: tuple[str, ...] | None = wire(_NAMES, default=None)
    actor: str | None = wire(text(200), default=None)
    related: str | None = wire(text(200), default=None)
    text: str | None = wire(text(200), default=None)
    since: float | None = wire(timestamp, default=None)
    until: float | None = wire(timestamp, default=None)
    before: int | None = wire(whole_number(1, 2**53), default=None)
    limit: int | None = wire(read_integer, default=None)
    """How many it may be depends on what for: see `Activities.page` and `Activities.export`."""

    def query(self) -> ActivityQuery:
        """As the timelines understand it."""
        return ActivityQuery(
            categories=None if self.category is None else frozenset(self.category),
            types=None if self.type is None else frozenset(self.type),
            actor=self.actor,
            related=self.related,
            text=self.text,
            since=self.since,
            until=self.until,
            before=self.before,
        )


@frozen(kw_only=True)
class ActivityStatistics:
    """A snapshot."""

    recorded: int
    """Activities so far."""
    kept: int
    """Activities that can be found."""
    timelines: int
    """Timelines, with the shared one."""


class Activities(Feature):
    """
    Args:
        hub: Whose events are looked at.
        settings: Bounds, and what is an activity.
    """

    NAMESPACES: ClassVar[Mapping[str, Namespace]] = NAMESPACES
    REPLIES: ClassVar = frozenset({"activity.page"})

    def __init__(self, hub: Hub, settings: ActivitySettings | None = None) -> None:
        self._hub = hub
        self.settings = settings or ActivitySettings()
        """What was set of it."""
        self._categories = {**CATEGORIES, **self.settings.categories}
        self._places = Places(hub)
        self._timelines: dict[str, dict[str, Timeline]] = {namespace: {} for namespace in NAMESPACES}
        """By the namespace of their places, so that many of one kind push out none of another; then by place."""
        self._left_out = frozenset(self.settings.left_out)
        self._sequence = 0
        self._category_of_type: dict[str, str | None] = {}
        hub.registry.observers.append(self._observe)

    @property
    def commands(self) -> Mapping[str, CommandRule[Any]]:
        """`activity.search`."""
        return {"activity.search": CommandRule(value=ActivitySearch, handler=self._handle_search)}

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """The newest activities of a timeline."""
        return dict.fromkeys(NAMESPACES, self._snapshot)

    @property
    def dialects(self) -> Mapping[str, Dialect]:
        """`activity`: `rtcore`, and a client is subscribed to the timelines that are its own."""
        return {"activity": Dialect(optional_channels=OWN_CHANNELS)}

    def record(
        self,
        category: str,
        type: str,
        title: str,
        *,
        actor: str | None = None,
        related: Mapping[str, str] | None = None,
        workspace: str | None = None,
        user: str | None = None,
    ) -> Activity:
        """
        Put an activity of the application's own on a timeline; never blocks.

        Args:
            category: For filters.
            type: What happened, such as `invoice.sent`.
            title: For people.
            actor: Who did it.
            related: Ids of what it has to do with, by name.
            workspace: Whose members may see it; None, and no user: everybody.
            user: The one who may see it: in that workspace only, or, where none is named, in any.

        Raises:
            RequestError: If there can be no timeline of that workspace or user.
        """
        place = self._places.named(workspace, user)
        what = describe_own(title, actor=actor, related=related or {})
        return self._add(place, clean(category), clean(type), self._hub.clock(), what, None)

    def search(
        self, query: ActivityQuery, *, identity: Identity | None = None, limit: int | None = None
    ) -> list[Activity]:
        """
        The newest activities that are looked for, newest first.

        Args:
            query: What for.
            identity: Who looks: only what that one may see is found. None: everything.
            limit: Most activities; by default a page.
        """
        return search(self._visible(identity), query, limit or self.settings.page)[0]

    def export(self, wanted: ActivitySearch, identity: Identity, *, field: str = "data.limit") -> list[Activity]:
        """
        What a client takes away, newest first: up to the setting `exported`.

        Raises:
            RequestError: If it asks for more, or for none; `field` is what it calls the number.
        """
        limit = _limit(wanted.limit, "exported", self.settings.exported, field)
        return self.search(wanted.query(), identity=identity, limit=limit)

    def statistics(self) -> ActivityStatistics:
        """A snapshot."""
        return ActivityStatistics(recorded=self._sequence, kept=sum(map(len, self._all())), timelines=len(self._all()))

    def page(self, wanted: ActivitySearch, identity: Identity, *, field: str = "data.limit") -> dict[str, Json]:
        """A page of what a client looks for: up to the setting `page`. Errors as of `export`."""
        limit = _limit(wanted.limit, "page", self.settings.page, field)
        found, more = search(self._visible(identity), wanted.query(), limit)
        return {"activities": [activity.document() for activity in found], "more": more}

    # From events

    def _observe(self, event: Event) -> None:
        try:
            category = self._category_of_type[event.type]
        except KeyError:
            category = self._judge(event.type)
        if category is None:
            return
        place = self._places.of_event(event.channel)
        if place is not None:
            self._add(place, category, event.type, event.timestamp, describe(event), event)

    def _judge(self, type: str) -> str | None:
        ends = [found.start() for found in _SEPARATOR.finditer(type)]
        beginnings = (type[:end] for end in (len(type), *reversed(ends)))
        known = (self._categories[beginning] for beginning in beginnings if beginning in self._categories)
        last = type[ends[-1] + 1 :] if ends else type
        category = None if {type, last} & self._left_out else next(known, None)
        if len(self._category_of_type) < self._hub.limits.event_types:
            self._category_of_type[type] = category
        return category

    def _add(
        self, place: str, category: str, type: str, when: float, what: Description, event: Event | None
    ) -> Activity:
        self._sequence += 1
        activity = Activity(
            sequence=self._sequence,
            timestamp=when,
            category=category,
            type=type,
            actor=what.actor,
            title=what.title,
            related=what.related,
            channel=None if event is None else event.channel,
            offset=(event.offset or None) if event is not None else None,
        )
        self._timeline(place).append(activity)
        if self._hub.position(place) is not None:  # somebody is or was there
            with suppress(HubClosed, RequestError):  # no channel is free just now: a search finds it all the same
                self._hub.publish(place, "activity", activity.document())
        return activity

    def _timeline(self, place: str) -> Timeline:
        kind = self._timelines[namespace_of(place)]
        timeline = kind.pop(place, None) or Timeline(self.settings.kept)
        kind[place] = timeline  # last: the one that was quiet for longest is first
        if len(kind) > self.settings.timelines:
            del kind[next(iter(kind))]
        return timeline

    def _find(self, place: str) -> Timeline | None:
        return self._timelines[namespace_of(place)].get(place)

    def _all(self) -> list[Timeline]:
        return [timeline for kind in self._timelines.values() for timeline in kind.values()]

    # For clients

    def _visible(self, identity: Identity | None) -> list[Timeline]:
        if identity is None:
            return self._all()
        found = map(self._find, self._places.visible(identity, self._timelines[OF_CHANNEL]))
        return [timeline for timeline in found if timeline is not None]

    def _snapshot(self, identity: Identity, channel: str) -> Json:
        timeline = self._find(channel)
        found, more = ([], False) if timeline is None else search([timeline], ActivityQuery(), self.settings.page)
        return {"activities": [activity.document() for activity in found], "more": more}

    def _handle_search(self, context: CommandContext, command: ActivitySearch) -> Reply:
        return Reply("activity.page", self.page(command, context.identity))


def _limit(wanted: int | None, setting: str, most: int, field: str) -> int:
    if wanted is not None and not 1 <= wanted <= most:
        message = f"{field}: expected a whole number from 1 to {setting}={most}, got {wanted}"
        raise RequestError(ErrorCode.MALFORMED, message, field=field)
    return most if wanted is None else wanted
