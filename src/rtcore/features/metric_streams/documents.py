"""What a dashboard is shown at once: all streams with their newest samples, and the headline figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol

from rtcore.features.metric_streams.stream import Sample, StreamState, StreamStatistics
from rtcore.protocol.json_codec import json_dumps
from rtcore.values.events import Json, format_timestamp

__all__ = ["StreamsPort", "dashboard_data", "dashboard_statistics"]

_HEADLINES: Final = (
    ("cpu", "cpu_utilization"),
    ("memory", "memory_utilization"),
    ("disk", "disk_utilization"),
    ("websocket", "connections"),
    ("performance_metrics", "latency_p95_ms"),
    ("performance_metrics", "throughput"),
    ("performance_metrics", "error_rate"),
    ("flow_executions", "flows_running"),
    ("agent_performance", "agent_success_rate"),
    ("user_activity", "active_5m"),
    ("cost", "cost_today"),
    ("cost", "cost_projected_month"),
)


class StreamsPort(Protocol):
    """What is looked at."""

    def statistics(self) -> tuple[StreamStatistics, ...]:
        """A snapshot of each stream."""

    def latest(self, name: str) -> Sample | None:
        """The newest sample of a stream."""


def dashboard_statistics(streams: StreamsPort, readable: Iterable[str], now: float) -> dict[str, Json]:
    """
    How the streams are.

    Args:
        streams: All of them.
        readable: Names of those that are told of.
        now: Unix seconds.
    """
    chosen = _chosen(streams, readable)
    return {**_counts(chosen), "streams": [each.document() for each in chosen], "timestamp": format_timestamp(now)}


def dashboard_data(streams: StreamsPort, readable: Iterable[str], most_bytes: int, now: float) -> dict[str, Json]:
    """
    The newest samples, and an overview.

    Args:
        streams: As for `dashboard_statistics`; so are `readable` and `now`.
        most_bytes: Of samples. One for which there is no room is left out, which its `message` says; smaller ones
            after it may have room.
    """
    chosen = _chosen(streams, readable)
    samples = {each.stream: sample for each in chosen if (sample := streams.latest(each.stream)) is not None}
    return {
        "availableStreams": [each.stream for each in chosen],
        "overview": {**_counts(chosen), **_headlines(samples)},
        "streams": dict(_shown_within(chosen, samples, most_bytes)),
        "timestamp": format_timestamp(now),
    }


def _chosen(streams: StreamsPort, readable: Iterable[str]) -> list[StreamStatistics]:
    names = frozenset(readable)
    return [each for each in streams.statistics() if each.stream in names]


def _counts(chosen: list[StreamStatistics]) -> dict[str, Json]:
    failing = sum(each.state is StreamState.FAILING for each in chosen)
    return {
        "health": "degraded" if failing else "ok",
        "stream_count": len(chosen),
        "running_count": sum(each.state is StreamState.RUNNING for each in chosen),
        "failing_count": failing,
        "watched_count": sum(each.watched for each in chosen),
    }


def _headlines(samples: Mapping[str, Sample]) -> dict[str, Json]:
    return {field: samples[stream].get(field) if stream in samples else None for stream, field in _HEADLINES}


def _shown_within(
    chosen: list[StreamStatistics], samples: Mapping[str, Sample], most_bytes: int
) -> Iterator[tuple[str, Json]]:
    room = most_bytes
    for stream in chosen:
        sample = samples.get(stream.stream)
        size = 0 if sample is None else len(json_dumps(dict(sample)))
        shown = _shown(stream, sample if size <= room else None)
        if size > room:
            shown["message"] = f"sample of {size} bytes is left out: the reply has metric_data_bytes={most_bytes}"
        else:
            room -= size
        yield stream.stream, shown


def _shown(stream: StreamStatistics, sample: Sample | None) -> dict[str, Json]:
    return {
        "data": None if sample is None else dict(sample),
        "timestamp": None if stream.sampled_at is None else format_timestamp(stream.sampled_at),
        "state": stream.state.value,
        "message": stream.message,
    }
