"""A server's share of the metric stream `websocket`, while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rtcore._fast import Traffic
from rtcore.features.metric_streams.metric_streams import MetricStreams
from rtcore.hub.hub import Hub
from rtcore.server.admission import ConnectionPool
from rtcore.server.violations import ViolationLedger

__all__ = ["counted_in"]


@contextmanager
def counted_in(hub: Hub, pool: ConnectionPool, traffic: Traffic, ledger: ViolationLedger) -> Iterator[None]:
    """Have a server's connections and traffic counted while the block lasts; nothing, where the hub has no streams."""
    streams = hub.registry.find(MetricStreams)
    if streams is None:
        yield
        return
    leave = streams.built_in.hub.add_server(_figures(pool, traffic, ledger))
    try:
        yield
    finally:
        leave()


def _figures(pool: ConnectionPool, traffic: Traffic, ledger: ViolationLedger) -> Callable[[], Mapping[str, int]]:
    def figures() -> Mapping[str, int]:
        room = pool.statistics()
        return {
            "connections": room.active,
            "connections_maximum": room.limit,
            "connections_total": room.total_created,
            "connections_refused": room.refused,
            "messages_received": traffic.messages_in,
            "messages_sent": traffic.messages_out,  # the server's own; events are counted by the hub
            "bytes_received": traffic.bytes_in,
            "bytes_sent": traffic.bytes_out,
            "errors": traffic.errors,
            "rate_violations": ledger.statistics().total,
        }

    return figures
