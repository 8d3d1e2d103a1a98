"""`GET /metrics`: the figures of the hub and the server in the text form that Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from rtcore.hub.latency import LATENCY_BUCKETS, LatencySnapshot
from rtcore.hub.statistics import HubStatistics
from rtcore.server.figures import ServerFigures
from rtcore.server.http_context import HttpContext
from rtcore.server.http_guard import Handler
from rtcore.values.identity import Identity

__all__ = ["FiguresCollector", "make_registry", "metrics_handler"]

_BOUNDS: Final = (*(repr(bound) for bound in LATENCY_BUCKETS), "+Inf")


class FiguresCollector(Collector):
    """
    Turns snapshots into metrics when somebody scrapes, so that nothing is counted twice and nothing costs in between.

    Args:
        hub: Takes a snapshot of the hub.
        server: Takes a snapshot of the server.
        draining: Whether the server is on its way out.
        version: rtcore's version.
    """

    def __init__(
        self,
        *,
        hub: Callable[[], HubStatistics],
        server: Callable[[], ServerFigures],
        draining: Callable[[], bool],
        version: str,
    ) -> None:
        self._hub = hub
        self._server = server
        self._draining = draining
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """All metrics, from one snapshot of each side."""
        hub, server = self._hub(), self._server()
        yield InfoMetricFamily("rtcore", "The software.", value={"version": self._version})
        yield from _server_metrics(server)
        yield _gauge("draining", "1 while the server is on its way out.", float(self._draining()))
        yield from _hub_metrics(hub)
        yield _by_label("events_published", "Events published, by type.", "type", hub.events_by_type.items())
        yield _latency(hub.latency)

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering takes no snapshot."""
        return ()


def make_registry(collector: FiguresCollector) -> CollectorRegistry:
    """A registry of its own, with the process's figures beside rtcore's: the library's global one is not ours."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    ProcessCollector(registry=registry)
    return registry


def metrics_handler(registry: CollectorRegistry) -> Handler:
    """The route's handler."""

    async def metrics(context: HttpContext, request: Request, identity: Identity) -> Response:
        """The exposition in the form that the scraper's `Accept` asks for."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    return metrics


def _server_metrics(server: ServerFigures) -> Iterator[Metric]:
    yield _gauge("connections", "WebSocket connections just now.", server.connections)
    yield _gauge("connections_maximum", "Most connections admitted at once.", server.connections_maximum)
    yield _counter("connections_opened", "WebSocket connections ever admitted.", server.connections_total)
    yield _by_label("connections_refused", "Connections refused, by reason.", "reason", server.refused.items())
    yield _counter("messages_received", "Messages from clients.", server.messages_received)
    yield _counter("messages_sent", "Replies and other messages of the server's own.", server.messages_sent)
    yield _counter("received_bytes", "Bytes from clients.", server.bytes_received)
    yield _counter("sent_bytes", "Bytes to clients.", server.bytes_sent)
    yield _counter("connection_errors", "Connections that ended through a fault.", server.errors)
    yield _counter("rate_limit_violations", "Messages and requests over the rate limit.", server.rate_violations)
    yield _counter("compression_input_bytes", "Bytes of messages before compression.", server.compression_bytes_in)
    yield _counter("compression_output_bytes", "Bytes of messages after it.", server.compression_bytes_out)
    yield _gauge("start_time_seconds", "When the server began, in Unix seconds.", server.started_at)


def _hub_metrics(hub: HubStatistics) -> Iterator[Metric]:
    yield _gauge("channels", "Channels that hold history or have subscribers.", hub.channels)
    yield _gauge("views", "Distinct combinations of channel, filter and encoding.", hub.views)
    yield _gauge("subscribers", "Connections and blocks with a subscription.", hub.subscribers)
    yield _gauge("subscriptions", "Subscriptions, one per subscriber and channel.", hub.subscriptions)
    yield _gauge("backpressure_clients", "Subscribers that take nothing just now.", hub.behind)
    yield _gauge("queued_events", "Events waiting for them.", hub.backlog_events)
    yield _gauge("queued_bytes", "Bytes waiting for them.", hub.backlog_bytes)
    yield _gauge("history_events", "Events kept for replay.", hub.history_events)
    yield _gauge("history_bytes", "Bytes kept for replay.", hub.history_bytes)
    yield _counter("events_delivered", "Events handed to subscribers, each subscriber counted.", hub.delivered)
    yield _counter("events_dropped", "Events that slow subscribers lost.", hub.dropped)
    yield _counter("events_conflated", "Events that a newer one of the same key stood for.", hub.conflated)
    yield _counter("events_replayed", "Events of the past handed out.", hub.replayed)
    yield _counter("slow_consumers_closed", "Subscribers closed because they did not keep up.", hub.disconnected_slow)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"rtcore_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"rtcore_{name}", text, value=value)


def _by_label(name: str, text: str, label: str, values: Iterable[tuple[str, int]]) -> Metric:
    family = CounterMetricFamily(f"rtcore_{name}", text, labels=[label])
    for key, value in sorted(values):
        family.add_metric([key], value)
    return family


def _latency(snapshots: Iterable[LatencySnapshot]) -> Metric:
    family = HistogramMetricFamily(
        "rtcore_delivery_latency_seconds", "From publication to the socket, by event type.", labels=["type"]
    )
    for snapshot in snapshots:
        buckets = list(zip(_BOUNDS, snapshot.cumulative, strict=True))
        family.add_metric([snapshot.event_type], buckets=buckets, sum_value=snapshot.seconds)
    return family
