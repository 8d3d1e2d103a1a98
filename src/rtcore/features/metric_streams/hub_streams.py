"""Streams of the hub and the servers over it: `performance_metrics`, `delivery`, `websocket`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import trio

from rtcore.features.metric_streams.rate_state import LatencyState, RateState
from rtcore.features.metric_streams.stream import Source
from rtcore.hub.hub import Hub
from rtcore.hub.latency import LatencySnapshot, combine_latency
from rtcore.values.events import Json

__all__ = ["HubStreams"]

_QUANTILES: Final = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))
_TRAFFIC: Final = ("messages_received", "messages_sent", "bytes_received", "bytes_sent")


class HubStreams:
    """
    Args:
        hub: Whose figures they are.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._servers: dict[Callable[[], Mapping[str, int]], None] = {}
        self._performance = RateState(), LatencyState()
        self._delivery = RateState(), LatencyState()
        self._websocket = RateState()

    def add_server(self, figures: Callable[[], Mapping[str, int]]) -> Callable[[], None]:
        """
        Count a server in from now on.

        Args:
            figures: Its `connections`, `connections_maximum` and totals; those of all servers are added up.

        Returns:
            A function that takes it out again.
        """
        self._servers[figures] = None
        return lambda: self._servers.pop(figures, None)

    def sources(self) -> Iterator[tuple[str, Source]]:
        """Streams by name."""
        yield "performance_metrics", self._sample_performance
        yield "delivery", self._sample_delivery
        yield "websocket", self._sample_websocket

    async def _sample_performance(self) -> dict[str, Json]:
        """Latency, throughput and the share of errors, all since the sample before."""
        await trio.lowlevel.checkpoint()
        statistics, servers = self._hub.statistics(), self._servers_together()
        lost = statistics.dropped + servers["errors"]
        totals = {
            "throughput": statistics.delivered,
            "published_per_second": statistics.published,
            "messages_per_second": servers["messages_received"],
            "errors_per_second": lost,
        }
        rates = self._performance[0].advance(totals, trio.current_time())
        tried = rates["throughput"] + rates["errors_per_second"]
        return {
            **_latency(self._performance[1].advance(combine_latency(statistics.latency))),
            **rates,
            "error_rate": round(rates["errors_per_second"] / tried, 6) if tried else 0.0,
        }

    async def _sample_delivery(self) -> dict[str, Json]:
        """What the hub hands out, and who does not keep up."""
        await trio.lowlevel.checkpoint()
        statistics = self._hub.statistics()
        totals = {
            "published": statistics.published,
            "delivered": statistics.delivered,
            "dropped": statistics.dropped,
            "conflated": statistics.conflated,
        }
        rates = self._delivery[0].advance(totals, trio.current_time())
        return {
            **totals,
            **{f"{name}_per_second": rate for name, rate in rates.items()},
            **_latency(self._delivery[1].advance(combine_latency(statistics.latency))),
            "subscribers": statistics.subscribers,
            "subscriptions": statistics.subscriptions,
            "channels": statistics.channels,
            "slow_subscribers": statistics.behind,
            "slow_subscribers_closed": statistics.disconnected_slow,
            "queued_events": statistics.backlog_events,
            "queued_bytes": statistics.backlog_bytes,
            "average_queue_depth": round(statistics.average_queue_depth, 3),
        }

    async def _sample_websocket(self) -> dict[str, Json]:
        """Connections and their traffic, of all servers over the hub."""
        await trio.lowlevel.checkpoint()
        figures = self._servers_together()
        figures["messages_sent"] += self._hub.counters.delivered
        figures["bytes_sent"] += self._hub.broadcaster.bytes_sent
        rates = self._websocket.advance({name: figures[name] for name in _TRAFFIC}, trio.current_time())
        maximum = figures["connections_maximum"]
        return {
            **figures,
            "servers": len(self._servers),
            "connection_utilization": round(figures["connections"] / maximum, 4) if maximum else 0.0,
            **{f"{name}_per_second": rate for name, rate in rates.items()},
        }

    def _servers_together(self) -> Counter[str]:
        together: Counter[str] = Counter(connections=0, connections_maximum=0)
        for figures in self._servers:
            together.update(figures())
        return together


def _latency(latency: LatencySnapshot) -> dict[str, Json]:
    found = {name: latency.quantile(share) for name, share in _QUANTILES}
    return {
        **{f"latency_{name}_ms": None if value is None else round(value * 1000, 3) for name, value in found.items()},
        "latency_mean_ms": round(1000 * latency.seconds / latency.count, 3) if latency.count else None,
    }
