"""What can be set of metric streams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen

from rtcore.features.metric_streams.stream import LEAST_INTERVAL_SECONDS, check_stream_name
from rtcore.values.rules import each, number, table, text

__all__ = ["BUILT_IN_STREAMS", "MetricSettings"]

BUILT_IN_STREAMS: Final = frozenset(
    {"agent_performance", "alert_events", "cost", "cpu", "delivery", "disk", "ecosystem_correlation"}
    | {"flow_executions", "memory", "network", "performance_metrics", "scaling_status", "user_activity", "websocket"}
)
"""The streams that every hub has."""

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
_OVER_0: Final = number(over=True)
_INTERVAL: Final = number(LEAST_INTERVAL_SECONDS)


def _roles(names: Iterable[str]) -> frozenset[str]:
    return names if isinstance(names, str) else frozenset(names)  # type: ignore[return-value]  # a fault, named by its rule


def _is_name(name: str) -> bool:
    try:
        return bool(check_stream_name(name))
    except ValueError:
        return False


_NAME: Final = text('a name of at most 64 letters, digits, "_", "." and "-"', _is_name)
_NEW_NAME: Final = text(
    f"{_NAME.expectation}, and not that of a stream that every hub has",
    lambda name: _is_name(name) and name not in BUILT_IN_STREAMS,
)


@frozen(kw_only=True)
class MetricSettings:
    """How often streams are sampled, and how long their sources may take."""

    update_seconds: float = field(default=5.0, validator=_INTERVAL)
    """Time from one sample of a stream to the next, where neither the stream nor `intervals` says otherwise."""
    intervals: Mapping[str, float] = field(
        default=_NONE,
        validator=table(f"a table by stream of {_INTERVAL.expectation}", _NAME, _INTERVAL),
    )
    """The same by stream; what is here comes before what the code says that registers the stream."""
    sample_seconds: float = field(default=10.0, validator=_OVER_0)
    """Longest time of one sample; a source that takes longer is cancelled, and its stream says so."""
    retry_seconds: float = field(default=60.0, validator=_OVER_0)
    """Longest pause of a source that fails: its interval doubles with each failure in a row, up to this."""
    answer_seconds: float = field(default=1.0, validator=_OVER_0)
    """How long whoever asks for the newest values waits for those of streams that nobody was watching."""
    agent_seconds: float = field(default=300.0, validator=_OVER_0)
    """Window of the figures of agents."""
    publish_roles: frozenset[str] = field(
        default=frozenset({"admin", "publisher"}), converter=_roles, validator=each(text())
    )
    """Roles of which a client needs one to push samples with `metrics.publish`."""
    client_streams: frozenset[str] = field(default=frozenset(), converter=_roles, validator=each(_NEW_NAME))
    """Streams that are there from the beginning, and that these clients may push to."""
    currency: str = field(default="USD", validator=text())
    """Currency of costs that name none."""
