"""The streams that every hub has. None of them costs anything while nobody watches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from functools import partial
from typing import Final, Protocol

import trio

from rtcore.features.metric_streams.channel_streams import AlertEvents, Flows
from rtcore.features.metric_streams.hub_streams import HubStreams
from rtcore.features.metric_streams.recorders import Activity, Agents, Correlations, Costs, Scaling
from rtcore.features.metric_streams.settings import MetricSettings
from rtcore.features.metric_streams.stream import Sample, Source, Stream
from rtcore.features.metric_streams.system_streams import SystemStreams
from rtcore.hub.hub import Hub

__all__ = ["CORRELATED", "BuiltInStreams", "StreamPort"]

CORRELATED: Final = (
    ("cpu", "cpu_utilization"),
    ("memory", "memory_utilization"),
    ("performance_metrics", "latency_p95_ms"),
    ("performance_metrics", "throughput"),
    ("performance_metrics", "error_rate"),
    ("websocket", "connections"),
)
"""Figures that are compared with each other from the beginning: stream and field."""


class StreamPort(Protocol):
    """What some of them need of the others."""

    def latest(self, name: str) -> Sample | None:
        """The newest sample of a stream."""

    def publish(self, name: str, data: Sample) -> None:
        """Push a sample."""

    def need(self, owner: object, streams: Collection[str] | None) -> None:
        """Say which streams are needed."""

    def may_repeat(self, name: str, other: str) -> bool:
        """Whether all who may read a stream may read another one, too."""


class BuiltInStreams:
    """
    Args:
        hub: Whose figures, workflows and alerts they show.
        settings: Windows and currency.
        streams: All streams.
    """

    def __init__(self, hub: Hub, settings: MetricSettings, streams: StreamPort) -> None:
        entries = hub.limits.metric_entries
        self.system = SystemStreams(hub)
        self.hub = HubStreams(hub)
        self.agents = Agents(entries, settings.agent_seconds)
        self.costs = Costs(settings.currency, entries, hub.clock)
        self.activity = Activity(hub.limits.metric_users)
        self.scaling = Scaling(entries, partial(streams.publish, "scaling_status"), hub.clock)
        may_show = partial(streams.may_repeat, "ecosystem_correlation")
        self.correlations = Correlations(streams.latest, may_show, CORRELATED)
        self._flows = Flows(hub)
        self._alerts = AlertEvents(hub, partial(streams.publish, "alert_events"))
        self._streams = streams

    def all(self, interval: Callable[[str], float]) -> Iterator[Stream]:
        """
        The streams themselves.

        Args:
            interval: Seconds from one sample to the next, by name.
        """
        for name, source, companion in self._sampled():
            yield Stream(name=name, source=source, interval=interval(name), companion=companion)
        yield Stream(name="scaling_status")
        # A rule that looked at what becomes of alerts would be the cause of what it sees.
        yield Stream(name="alert_events", companion=self._alerts.follow, observed=False)

    def _sampled(self) -> Iterator[tuple[str, Source, Callable[[], Awaitable[None]] | None]]:
        for name, source in (*self.system.sources(), *self.hub.sources()):
            yield name, source, None
        yield "agent_performance", self.agents.sample, None
        yield "cost", self.costs.sample, None
        yield "user_activity", self.activity.sample, None
        yield "flow_executions", self._flows.sample, self._flows.follow
        yield "ecosystem_correlation", self.correlations.sample, self._hold_correlated

    async def _hold_correlated(self) -> None:
        """Need the streams that are compared, for as long as somebody watches the comparison."""
        self._streams.need(self.correlations, self.correlations.streams)
        try:
            await trio.sleep_forever()
        finally:
            self._streams.need(self.correlations, ())
