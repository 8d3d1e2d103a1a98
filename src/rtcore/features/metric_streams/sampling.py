"""
The tasks that ask sources: one for each stream that somebody wants, and none for the others.

A source is asked by its own task and no other, so it is never asked twice at once, and one that hangs holds up nobody
else. Its time is watched by a timer, not only by its scope: a source that cannot be cancelled, waiting for a thread
say, is reported all the same when its time is over.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import trio

from rtcore.errors import RequestError
from rtcore.features.metric_streams.settings import MetricSettings
from rtcore.features.metric_streams.stream import Sample, Stream, next_turn
from rtcore.hub.timeouts import TimeoutWatcher

__all__ = ["Sampling", "SamplingOutcome"]

_logger = logging.getLogger("rtcore.metric_streams")


class SamplingOutcome(Protocol):
    """What becomes of a turn; nothing here blocks or raises."""

    def sampled(self, stream: Stream, sample: Sample) -> None:
        """There is a sample."""

    def failed(self, stream: Stream, message: str) -> None:
        """There is none; `message` is for the stream's clients."""


class Sampling:
    """
    Args:
        timeouts: Where the time of sources is watched.
        settings: How long that is.
        outcome: Told of each turn.
    """

    def __init__(self, timeouts: TimeoutWatcher, settings: MetricSettings, outcome: SamplingOutcome) -> None:
        self.nursery: trio.Nursery | None = None
        """Where the tasks live, while the feature runs."""
        self._timeouts = timeouts
        self._settings = settings
        self._outcome = outcome
        self._scopes: dict[Stream, trio.CancelScope] = {}
        self._turns: dict[Stream, trio.Event] = {}

    def look(self, stream: Stream) -> None:
        """Begin to ask a stream's source, or end it, as it is wanted now."""
        if self.nursery is None or (stream.source is None and stream.companion is None):
            return
        scope = self._scopes.get(stream)
        if stream.wanted and scope is None:
            self._scopes[stream] = trio.CancelScope()
            self.nursery.start_soon(self._serve, stream, name=f"metric stream {stream.name}")
        elif not stream.wanted and scope is not None:
            scope.cancel()

    def forget(self, stream: Stream) -> None:
        """Ask a stream's source no more, whoever still wants it."""
        stream.source = stream.companion = None
        scope = self._scopes.get(stream)
        if scope is not None:
            scope.cancel()
        self._wake(stream)

    def asking(self, stream: Stream) -> bool:
        """Whether a task is on it."""
        return stream in self._scopes

    async def turn(self, stream: Stream) -> None:
        """Wait until the source's next turn has had its outcome; a checkpoint."""
        await self._turns.setdefault(stream, trio.Event()).wait()

    async def _serve(self, stream: Stream) -> None:
        try:
            with self._scopes[stream]:
                await self._run(stream)
        finally:
            del self._scopes[stream]
        # Only where the hub goes on: wanted again while a source took its time to be cancelled.
        self.look(stream)

    async def _run(self, stream: Stream) -> None:
        async with trio.open_nursery() as nursery:
            if stream.companion is not None:
                nursery.start_soon(self._accompany, stream, stream.companion)
            if stream.source is not None:
                await self._ask_on(stream)
                nursery.cancel_scope.cancel()

    async def _accompany(self, stream: Stream, companion: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await companion()
            except Exception as error:  # a companion that fails must harm only its stream
                self._fail(stream, error)
            await trio.sleep(self._settings.retry_seconds)

    async def _ask_on(self, stream: Stream) -> None:
        assert stream.interval is not None
        due = max(trio.current_time(), stream.next_turn)
        while True:
            await trio.sleep_until(due)
            await self._ask(stream)
            due = stream.next_turn = next_turn(
                due,
                trio.current_time(),
                stream.interval,
                stream.failures_in_a_row,
                self._settings.retry_seconds,
            )
            if not stream.wanted:
                return

    async def _ask(self, stream: Stream) -> None:
        assert stream.source is not None
        scope = trio.CancelScope()
        deadline = trio.current_time() + self._settings.sample_seconds
        timer = self._timeouts.call_at(deadline, partial(self._late, stream, scope))
        try:
            with scope:
                sample = await stream.source()
        except Exception as error:  # a source is the application's: whatever it raises must harm only its stream
            self._fail(stream, error)
        else:
            if not scope.cancelled_caught:
                self._outcome.sampled(stream, sample)
        finally:
            timer.cancel()
        self._settle(stream)

    def _late(self, stream: Stream, scope: trio.CancelScope) -> None:
        message = f"no sample within sample_seconds={self._settings.sample_seconds:g}"
        if not stream.failures_in_a_row:
            _logger.error("metric stream %s: %s", stream.name, message)
        self._outcome.failed(stream, message)
        scope.cancel()
        self._wake(stream)

    def _fail(self, stream: Stream, error: Exception) -> None:
        if not stream.failures_in_a_row:  # once for each time that it breaks, not once for each turn
            _logger.error("metric stream %s: its source failed", stream.name, exc_info=error)
        # The text of an exception may hold what is not for clients: addresses, queries, passwords.
        told = error.message if isinstance(error, RequestError) else f"the source failed: {type(error).__name__}"
        self._outcome.failed(stream, told)

    def _settle(self, stream: Stream) -> None:
        stream.asked = False
        self._wake(stream)

    def _wake(self, stream: Stream) -> None:
        turn = self._turns.pop(stream, None)
        if turn is not None:
            turn.set()
