"""What is known of one stream; no Trio, no hub."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Final

from attrs import define, field, frozen

from rtcore.values.events import Json, format_timestamp

__all__ = [
    "LEAST_INTERVAL_SECONDS",
    "NAME_LENGTH",
    "Source",
    "Stream",
    "StreamState",
    "StreamStatistics",
    "check_stream_name",
    "next_turn",
]

Sample = Mapping[str, Json]
Source = Callable[[], Awaitable[Sample]]
"""Takes one sample: a JSON object. Called by one task at a time."""

NAME_LENGTH: Final = 64
"""Longest name of a stream, in characters."""
LEAST_INTERVAL_SECONDS: Final = 0.05
"""Shortest interval: twenty samples a second are more than an eye can follow."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_DOUBLINGS: Final = 16
"""After so many failures the pause has long reached its maximum, and doubling on would only make a large number."""


class StreamState(StrEnum):
    """How a stream is."""

    IDLE = "idle"
    """Nobody is watching, so its source is not asked."""
    RUNNING = "running"
    """Its source is asked once per interval."""
    FAILING = "failing"
    """Its source raised or took too long, and is asked less and less often."""
    PUSHED = "pushed"
    """It has no source; its samples are published."""


@frozen(kw_only=True)
class StreamStatistics:
    """A snapshot of one stream; totals count since it was registered."""

    stream: str
    """Its name."""
    state: StreamState
    """How it is."""
    interval_seconds: float | None
    """Time from one sample to the next; None where they are pushed."""
    watched: bool
    """Whether somebody is subscribed to it."""
    samples: int
    """Samples published."""
    failures: int
    """Times that its source raised or took too long."""
    sampled_at: float | None
    """When the newest sample was published, in Unix seconds."""
    failing_since: float | None
    """When the failures in a row began, in Unix seconds."""
    message: str | None
    """What is wrong, in words for its clients."""

    def document(self) -> dict[str, Json]:
        """The same as JSON."""
        return {
            "stream": self.stream,
            "state": self.state.value,
            "interval_seconds": self.interval_seconds,
            "watched": self.watched,
            "samples": self.samples,
            "failures": self.failures,
            "sampled_at": None if self.sampled_at is None else format_timestamp(self.sampled_at),
            "failing_since": None if self.failing_since is None else format_timestamp(self.failing_since),
            "message": self.message,
        }


@define(eq=False)
class Stream:
    """One stream."""

    name: str
    source: Source | None = None
    """None: samples are pushed."""
    interval: float | None = None
    """Seconds; None where samples are pushed."""
    always: bool = False
    """Whether its source is asked also while nobody watches."""
    companion: Callable[[], Awaitable[None]] | None = None
    """What runs beside the source while it is asked, such as a subscription that it draws from."""
    observed: bool = True
    """Whether its samples are handed to observers: not where they tell what observers did."""
    clients: bool = False
    """Whether clients may push samples to it; never where it has a source or a companion."""
    watched: bool = False
    """Whether somebody is subscribed to it."""
    asked: bool = False
    """Whether somebody wants one sample, and no more."""
    needed_by: set[object] = field(factory=set)
    """Who needs its samples in this process: rules of alerts, other streams."""
    next_turn: float = -math.inf
    """When the source may be asked next, in steady seconds: coming and going does not make it come sooner."""
    latest: Sample | None = None
    sampled_at: float | None = None
    samples: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    failing_since: float | None = None
    message: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is a reason to ask the source."""
        return self.watched or self.always or self.asked or bool(self.needed_by)

    @property
    def state(self) -> StreamState:
        """How it is."""
        if self.failing_since is not None:
            return StreamState.FAILING
        if self.source is None:
            return StreamState.PUSHED
        return StreamState.RUNNING if self.wanted else StreamState.IDLE

    def succeed(self, sample: Sample, now: float) -> None:
        """A sample was published; `now` in Unix seconds."""
        self.latest, self.sampled_at = sample, now
        self.samples += 1
        self.failures_in_a_row = 0
        self.failing_since = self.message = None

    def fail(self, message: str, now: float) -> bool:
        """
        There was no sample.

        Args:
            message: Why, for its clients.
            now: Unix seconds.

        Returns:
            Whether that is news: the first failure in a row, or another reason than before.
        """
        news = message != self.message
        self.message = message
        self.failures += 1
        self.failures_in_a_row += 1
        if self.failing_since is None:
            self.failing_since = now
        return news

    def statistics(self) -> StreamStatistics:
        """A snapshot."""
        return StreamStatistics(
            stream=self.name,
            state=self.state,
            interval_seconds=self.interval,
            watched=self.watched,
            samples=self.samples,
            failures=self.failures,
            sampled_at=self.sampled_at,
            failing_since=self.failing_since,
            message=self.message,
        )


def check_stream_name(name: str) -> str:
    """
    Return the name if it may be a stream's.

    Raises:
        ValueError: If it may not.
    """
    if len(name) > NAME_LENGTH:
        raise ValueError(f"stream name of {len(name)} characters exceeds the limit of {NAME_LENGTH}")
    if not _NAME.fullmatch(name):
        raise ValueError("stream name must be letters, digits, '_', '.' or '-', and begin with a letter or digit")
    return name


def next_turn(due: float, now: float, interval: float, failures: int, most: float) -> float:
    """
    When a source is asked again; all in steady seconds.

    Args:
        due: When it was its turn: the schedule is kept to that, however late it came and however long it took.
        now: When it had answered; turns that passed meanwhile are left out.
        interval: Of the stream.
        failures: In a row.
        most: Longest pause after a failure, where the interval is not longer.
    """
    if failures:
        return now + min(interval * (1 << min(failures - 1, _DOUBLINGS)), max(most, interval))
    return due + interval * max(1, math.ceil((now - due) / interval))
