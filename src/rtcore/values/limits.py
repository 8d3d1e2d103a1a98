"""Every bound of rtcore, in one place, with its unit and its reason."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import frozen, validators

__all__ = ["Limits"]


def _limit(
    default: float, *, at_least: float = 0, above: float | None = None, at_most: float | None = None
) -> Any:
    # Any, because attrs types its field specifiers so.
    check = validators.ge(at_least) if above is None else validators.gt(above)
    return attrs.field(default=default, validator=check if at_most is None else [check, validators.le(at_most)])


@frozen(kw_only=True, cache_hash=True)  # what follows from limits is kept by them
class Limits:
    """Bounds that hold for every connection, channel and request unless a namespace or profile says otherwise."""

    message_bytes: int = _limit(1024 * 1024, at_least=1)
    """Largest message from a client, inflated, in bytes: more is closed with 1009."""
    request_head_bytes: int = _limit(16 * 1024, at_least=256)
    """Largest request line and headers together, in bytes: more is answered 431."""
    request_line_bytes: int = _limit(8 * 1024, at_least=128)
    """Longest single line of a request head, in bytes: 414 for the request line, 431 for a header."""
    request_headers: int = _limit(100, at_least=1)
    """Most header lines of a request: more is answered 431."""
    handshake_seconds: float = _limit(10.0, above=0)
    """From accepting a connection to the end of its request head, TLS included; slower ones are dropped."""
    handshakes: int = _limit(512, at_least=1)
    """Most connections at once whose request head is not whole; when another comes, the oldest of them is dropped."""
    authentication_seconds: float = _limit(5.0, above=0)
    """From the handshake to a valid `auth` message: then 4003."""
    close_seconds: float = _limit(10.0, above=0)
    """How long a close frame may take to leave and be answered before the socket is cut."""
    ping_seconds: float = _limit(25.0)
    """Silence after which the server pings; below the 30 s after which many proxies cut a connection. 0: never."""
    pong_seconds: float = _limit(20.0, above=0)
    """How long a ping may stay unanswered: then 4002."""
    idle_seconds: float = _limit(120.0)
    """How long a client may send no message (a heartbeat is one; a pong is not): then 4001. 0: for ever."""
    channels_per_connection: int = _limit(128, at_least=1)
    """Most subscriptions of one connection."""
    channels: int = _limit(20_000, at_least=1)
    """Most channels that had an event, about 3 KiB each and its history; for the next, the oldest idle one goes."""
    unpublished_channels: int = _limit(20_000, at_least=1)
    """Most channels beside these that have subscribers and never had an event; they push no history out."""
    json_depth: int = _limit(64, at_least=1)
    """Deepest nesting of a JSON message, so that no walk over it can exhaust the stack."""
    messages_per_second: float = _limit(100.0, above=0)
    """Steady rate of messages from one client; above it, an `error` with `limit.rate`."""
    message_burst: int = _limit(100, at_least=1)
    """Messages that one client may send at once before the rate applies."""
    violations: int = _limit(100, at_least=1)
    """Rate violations within `violation_seconds` after which a client is closed with 1008."""
    violation_seconds: float = _limit(60.0, above=0)
    """Window in which violations count."""
    violation_entries: int = _limit(100, at_least=1)
    """Newest violations kept for the statistics."""
    violation_log_seconds: float = _limit(1.0, above=0)
    """Least time between two log lines about violations, so that abuse cannot fill the log."""
    connections: int = _limit(1000, at_least=1)
    """Most connections at once; the next is answered 503. Set it as high as memory and descriptors allow."""
    connections_per_address: int = _limit(0)
    """Most connections at once from one address; 0: only the total counts (offices share one address)."""
    lag_events: int = _limit(100, at_least=1)
    """Events that may wait for a slow subscriber before the oldest are dropped."""
    lag_bytes: int = _limit(1024 * 1024, at_least=1)
    """Bytes that may wait for a slow subscriber: one hundred events of 1 MiB are not a small lag."""
    slow_consumer_seconds: float = _limit(30.0, above=0)
    """How long a subscriber may take no byte at all while something waits for it: then 4000."""
    reply_bytes: int = _limit(256 * 1024, at_least=1024)
    """Bytes of replies that may wait for a client before its next command is read."""
    write_bytes: int = _limit(64 * 1024, at_least=1024)
    """Most bytes handed to the system in one write, so that one connection cannot hold up the rest of a tick."""
    rate_clients: int = _limit(10_000, at_least=1)
    """Clients whose HTTP requests are counted at once, some 300 bytes each; the least recent is forgotten first."""
    history_events: int = _limit(100)
    """Events kept per channel for replay."""
    history_seconds: float = _limit(3600.0, above=0)
    """Longest age of an event kept for replay."""
    history_bytes: int = _limit(8 * 1024 * 1024, at_least=1)
    """Bytes of encoded events kept per channel for replay."""
    history_memory_bytes: int = _limit(1024 * 1024 * 1024, at_least=1)
    """Memory of the events kept for replay in all channels, estimated; those least recently published lose theirs."""
    replay_events: int = _limit(1000, at_least=1)
    """Most events of one replay or history request."""
    replay_bytes: int = _limit(1024 * 1024, at_least=1024)
    """Most bytes of events in one replay or history reply; the rest is asked for with the position it returns."""
    replay_ranges: int = _limit(100, at_least=1)
    """Most ranges of one replay request; a `dropped` notice names at most three."""
    batch_events: int = _limit(10, at_least=1)
    """Events of a batch when the subscriber names no number."""
    batch_seconds: float = _limit(0.1, above=0)
    """Longest wait of an event for its batch when the subscriber names none."""
    batch_events_maximum: int = _limit(1000, at_least=1)
    """Largest batch that a subscriber may ask for, in events."""
    batch_seconds_maximum: float = _limit(10.0, above=0)
    """Longest batch window that a subscriber may ask for."""
    filter_fields: int = _limit(32, at_least=1)
    """Most fields of one filter."""
    filter_values: int = _limit(100, at_least=1)
    """Most values of one field's set."""
    filter_text_length: int = _limit(1024, at_least=1)
    """Longest text value of a filter, in characters."""
    filter_length: int = _limit(16 * 1024, at_least=1)
    """Most characters of one filter, names and values: every subscription keeps its filter in memory."""
    filter_patterns: int = _limit(32)
    """Most wildcard patterns of one filter: each is compared with the name of every event, for everybody."""
    filter_search_length: int = _limit(64, at_most=64)
    """Most characters of those patterns of one field that have text between two stars, such as `*error*`: they are
    searched for all at once, with one bit of a machine word for each character."""
    type_length: int = _limit(128, at_least=1)
    """Longest event type, in characters."""
    event_types: int = _limit(200, at_least=1)
    """Distinct event types counted by name; further ones count as `other`, so labels stay bounded."""
    publish_body_bytes: int = _limit(1024 * 1024, at_least=1)
    """Largest body of an HTTP request: more is answered 413."""
    http_connections: int = _limit(1000, at_least=1)
    """Most HTTP connections at once, beside the WebSocket ones: the next is answered 503."""
    publish_batch_events: int = _limit(1000, at_least=1)
    """Most events of one batch published over HTTP: more is answered 413."""
    body_seconds: float = _limit(10.0, above=0)
    """From the head of an HTTP request to the end of its body: slower ones are answered 408."""
    request_seconds: float = _limit(60.0, above=0)
    """From the head of an HTTP request to the last byte of its reply: then the connection is cut."""
    keep_alive_seconds: float = _limit(15.0, above=0)
    """From an HTTP reply to the end of the next request's head: then the connection is closed."""
    keep_alive_requests: int = _limit(1000, at_least=1)
    """HTTP requests served on one connection before it is closed, so that connections spread over servers again."""
    idempotency_keys: int = _limit(10_000, at_least=1)
    """Idempotency keys remembered; the oldest are forgotten first."""
    idempotency_bytes: int = _limit(16 * 1024 * 1024, at_least=1)
    """Bytes of remembered replies: the oldest are forgotten first."""
    idempotency_seconds: float = _limit(86_400.0, above=0)
    """How long an idempotency key is remembered."""
    drain_seconds: float = _limit(30.0)
    """From SIGTERM to the server's end; who is left 1.5 s before is cut. Below 1.5: all at once, within a second."""
    output_line_bytes: int = _limit(16 * 1024, at_least=64)
    """Longest piece of a process's output in one `tool.output` event."""
    output_buffer_bytes: int = _limit(64 * 1024, at_least=1024)
    """Output of a process that may wait to be published, in bytes; beyond it the pipe fills and the process waits."""
    output_join_seconds: float = _limit(0.005)
    """How long output waits for more of its kind to share an event with; below what an eye can see."""
    process_exit_seconds: float = _limit(5.0)
    """From SIGTERM to SIGKILL, for a process whose scope was cancelled."""
    process_drain_seconds: float = _limit(1.0)
    """How long a pipe may stay open after its process has ended, because a descendant holds it."""
    approvals: int = _limit(1000, at_least=1)
    """Most approvals of a workspace that are open at once; the next is refused with `limit.busy`."""
    approval_bytes: int = _limit(16 * 1024, at_least=2)
    """Largest `details` of an approval, as JSON: it goes to everybody who may decide, and into the store."""
    alert_rules: int = _limit(1000, at_least=1)
    """Most alert rules: each that reads a stream is asked at every sample of it."""
    alert_condition_length: int = _limit(1000, at_least=1)
    """Longest condition of an alert rule, in characters."""
    alert_condition_nodes: int = _limit(100, at_least=1, at_most=150)
    """Most names, values, operators and brackets of a condition; at most 150, since brackets nest on the stack."""
    alert_condition_windows: int = _limit(8)
    """Most functions over a window in one condition: each looks at every sample of its window."""
    alert_window_seconds: float = _limit(86_400.0, above=0)
    """Longest window that a condition may look back over."""
    alert_window_samples: int = _limit(4096, at_least=2)
    """Samples kept of a field that some window needs, 64 bytes each; beyond it the window reaches less far back."""
    alert_deliveries: int = _limit(1000, at_least=1)
    """Notifications that may wait for one target; when another comes, the oldest is given up."""
    notification_bytes: int = _limit(16 * 1024, at_least=256)
    """Largest notification, as JSON: one to a workspace goes to everybody there."""
    metric_streams: int = _limit(500, at_least=1)
    """Most metric streams that there may be at once."""
    metric_sample_bytes: int = _limit(16 * 1024, at_least=2)
    """Largest sample that a client pushes to a metric stream, as JSON: more is refused with `limit.too_large`."""
    metric_data_bytes: int = _limit(1024 * 1024, at_least=1024)
    """Samples in one reply with the newest of all metric streams, as JSON; those without room there are left out."""
    metric_entries: int = _limit(1000, at_least=1)
    """Most agents, cost categories, scaled components and flows that are remembered, of each."""
    metric_users: int = _limit(10_000, at_least=1)
    """Most users whose last action is remembered for the user activity; the least recent is forgotten first."""
