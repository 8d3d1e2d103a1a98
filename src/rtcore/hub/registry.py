"""
What features add to a hub: commands, state that goes with a subscription, and themselves, to be found by their class.

The hub knows none of them. It keeps what they gave it where sessions, transports and the HTTP side look for it, so that
a feature is joined in one place and works over all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rtcore.values.channels import namespace_of
from rtcore.values.events import Event, Json
from rtcore.values.identity import Identity

if TYPE_CHECKING:  # only named here; a rule knows the hub that it works on
    from rtcore.hub.command_context import CommandContext
    from rtcore.hub.command_rules import CommandRule
    from rtcore.hub.dialect import Dialect

__all__ = ["Attendance", "FeatureRegistry", "Preparation", "Snapshot"]

logger = logging.getLogger("rtcore.hub")

_T = TypeVar("_T")
Snapshot = Callable[[Identity, str], Json | bytes]
"""The state behind a channel, for one who may read it: JSON, or its text where that is kept ready."""
Preparation = Callable[["CommandContext", str], Callable[[], Awaitable[None]] | None]
"""
What has to be awaited until the state behind a channel can be told to a client that subscribes; None: nothing.

Asked again when it was awaited, since what was ready may have gone meanwhile. It must not raise; what it returns may
raise RequestError, and then the client is not subscribed.
"""
Attendance = Callable[[str, bool], None]
"""Told of a channel whether somebody is subscribed to it now; must not block, publish or raise."""


class FeatureRegistry:
    """What has been joined to one hub."""

    def __init__(self) -> None:
        self.commands: dict[str, CommandRule[Any]] = {}
        """By the `type` of their messages; those of the core are not here."""
        self.snapshots: dict[str, Snapshot] = {}
        """By namespace: told in `subscribed`, as of the position that is told with it."""
        self.preparations: dict[str, Preparation] = {}
        """By namespace: what comes before the state is told, where it is not always in memory."""
        self.dialects: dict[str, Dialect] = {}
        """By the name that profiles call them."""
        self.replies: set[str] | None = set()
        """Types of the replies to all these commands; None once a feature has not told its own."""
        self.attendance: dict[str, Attendance] = {}
        """By namespace: told when one of its channels gets its first subscriber, and when the last has gone."""
        self.observers: list[Callable[[Event], None]] = []
        """Called with each event that was published, before it leaves, or mentioned; must not block, and not raise."""
        self._features: dict[type, object] = {}
        self._repeated: list[tuple[str, str]] = []

    def find(self, kind: type[_T]) -> _T | None:
        """The feature of a class, where it was joined."""
        feature = self._features.get(kind)
        return feature if isinstance(feature, kind) else None

    def tell_observers(self, event: Event) -> None:
        """An event was published or mentioned."""
        if self._repeated and (event.channel, event.type) in self._repeated:
            return
        for observe in self.observers:
            try:
                observe(event)
            except Exception:  # one feature's fault must not keep everybody from publishing
                logger.exception("a feature failed to look at an event of type %s", event.type)

    def mention(self, channel: str, type: str, data: Json, timestamp: float) -> None:
        """
        Let features look at an event that is not published, since nobody is there to be told; never blocks.

        It makes no channel and is not encoded: its offset is 0, and no history has it.

        Args:
            channel: Where it would be; who may read there may be told of it.
            type: Kind of event.
            data: What JSON can carry; must not be changed afterwards.
            timestamp: When it happened, in Unix seconds.
        """
        if self.observers:
            self.tell_observers(Event(channel, type, data, timestamp))

    @contextmanager
    def unobserved(self, channel: str, type: str) -> Generator[None]:
        """
        A block without an `await`, in which events of a type repeat on a channel what features have looked at already.

        What else is published meanwhile, by whom a subscriber's end leads to it, they look at.
        """
        self._repeated.append((channel, type))
        try:
            yield
        finally:
            self._repeated.remove((channel, type))

    def tell_attendance(self, channel: str, attended: bool) -> None:
        """A channel got its first subscriber, or its last has gone."""
        told = self.attendance.get(namespace_of(channel))
        if told is not None:
            try:
                told(channel, attended)
            except Exception:  # one feature's fault must not leave others subscribed, or nobody told
                logger.exception("a feature failed to hear of subscribers of %s", channel)

    def join(
        self,
        feature: object,
        *,
        commands: Mapping[str, CommandRule[Any]] | None = None,
        snapshots: Mapping[str, Snapshot] | None = None,
        preparations: Mapping[str, Preparation] | None = None,
        dialects: Mapping[str, Dialect] | None = None,
        attendance: Mapping[str, Attendance] | None = None,
        replies: Iterable[str] | None = None,
        reserved: Iterable[str] = (),
    ) -> None:
        """
        Take a feature in.

        Args:
            feature: Found by its class from now on.
            commands: What it adds to the protocol.
            snapshots: State behind its channels, by namespace.
            preparations: What has to be awaited before that state can be told, by namespace.
            dialects: What clients of its own kind speak, by name.
            attendance: What is to be told who listens to its channels, by namespace.
            replies: Types of the replies to its commands, those of its dialects too; None: not told.
            reserved: Commands that the protocol has already.

        Raises:
            ValueError: If one of its class is here already, or a name of its is taken.
        """
        kind = type(feature)
        if kind in self._features:
            raise ValueError(f"a feature {kind.__name__} has been joined already")
        commands, snapshots, dialects, attendance = commands or {}, snapshots or {}, dialects or {}, attendance or {}
        taken = (
            (commands.keys() & (self.commands.keys() | set(reserved)))
            | (snapshots.keys() & self.snapshots.keys())
            | (dialects.keys() & self.dialects.keys())
            | (attendance.keys() & self.attendance.keys())
        )
        if taken:
            raise ValueError(f"{kind.__name__}: taken already: {', '.join(sorted(taken))}")
        if replies is None and (commands or dialects):
            self.replies = None
        elif self.replies is not None:
            self.replies.update(replies or ())
        self._features[kind] = feature
        self.commands.update(commands)
        self.snapshots.update(snapshots)
        self.preparations.update(preparations or {})
        self.dialects.update(dialects)
        self.attendance.update(attendance)
