"""
The feature: streams of figures, each taken from a source at its interval or pushed, for whoever watches.

A stream `NAME` is channel `streams:NAME`: every sample is an event `stream_update {stream, data}`, and only the newest
is worth having, so samples conflate and a new subscriber begins with the last. Channel `streams` says which streams
there are.

Nothing is sampled that nobody wants. Sources run while a channel has a subscriber, while a rule or another stream needs
them, or always, where they were registered so.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ClassVar, Final, TypeVar, overload

import trio

from rtcore.errors import ErrorCode, HubClosed, RequestError
from rtcore.features.feature import Feature
from rtcore.features.metric_streams.built_in import BuiltInStreams
from rtcore.features.metric_streams.channel_streams import ALERTS
from rtcore.features.metric_streams.commands import stream_commands
from rtcore.features.metric_streams.dashboard import dashboard_dialect
from rtcore.features.metric_streams.observing import SampleObserver
from rtcore.features.metric_streams.sampling import Sampling
from rtcore.features.metric_streams.settings import MetricSettings
from rtcore.features.metric_streams.stream import (
    LEAST_INTERVAL_SECONDS,
    Sample,
    Source,
    Stream,
    StreamStatistics,
)
from rtcore.features.metric_streams.stream_access import FAMILY, StreamAccess, channel_of
from rtcore.features.metric_streams.stream_book import StreamBook
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.dialect import Dialect
from rtcore.hub.hub import Hub
from rtcore.hub.registry import Attendance, Snapshot
from rtcore.values.channels import Namespace, Overflow
from rtcore.values.events import Json, format_timestamp
from rtcore.values.identity import Identity

__all__ = ["FAMILY", "MetricStreams", "channel_of"]

_logger = logging.getLogger("rtcore.metric_streams")

_HISTORY: Final = 60
"""Samples kept by default: five minutes of a stream that is updated every 5 s, which is a sparkline."""
_AnySource = TypeVar("_AnySource", bound=Source)


class MetricStreams(Feature):
    """
    Streams by name.

    Args:
        hub: Where samples go.
        settings: Intervals and times.
    """

    NAMESPACES: ClassVar[Mapping[str, Namespace]] = {
        FAMILY: Namespace(
            history_events=_HISTORY, recall_events=1, overflow=Overflow.CONFLATE, publish_roles=frozenset()
        )
    }
    REPLIES: ClassVar = frozenset({"dashboard_data", "metrics.data", "metrics.published"})

    def __init__(self, hub: Hub, settings: MetricSettings | None = None) -> None:
        self.settings = settings or MetricSettings()
        self.observers: list[SampleObserver] = []
        """Handed every sample, in the order in which they are published."""
        self._hub = hub
        self._access = StreamAccess(hub.access)
        self._streams = StreamBook(hub.limits.metric_streams)
        self._sampling = Sampling(hub.timeouts, self.settings, self)
        self.built_in = BuiltInStreams(hub, self.settings, self)
        """What the streams that every hub has are made of."""
        self.agent = self.built_in.agents
        """`agent("a1").record(duration=1.2, success=True)`: stream `agent_performance`."""
        self.cost = self.built_in.costs
        """`cost.add(0.25, category="model")`: stream `cost`."""
        self.activity = self.built_in.activity
        """`activity.record("u1")`: stream `user_activity`."""
        self.scaling = self.built_in.scaling
        """`scaling.report("workers", current=3, desired=5)`: stream `scaling_status`."""
        self.correlations = self.built_in.correlations
        """`correlations.add("queue_depth", "depth")`: stream `ecosystem_correlation`."""
        for stream in self.built_in.all(lambda name: self._interval(name, None)):
            self.add(stream)
        for name in sorted(self.settings.client_streams):
            self.declare(name, clients=True)

    # What the hub asks

    @property
    def commands(self) -> Mapping[str, CommandRule[Any]]:
        """`metrics.data` and `metrics.publish`."""
        return stream_commands(self, self.settings.publish_roles, self._hub.limits, self._hub.clock)

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """How a stream is; on channel `streams`, all that the subscriber may read."""
        return {FAMILY: self._snapshot}

    @property
    def dialects(self) -> Mapping[str, Dialect]:
        """`dashboard`."""
        return {"dashboard": self._dashboard()}

    @property
    def attendance(self) -> Mapping[str, Attendance]:
        """Sources run while somebody listens."""
        return {FAMILY: self._attended}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ask the sources that are wanted until cancelled."""
        async with trio.open_nursery() as nursery:
            self._sampling.nursery = nursery
            try:
                for stream in self._streams:
                    self._sampling.look(stream)
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._sampling.nursery = None

    # Streams

    @overload
    def register(
        self,
        name: str,
        source: None = None,
        *,
        interval: float | None = None,
        always: bool = False,
        roles: Iterable[str] | None = None,
        replace: bool = False,
    ) -> Callable[[_AnySource], _AnySource]: ...

    @overload
    def register(
        self,
        name: str,
        source: _AnySource,
        *,
        interval: float | None = None,
        always: bool = False,
        roles: Iterable[str] | None = None,
        replace: bool = False,
    ) -> _AnySource: ...

    def register(
        self,
        name: str,
        source: Any = None,  # Any: the overloads say what
        *,
        interval: float | None = None,
        always: bool = False,
        roles: Iterable[str] | None = None,
        replace: bool = False,
    ) -> Any:
        """
        Begin a stream that is sampled; without a source, a decorator for one.

        Args:
            name: 1 to 64 letters, digits, `_`, `.` and `-`.
            source: Async function without arguments; returns a JSON object. It must not block the thread.
            interval: Seconds from one sample to the next; None: `MetricSettings.update_seconds`. What
                `MetricSettings.intervals` says for the name comes before both.
            always: Whether it is sampled also while nobody watches.
            roles: Roles of which a reader must have one, beside what the namespace asks for; None: any.
            replace: Whether it may take the place of a stream of this name.

        Raises:
            ValueError: If the name is not acceptable or taken, the interval is too short or not finite, or there are
                `Limits.metric_streams` already.
        """
        if source is None:
            return lambda given: self.register(
                name, given, interval=interval, always=always, roles=roles, replace=replace
            )
        stream = Stream(name=name, source=source, interval=self._interval(name, interval), always=always)
        self.add(stream, roles=roles, replace=replace)
        return source

    def declare(
        self, name: str, *, roles: Iterable[str] | None = None, replace: bool = False, clients: bool = False
    ) -> None:
        """
        Begin a stream whose samples are pushed with `publish`.

        Args:
            name: As for `register`; so are `roles`, `replace` and the errors.
            clients: Whether clients may push to it, too, with `metrics.publish`; to no other stream they may.
        """
        self.add(Stream(name=name, clients=clients), roles=roles, replace=replace)

    def add(self, stream: Stream, *, roles: Iterable[str] | None = None, replace: bool = False) -> None:
        """Begin a stream; arguments and errors as for `register`."""
        before = self._streams.put(stream, replace=replace)
        if before is not None:
            self._sampling.forget(before)
        if roles is not None:
            self.restrict(stream.name, roles)
        self._sampling.look(stream)
        self._tell_changed("registered")

    def unregister(self, name: str) -> None:
        """
        End a stream. Its subscribers are told with `stream_removed`, and stay for when one of its name comes again.

        Raises:
            KeyError: If there is none.
        """
        self._sampling.forget(self._streams.pop(name))
        if self._streams.watched(name):
            self._tell(channel_of(name), "stream_removed", {"stream": name}, key=name)
        self._tell_changed("removed")

    def restrict(self, name: str, roles: Iterable[str]) -> None:
        """
        Let only those read a stream, past samples included, who have one of the roles.

        What is made of a channel stays for those who may read that as well.
        """
        self._access.restrict(name, roles)

    def publish(self, name: str, data: Sample) -> None:
        """
        Push a sample; a stream that there is not yet begins with it.

        Raises:
            RequestError: If the data is not a JSON object, or too large.
            ValueError: If it would be a new stream, and cannot be.
            HubClosed: If the hub has ended.
        """
        if name not in self._streams:
            self.declare(name)
        self._publish(self._streams[name], data)

    # Who needs what

    def need(self, owner: object, streams: Collection[str] | None) -> None:
        """
        Say which streams somebody in this process needs from now on, in place of what was said before.

        Args:
            owner: Who: anything that can be a key.
            streams: Names, also of streams that are yet to come; None: all but `alert_events`; none at all ends it.
        """
        self._streams.need(owner, streams)
        for stream in self._streams:
            self._sampling.look(stream)

    async def fresh(self, names: Collection[str]) -> None:
        """
        Have streams sampled that nobody watches and whose newest sample is older than their interval; a checkpoint.

        It waits no longer than `MetricSettings.answer_seconds`; what comes later is there for the next who asks.
        Cancelled, it leaves the turns to happen.
        """
        stale = [stream for name in names if (stream := self._streams.get(name)) is not None and self._is_stale(stream)]
        for stream in stale:
            stream.asked = True
            self._sampling.look(stream)
        with trio.move_on_after(self.settings.answer_seconds):
            async with trio.open_nursery() as nursery:
                for stream in stale:
                    nursery.start_soon(self._sampling.turn, stream)
        await trio.lowlevel.checkpoint_if_cancelled()

    # Looking

    def streams(self, identity: Identity | None = None) -> list[str]:
        """The names of all streams in order; of those that an identity may read, where one is given."""
        return [each.name for each in self._streams if identity is None or self.readable(each.name, identity)]

    def readable(self, name: str, identity: Identity) -> bool:
        """Whether there is such a stream, and the identity may read it."""
        return name in self._streams and self._access.can_read(identity, name)

    def readable_by_readers_of(self, channel: str, name: str) -> bool:
        """Whether all who may read a channel may read a stream, too: what it says can then be repeated there."""
        return self._access.readers_can_read(channel, name)

    def may_repeat(self, name: str, other: str) -> bool:
        """Whether all who may read a stream may read another one, too."""
        return self._access.may_repeat(name, other)

    def takes_from_clients(self, name: str) -> bool:
        """Whether there is such a stream, and clients may push to it."""
        stream = self._streams.get(name)
        return stream is not None and stream.clients

    def latest(self, name: str) -> Sample | None:
        """The newest sample of a stream, not to be changed; None while there is none, or no such stream."""
        stream = self._streams.get(name)
        return None if stream is None else stream.latest

    def statistics(self) -> tuple[StreamStatistics, ...]:
        """A snapshot of each stream, by name."""
        return tuple(stream.statistics() for stream in self._streams)

    # Turns of sources

    def sampled(self, stream: Stream, sample: Sample) -> None:
        """A source has answered."""
        if self._streams.get(stream.name) is not stream:
            return  # it took its time, and another has its place, or none
        try:
            self._publish(stream, sample)
        except RequestError as error:
            if not stream.failures_in_a_row:
                _logger.error("metric stream %s: a sample cannot be published: %s", stream.name, error)
            self.failed(stream, error.message)
        except HubClosed:
            return  # nobody is left to be told

    def failed(self, stream: Stream, message: str) -> None:
        """A source has raised or takes too long."""
        if self._streams.get(stream.name) is not stream or not stream.fail(message, self._hub.clock()):
            return
        assert stream.failing_since is not None
        data: dict[str, Json] = {
            "stream": stream.name,
            "message": message,
            "since": format_timestamp(stream.failing_since),
            "last": None if stream.latest is None else dict(stream.latest),
        }
        self._tell(channel_of(stream.name), "stream_error", data, key=stream.name)

    def _publish(self, stream: Stream, data: Sample) -> None:
        if not isinstance(data, Mapping):
            raise RequestError(ErrorCode.MALFORMED, f"a sample is a JSON object, got {type(data).__name__}")
        sample = dict(data)
        self._hub.publish(
            channel_of(stream.name), "stream_update", {"stream": stream.name, "data": sample}, key=stream.name
        )
        stream.succeed(sample, self._hub.clock())
        for observer in self.observers if stream.observed else ():
            try:
                observer.observe(stream.name, sample)
            except Exception:  # a rule that fails must not keep the others from their sample
                _logger.exception("an observer of metric stream %s failed", stream.name)

    # The rest

    def _dashboard(self) -> Dialect:
        hub = self._hub
        return dashboard_dialect(self, channel_of, channels=(ALERTS,), limits=hub.limits, clock=hub.clock)

    def _interval(self, name: str, given: float | None) -> float:
        interval = self.settings.update_seconds if given is None else given
        interval = self.settings.intervals.get(name, interval)
        if not interval >= LEAST_INTERVAL_SECONDS:
            raise ValueError(f"interval of {interval:g} s is shorter than {LEAST_INTERVAL_SECONDS:g} s")
        if math.isinf(interval):  # JSON has no word for it, and what is sampled once is pushed with `publish`
            raise ValueError("interval of inf s is not finite")
        return interval

    def _is_stale(self, stream: Stream) -> bool:
        if stream.source is None or stream.interval is None or self._sampling.nursery is None:
            return False
        if self._sampling.asking(stream):  # it comes by itself; the first sample is worth waiting for
            return stream.latest is None and stream.failing_since is None
        return trio.current_time() >= stream.next_turn

    def _attended(self, channel: str, attended: bool) -> None:
        if channel == FAMILY:
            return
        stream = self._streams.watch(channel.removeprefix(f"{FAMILY}:"), attended)
        if stream is not None:
            self._sampling.look(stream)

    def _snapshot(self, identity: Identity, channel: str) -> Json:
        if channel == FAMILY:
            return {"streams": [self._streams[name].statistics().document() for name in self.streams(identity)]}
        stream = self._streams.get(channel.removeprefix(f"{FAMILY}:"))
        return None if stream is None else stream.statistics().document()

    def _tell_changed(self, change: str) -> None:
        if self._sampling.nursery is not None:  # those from before the hub ran are in everybody's first snapshot
            self._tell(FAMILY, "streams_changed", {"change": change}, key=FAMILY)

    def _tell(self, channel: str, type: str, data: Json, *, key: str) -> None:
        try:
            self._hub.publish(channel, type, data, key=key)
        except (RequestError, HubClosed) as error:  # no channel is free, or nobody is left to be told
            _logger.warning("%s was not published on %s: %s", type, channel, error)
