"""A channel: its event log, the views over it, and how cursors come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import define

from rtcore._fast import FilterProgram, passing
from rtcore.hub.cursor import Cursor, Loss
from rtcore.hub.encoding import Encoding
from rtcore.hub.entry import Entry
from rtcore.hub.event_log import EventLog, Retention
from rtcore.hub.filters import Filter
from rtcore.hub.results import Batch, PublishOutcome, Subscribed
from rtcore.hub.statistics import ChannelStatistics
from rtcore.hub.subscriber import Subscriber
from rtcore.hub.view import View
from rtcore.values.channels import Namespace, Overflow
from rtcore.values.events import Event
from rtcore.values.limits import Limits
from rtcore.values.positions import FromPosition, LastEvents, Position, Since

__all__ = ["Channel"]

ViewKey = tuple[Filter, Encoding | None, Batch | None]


class Channel:
    """
    Args:
        name: The channel's name, checked.
        namespace: Options of its namespace.
        limits: Defaults for what the namespace leaves open.
        clock: Unix seconds.
    """

    def __init__(self, name: str, namespace: Namespace, limits: Limits, clock: Callable[[], float]) -> None:
        self.name = name
        self.namespace = namespace
        self.log = EventLog(_retention(namespace, limits), clock())
        self.views: dict[ViewKey, View] = {}
        self._groups: _Groups | None = None
        self._limits = limits
        self._clock = clock

    @property
    def subscribers(self) -> int:
        """Cursors in all views."""
        return sum(len(view.cursors) for view in self.views.values())

    @property
    def idle(self) -> bool:
        """Whether nobody is subscribed."""
        return not self.views

    @property
    def crowded(self) -> bool:
        """Whether some subscriber has no room for one more event."""
        return any(cursor.subscriber.backlog.full for view in self.views.values() for cursor in view.behind)

    def statistics(self) -> ChannelStatistics:
        """A snapshot of its subscribers and its history."""
        return ChannelStatistics(
            name=self.name,
            position=Position.at(self.log.epoch, self.log.newest),
            subscribers=self.subscribers,
            views=len(self.views),
            history_events=len(self.log),
            history_bytes=self.log.bytes,
        )

    def append(self, event: Event, appended: Callable[[View, Event], None], memory: int = 0) -> PublishOutcome:
        """
        Put an event into the log and every view that it passes.

        Args:
            event: The next event of this channel.
            appended: Told of each view that took it.
            memory: What it takes, in bytes.
        """
        entry = self.log.append(event, memory)
        matched = queued = dropped = 0
        if self.views and self._groups is None:
            self._groups = _Groups.of(self.views.values())
        # Whoever changes the views meanwhile (an overflow may disconnect a subscriber) leaves these lists as they are.
        for views in self._groups.reached(event) if self._groups is not None else ():
            for view in views:
                view.append(entry)
                matched += len(view.cursors)
                if view.behind:
                    waiting, lost = _queue(view, entry)
                    queued += waiting
                    dropped += lost
                if view.cursors:  # an overflow may just have disconnected the last one
                    appended(view, event)
        return PublishOutcome(event.channel, event.epoch, event.offset, matched, queued, dropped)

    def expire_history(self, now: float) -> None:
        """Keep nothing of the past that is too old at `now`, in Unix seconds, but what is still on its way."""
        self.log.expire(now)
        self._trim_views()

    def forget_history(self) -> None:
        """Keep nothing of the past but what is still on its way to somebody."""
        self.log.clear()
        self._trim_views()

    def _trim_views(self) -> None:
        for view in self.views.values():
            view.forget_past()

    def attach(
        self, subscriber: Subscriber, where: Filter, since: Since | None, batch: Batch | None, *, stateful: bool = False
    ) -> Subscribed:
        """
        Give a subscriber a cursor; what it asked of the past and what is live are one sequence.

        Args:
            stateful: Whether the state behind the channel is told in place of what is left after a position.
        """
        view = self._view(where, subscriber.encoding, batch)
        cursor = Cursor(subscriber, view, next=view.head, overflow=self.namespace.overflow, batch=batch)
        recovered = None
        if since is not None:
            recovered = self._set_back(cursor, since, stateful)
        elif self.namespace.recall_events:
            self._set_back(cursor, LastEvents(self.namespace.recall_events))
        view.join(cursor)
        subscriber.hold(cursor)
        subscriber.added(cursor)
        replayed = view.head - cursor.next + sum(1 for _ in cursor.waiting())
        return Subscribed(channel=self.name, position=cursor.position, recovered=recovered, replayed=replayed)

    def _set_back(self, cursor: Cursor, since: Since, stateful: bool = False) -> bool:
        view = cursor.view
        start = self.log.locate(since, self._clock())
        index = view.index_from(start.offset)
        if start.last is not None:
            index = max(index, view.head - start.last)
        recovered = start.recovered
        if view.head - index > self._limits.replay_events:
            index = view.head - self._limits.replay_events
            recovered = recovered and start.last is not None
        if stateful and not recovered and isinstance(since, FromPosition):
            return False  # who goes on from there would apply what is left to a state that lacks the rest
        if start.settled is not None and isinstance(since, FromPosition) and start.settled.furthest > start.offset - 1:
            self._owe_unsettled(cursor, index, since)
        else:
            cursor.next = index
            cursor.replay_until = view.head
            view.hold_from(index)
        return recovered

    def _owe_unsettled(self, cursor: Cursor, index: int, since: FromPosition) -> None:
        """The asker had been overtaken: some of what follows its oldest debt it has had already."""
        view = cursor.view
        for entry in view.entries(index, view.head):
            if not since.position.settled(entry.event.lane, entry.event.offset):
                cursor.subscriber.backlog.append(cursor, entry, replayed=True)

    def detach(self, cursor: Cursor) -> None:
        """Take a cursor out; the last one takes its view along."""
        view = cursor.view
        view.leave(cursor)
        cursor.subscriber.discard(cursor)
        if not view.cursors:
            self.views.pop((view.where, view.encoding, view.batch), None)
            self._groups = None

    def move(self, cursor: Cursor, where: Filter, batch: Batch | None) -> Cursor:
        """
        Give a subscription another filter or window where it stands: no gap and no repeat.

        Each event is judged by the filter of its publication: what waits is still delivered, and what the old filter
        left out stays left out.
        """
        subscriber = cursor.subscriber
        # The rest of what it is owed may have left the log already, so it moves as it is.
        subscriber.defer(cursor)
        owed = sorted(cursor.waiting(), key=lambda waiting: waiting.sequence)
        self.detach(cursor)
        view = self._view(where, subscriber.encoding, batch)
        moved = Cursor(subscriber, view, next=view.head, overflow=cursor.overflow, batch=batch)
        moved.inherit(cursor)
        for waiting in owed:
            subscriber.backlog.carry(waiting, moved)
        view.join(moved)
        subscriber.hold(moved)
        subscriber.added(moved)
        return moved

    def succeed(self, cursor: Cursor, former: Cursor, *, told: bool) -> None:
        """
        Take over what a former cursor leaves to one that begins elsewhere: of a loss not told of yet, what is not
        given after all.

        Args:
            told: Whether what comes makes good for all of it: the state, or whatever followed a position, or the word
                that it is not there any more.
        """
        if former.loss is not None:
            former.loss = None if told else self._not_given(former.loss, former.view.where, cursor)
        cursor.inherit(former)

    def _not_given(self, loss: Loss, where: Filter, cursor: Cursor) -> Loss | None:
        """What of a loss lies before the place where a cursor begins."""
        settled = cursor.position.offset
        if cursor.overflow is Overflow.CONFLATE:  # the log does not know which events were dropped for newer ones
            return loss.until(settled, None)
        later = self.log.events(settled + 1, self.log.newest + 1)
        return loss.until(settled, (each for each in later if where.matches(each.type, each.channel, each.data)))

    def _view(self, where: Filter, encoding: Encoding | None, batch: Batch | None) -> View:
        key = (where, encoding, batch)
        view = self.views.get(key)
        if view is None:
            view = self.views[key] = View(self.name, self.log, where, encoding, batch, self._clock)
            self._groups = None
        return view


@define(eq=False)
class _Groups:
    """Views by their filter, so that each event is judged once by each distinct one, and none is hashed for it."""

    programs: list[FilterProgram | None] | None
    """None: nothing is left out."""
    views: list[list[View]]

    @classmethod
    def of(cls, views: Iterable[View]) -> _Groups:
        by_filter: dict[Filter, list[View]] = {}
        for view in views:
            by_filter.setdefault(view.where, []).append(view)
        programs = [None if where.everything else where.program for where in by_filter]
        return cls(None if programs == [None] else programs, list(by_filter.values()))

    def reached(self, event: Event) -> list[list[View]]:
        if self.programs is None:
            return self.views
        return [self.views[place] for place in passing(self.programs, event.type, event.channel, event.data)]


def _queue(view: View, entry: Entry) -> tuple[int, int]:
    """Let an event wait for those that are behind: how many had room for it, and how many had not."""
    behind = list(view.behind)
    with_room = sum(cursor.subscriber.queue(cursor, entry) for cursor in behind)
    return with_room, len(behind) - with_room


def _retention(namespace: Namespace, limits: Limits) -> Retention:
    return Retention(
        events=limits.history_events if namespace.history_events is None else namespace.history_events,
        seconds=namespace.history_seconds or limits.history_seconds,
        bytes=namespace.history_bytes or limits.history_bytes,
    )
