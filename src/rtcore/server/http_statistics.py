"""`GET /api/v1/realtime/stats`, `GET /api/v1/system/metrics`, `/healthz` and `/readyz`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rtcore.hub.latency import LatencySnapshot, combine_latency
from rtcore.hub.statistics import HubStatistics
from rtcore.server.figures import ServerFigures
from rtcore.server.http_bodies import read_parameters
from rtcore.server.http_context import HttpContext
from rtcore.server.http_errors import JSONResponse
from rtcore.server.waiting import header_seconds
from rtcore.values.events import Json, format_timestamp
from rtcore.values.identity import Identity

__all__ = ["health", "readiness", "realtime_document", "realtime_statistics", "system_metrics"]


async def realtime_statistics(context: HttpContext, request: Request, identity: Identity) -> Response:
    """What the hub and the server are doing."""
    read_parameters(request, ())
    now = context.clock()
    return JSONResponse(realtime_document(context.hub.statistics(), context.server.statistics(), now))


async def system_metrics(context: HttpContext, request: Request, identity: Identity) -> Response:
    """The machine and the process, with the WebSocket figures beside them."""
    read_parameters(request, ())
    system = await context.system.document()
    now = context.clock()
    websocket = realtime_document(context.hub.statistics(), context.server.statistics(), now)
    return JSONResponse({"system": system, "websocket": websocket, "timestamp": format_timestamp(now)})


async def health(context: HttpContext, request: Request, identity: Identity) -> Response:
    """Whether the process answers at all."""
    return JSONResponse({"status": "ok"})


async def readiness(context: HttpContext, request: Request, identity: Identity) -> Response:
    """Whether new clients should be sent here: 503 before the start and while draining."""
    if context.server.started and not context.server.draining:
        return JSONResponse({"status": "ready"})
    status = "draining" if context.server.draining else "starting"
    headers = {"retry-after": header_seconds(context.server.retry_after())}
    return JSONResponse({"status": status}, status_code=503, headers=headers)


def realtime_document(hub: HubStatistics, server: ServerFigures, now: float) -> dict[str, Json]:
    """The statistics of both as one JSON object; `now` in Unix seconds."""
    return {
        "connections": {
            "active": server.connections,
            "total": server.connections_total,
            "maximum": server.connections_maximum,
            "refused": dict(server.refused),
        },
        "messages": {
            "received": server.messages_received,
            "sent": server.messages_sent,
            "published": hub.published,
            "delivered": hub.delivered,
            "dropped": hub.dropped,
            "conflated": hub.conflated,
            "replayed": hub.replayed,
        },
        "bytes": {"received": server.bytes_received, "sent": server.bytes_sent},
        "compression": {
            "bytes_in": server.compression_bytes_in,
            "bytes_out": server.compression_bytes_out,
            "bytes_saved": server.compression_bytes_in - server.compression_bytes_out,
        },
        "errors": server.errors,
        "rate_limit_violations": server.rate_violations,
        "backpressure_clients": hub.behind,
        "average_queue_depth": round(hub.average_queue_depth, 3),
        "queued_events": hub.backlog_events,
        "queued_bytes": hub.backlog_bytes,
        "slow_consumers_closed": hub.disconnected_slow,
        "history_size": hub.history_events,
        "history_bytes": hub.history_bytes,
        "channels": hub.channels,
        "subscribers": hub.subscribers,
        "subscriptions": hub.subscriptions,
        "events_by_type": dict(hub.events_by_type),
        "delivery_latency": _latency(combine_latency(hub.latency)),
        "uptime_seconds": round(max(0.0, now - server.started_at), 3),
        "timestamp": format_timestamp(now),
    }


def _latency(latency: LatencySnapshot) -> dict[str, Json]:
    return {
        "count": latency.count,
        "p50_seconds": latency.quantile(0.50),
        "p95_seconds": latency.quantile(0.95),
        "p99_seconds": latency.quantile(0.99),
    }
