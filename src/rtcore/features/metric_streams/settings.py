"""What can be set of metric streams."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen

from rtcore.values.rules import Rule, each, number, text

__all__ = ["MetricSettings"]

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
_OVER_0: Final = number(over=True)


def _roles(names: Iterable[str]) -> frozenset[str]:
    return names if isinstance(names, str) else frozenset(names)  # type: ignore[return-value]  # a fault, named by its rule


def _is_intervals(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and type(seconds) in (int, float) and 0 < seconds < math.inf
        for name, seconds in value.items()
    )


@frozen(kw_only=True)
class MetricSettings:
    """How often streams are sampled, and how long their sources may take."""

    update_seconds: float = field(default=5.0, validator=_OVER_0)
    """Time from one sample of a stream to the next, where neither the stream nor `intervals` says otherwise."""
    intervals: Mapping[str, float] = field(
        default=_NONE, validator=Rule("a table of seconds over 0 by stream", _is_intervals)
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
    client_streams: frozenset[str] = field(default=frozenset(), converter=_roles, validator=each(text()))
    """Streams that are there from the beginning, and that these clients may push to."""
    currency: str = field(default="USD", validator=text())
    """Currency of costs that name none."""
