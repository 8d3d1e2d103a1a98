"""
The hub: where events come in and find those who want them.

Everything but waiting is synchronous: between two checkpoints nothing changes, so nothing is locked. The hub is used
from the thread of its Trio run; other threads go through `trio.from_thread`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import trio

from rtcore.errors import ErrorCode, HubClosed, RequestError
from rtcore.hub.access import AccessRules
from rtcore.hub.broadcaster import Broadcaster
from rtcore.hub.channel import Channel
from rtcore.hub.channel_register import ChannelRegister
from rtcore.hub.counters import Counters
from rtcore.hub.entry import memory_of
from rtcore.hub.farewells import Farewells
from rtcore.hub.filters import MATCH_ALL, Filter, compile_filter
from rtcore.hub.latency import LatencyHistogram
from rtcore.hub.publication import check_publication, check_size
from rtcore.hub.registry import FeatureRegistry
from rtcore.hub.replay import read_history
from rtcore.hub.results import Batch, HistoryPage, PublishOutcome, Range, Subscribed
from rtcore.hub.statistics import ChannelStatistics, HubStatistics
from rtcore.hub.statistics_collection import collect_statistics
from rtcore.hub.subscriber import Subscriber
from rtcore.hub.subscription import Subscription
from rtcore.hub.timeouts import TimeoutWatcher
from rtcore.protocol.envelope import encode_event_body
from rtcore.values.channels import Namespace, Overflow, check_channel_name, namespace_of
from rtcore.values.events import Event, Json, Lane, default_lane
from rtcore.values.limits import Limits
from rtcore.values.positions import FromPosition, Position, Since

__all__ = ["Hub"]

_DEFAULT_NAMESPACE = Namespace()
_OWN_NAMESPACES = {
    # Who is connected is nobody's business but the operator's, and no client may make it up.
    "connections": Namespace(read_roles=frozenset({"admin"}), publish_roles=frozenset()),
}


class Hub:
    """
    Channels, their subscribers, and what passes between them.

    Args:
        limits: Bounds on everything.
        namespaces: Options by the first part of a channel's name; others take the defaults.
        clock: Unix seconds; a test's virtual clock goes here.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        namespaces: Mapping[str, Namespace] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits or Limits()
        self.namespaces = dict(namespaces or {})
        self.add_namespaces(_OWN_NAMESPACES)
        self.clock = clock
        self.access = AccessRules(self.namespaces)
        self.counters = Counters(latency=LatencyHistogram(maximum_types=self.limits.event_types))
        self.timeouts = TimeoutWatcher()
        self.broadcaster = Broadcaster(self.timeouts, self.counters, clock, self.limits.write_bytes)
        self._channels = ChannelRegister(self.limits)
        self.registry = FeatureRegistry()
        """The features that were joined to it, and what they added."""
        self._subscribers: dict[Subscriber, None] = {}
        self._farewells = Farewells()
        self._room = trio.lowlevel.ParkingLot()
        self._nursery: trio.Nursery | None = None
        self._closed = False

    def add_namespaces(self, defaults: Mapping[str, Namespace]) -> None:
        """Namespaces of a feature; what was set for them by hand stays, field by field."""
        for name, options in defaults.items():
            given = self.namespaces.get(name)
            self.namespaces[name] = options if given is None else given.over(options)

    # Publishing

    def publish(
        self, channel: str, type: str, data: Json, *, lane: Lane | None = None, key: str | None = None
    ) -> PublishOutcome:
        """
        Put an event on a channel; never blocks.

        Args:
            channel: 1 to 255 characters of the strict alphabet; made when it is new.
            type: Kind of event, such as `task.progress`.
            data: What JSON can carry.
            lane: Priority; by default that of the type.
            key: Conflation key.

        Raises:
            RequestError: If the channel's name, the type, the key or the data are not acceptable.
            HubClosed: If the hub has ended.
        """
        self._check_open()
        there = self._channels.get(channel) or self._new_channel(channel)
        limits, log = self.limits, there.log
        check_publication(type, key, limits)
        now = self.clock()
        timestamp = now if now > log.last_timestamp else log.last_timestamp
        offset = log.newest + 1
        body = encode_event_body(channel, type, data, timestamp, offset, key)
        check_size(body, limits)
        if lane is None:
            lane = default_lane(type)
        event = Event(channel, type, data, timestamp, offset, log.epoch, lane, key, body)
        self._channels.keep_for_publisher(there)  # only now: what is refused must leave nothing behind
        self.counters.count_published(type, limits.event_types)
        memory = memory_of(body)
        outcome = there.append(event, self.broadcaster.appended, memory)
        self._channels.history.published(memory, now)
        if self.registry.observers:
            self.registry.tell_observers(event)
        return outcome

    async def publish_wait(
        self, channel: str, type: str, data: Json, *, lane: Lane | None = None, key: str | None = None
    ) -> PublishOutcome:
        """
        Publish as the channel's overflow rule says, waiting for room where the rule is to wait; a checkpoint.

        Cancelled while it waits, it has published nothing. It waits no longer than a slow subscriber may live
        (`Limits.slow_consumer_seconds`), since that one is then closed.

        Raises:
            RequestError, HubClosed: As `publish`.
        """
        await trio.lowlevel.checkpoint()
        if self._namespace(channel).overflow is Overflow.WAIT:
            await self.wait_room(channel)
        return self.publish(channel, type, data, lane=lane, key=key)

    async def wait_room(self, channel: str) -> None:
        """Wait until no subscriber of the channel is at its lag limit; a checkpoint."""
        await trio.lowlevel.checkpoint()
        while (there := self._channels.get(channel)) is not None and there.crowded:
            await self._room.park()
            self._check_open()

    def made_room(self) -> None:
        """A backlog became shorter, or its subscriber left: let waiting publishers look again."""
        self._room.unpark_all()

    # Subscribing

    @asynccontextmanager
    async def subscribe(
        self,
        *channels: str,
        where: Mapping[str, Json] | None = None,
        since: Since | None = None,
        batch: Batch | None = None,
        lag_events: int | None = None,
        lag_bytes: int | None = None,
    ) -> AsyncGenerator[Subscription]:
        """
        The events of some channels, while the block lasts.

        Args:
            channels: One or more channel names.
            where: Filter, as a client would give it.
            since: Where in the past to begin; by default with what comes next.
            batch: Let events wait for each other so long; they still come one by one.
            lag_events: Events that may wait while the block is busy; by default `Limits.lag_events`.
            lag_bytes: Bytes that may wait; by default `Limits.lag_bytes`.

        Raises:
            RequestError: If a name or the filter is not acceptable.
            HubClosed: If the hub has ended.
        """
        subscription = Subscription(
            self.counters,
            lag_events=lag_events or self.limits.lag_events,
            lag_bytes=lag_bytes or self.limits.lag_bytes,
            clock=self.clock,
            made_room=self.made_room,
        )
        compiled = compile_filter(where, self.limits)
        try:
            outcomes = [
                self.attach_cursor(subscription, channel, where=compiled, since=since, batch=batch)
                for channel in channels
            ]
            subscription.started(outcomes)
            yield subscription
        finally:
            self.detach(subscription)

    def attach_cursor(
        self,
        subscriber: Subscriber,
        channel: str,
        *,
        where: Filter = MATCH_ALL,
        since: Since | None = None,
        batch: Batch | None = None,
        stateful: bool = False,
    ) -> Subscribed:
        """
        Subscribe to a channel; when already subscribed, with the new filter and window, from `since` or where it
        stands. `stateful`: whether it is told the state behind the channel; see `subscription_commands`.

        Raises:
            RequestError: If the name is not acceptable, or the hub has too many channels.
            HubClosed: If the hub has ended.
        """
        self._check_open()
        if subscriber.over:
            raise RequestError(ErrorCode.UNAVAILABLE, "the connection has ended")
        there = self._find(channel)
        self._channels.keep_for_subscriber(there)
        there.log.expire(self.clock())
        first = there.idle
        held = subscriber.cursors.get(channel)
        if held is not None and since is None:
            moved = there.move(held, where, batch)
            outcome = Subscribed(channel=channel, position=moved.position, recovered=None, replayed=0)
        else:
            if held is not None:
                there.detach(held)
            outcome = there.attach(subscriber, where, since, batch, stateful=stateful)
            if held is not None:
                there.succeed(subscriber.cursors[channel], held, told=stateful or isinstance(since, FromPosition))
            self.counters.subscribed += 1
            self.counters.replayed += outcome.replayed
        if held is not None:
            self.broadcaster.retire(held.view)
        self._subscribers[subscriber] = None
        self.broadcaster.mark(subscriber)
        if first:
            self.registry.tell_attendance(channel, True)
        return outcome

    def detach_cursor(self, subscriber: Subscriber, channel: str) -> bool:
        """Unsubscribe from a channel; returns whether it was subscribed."""
        cursor = subscriber.release(channel)
        if cursor is None:
            return False
        there = self._channels[channel]
        there.detach(cursor)
        self.broadcaster.retire(cursor.view)
        if not subscriber.cursors:
            self._subscribers.pop(subscriber, None)
        self._channels.release(there)
        self.made_room()
        if there.idle:
            self.registry.tell_attendance(channel, False)
        return True

    def detach(self, subscriber: Subscriber) -> None:
        """End all subscriptions of a subscriber; idempotent."""
        for channel in list(subscriber.cursors):
            self.detach_cursor(subscriber, channel)
        self.broadcaster.unmark(subscriber)
        self._farewells.say(subscriber)

    def when_gone(self, subscriber: Subscriber, callback: Callable[[], None]) -> None:
        """
        Have a function called once, when all of a subscriber's subscriptions have ended with it, however it ended.

        Args:
            subscriber: Whose end is waited for; where it is over already, the function is called at once.
            callback: Synchronous; must not raise.
        """
        self._farewells.add(subscriber, callback)

    def replace_filter(self, subscriber: Subscriber, channel: str, where: Filter) -> None:
        """Give a subscription another filter where it stands; nothing, where it has ended with its subscriber."""
        cursor = subscriber.cursors.get(channel)
        if cursor is None:  # what leaves below may be more than there is room for, and the rule to disconnect
            return
        self._channels[channel].move(cursor, where, cursor.batch)
        self.broadcaster.retire(cursor.view)
        subscriber.flush()  # what the old filter let pass leaves before the reply that it is gone

    # The past

    def history(
        self,
        channel: str,
        *,
        since: Since | None = None,
        where: Filter = MATCH_ALL,
        ranges: Sequence[Range] = (),
        limit: int | None = None,
    ) -> HistoryPage:
        """
        Events of the past; asking makes no channel.

        Args:
            channel: Channel name.
            since: Where to begin; by default with the oldest held.
            where: Which events.
            ranges: Instead of `since`: exactly these, such as a `dropped` notice named.
            limit: Most events, up to `Limits.replay_events`, which is also the default.

        Raises:
            RequestError: If the name is not acceptable.
        """
        there = self._find(channel)
        there.log.expire(self.clock())
        page = read_history(
            there.log,
            channel,
            since=since,
            where=where,
            ranges=ranges,
            maximum_events=min(limit or self.limits.replay_events, self.limits.replay_events),
            maximum_bytes=self.limits.replay_bytes,
            now=self.clock(),
        )
        self.counters.replayed += len(page.events)
        return page

    def position(self, channel: str) -> Position | None:
        """The position of a channel's newest event; None while it has none and no subscriber."""
        there = self._channels.get(channel)
        return None if there is None else Position.at(there.log.epoch, there.log.newest)

    # Looking

    def is_subscribed(self, channel: str) -> bool:
        """Whether anybody is subscribed to a channel."""
        there = self._channels.get(channel)
        return there is not None and not there.idle

    def statistics(self) -> HubStatistics:
        """A snapshot of the hub."""
        return collect_statistics(self.counters, list(self._channels), self._subscribers, timers=len(self.timeouts))

    def channels(self) -> list[ChannelStatistics]:
        """A snapshot of each channel: those without an event first, then the least recently published."""
        return [there.statistics() for there in self._channels]

    # Running

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the broadcaster and the timeout watcher until cancelled; then every subscription in this process ends."""
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.timeouts.run)
                await nursery.start(self.broadcaster.run)
                self._nursery = nursery
                task_status.started()
        finally:
            self._nursery = None
            self.close()

    def run_soon(self, work: Callable[[], Awaitable[None]]) -> None:
        """
        Do something that has to be awaited and that nobody waits for; it ends with the hub.

        Args:
            work: Must not raise: it would take the hub along.

        Raises:
            HubClosed: If the hub does not run.
        """
        if self._nursery is None:
            raise HubClosed("the hub does not run")
        self._nursery.start_soon(work)

    def close(self) -> None:
        """Accept nothing more and wake whoever waits; idempotent."""
        self._closed = True
        self.made_room()
        for subscriber in list(self._subscribers):
            if isinstance(subscriber, Subscription):
                subscriber.close()

    def _check_open(self) -> None:
        if self._closed:
            raise HubClosed("the hub has ended")

    def _find(self, name: str) -> Channel:
        return self._channels.get(name) or self._new_channel(name)

    def _new_channel(self, name: str) -> Channel:
        try:
            check_channel_name(name)
        except ValueError as error:
            raise RequestError(ErrorCode.UNKNOWN_CHANNEL, str(error), field="data.channel") from error
        return Channel(name, self._namespace(name), self.limits, self.clock)

    def _namespace(self, channel: str) -> Namespace:
        return self.namespaces.get(namespace_of(channel), _DEFAULT_NAMESPACE)
