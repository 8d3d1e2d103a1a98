"""
A block of code whose end is an event.

`async with` on a scope publishes that something began; leaving the block publishes `<family>.completed` or, when an
exception leaves it, `<family>.failed`. Entering is a checkpoint. Leaving is not: publishing does not block, so
nothing, cancellation included, can come between the end of the block and its event, and no shield is needed.

There is one end, whatever happens. The scope is over before its end is published, so a publisher that fails, or that
calls back into the scope, cannot bring about another. A failure that cannot be published is logged; the exception
that leaves the block is never replaced, least of all a cancellation. A success that cannot be published (its result
is no JSON, the hub has ended) becomes a failure: that is published, and the refusal raised.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Self

import trio

from rtcore.features.failure import bounded_text, describe_failure, log_failure
from rtcore.features.feature import Publisher
from rtcore.features.task_state import LifeState
from rtcore.values.events import Json
from rtcore.values.limits import Limits

__all__ = ["Scope", "new_identifier"]

_logger = logging.getLogger(__name__)


def new_identifier() -> str:
    """Sixteen random characters: unique among everything that one hub ever sees."""
    return secrets.token_hex(8)


class Scope:
    """What tasks, tools and workflows share; see the module."""

    def __init__(
        self, publisher: Publisher, limits: Limits, *, family: str, name: str, identity: Mapping[str, Json]
    ) -> None:
        """
        Args:
            publisher: Where the events go.
            limits: Bounds of texts.
            family: First part of the event types, `task`; events go to the channel `tasks`.
            name: For people; need not be unique.
            identity: Fields that every event of this scope carries.
        """
        self.name = name
        self._publisher = publisher
        self._limits = limits
        self._family = family
        self._identity = {field: value for field, value in identity.items() if value is not None}
        self._life = LifeState(f"{family} {name!r}")
        self._result: Json = None
        self._began_at = 0.0

    @property
    def ended(self) -> bool:
        """Whether the block was left."""
        return self._life.ended

    @property
    def result(self) -> Json:
        """What `completed` will carry; None for nothing."""
        return self._result

    @result.setter
    def result(self, result: Json) -> None:
        self._life.check_running()
        self._result = result

    async def __aenter__(self) -> Self:
        self._life.begin()
        try:
            await trio.lowlevel.checkpoint()
        except BaseException:
            self._life.end()
            raise
        self._began_at = trio.current_time()
        try:
            self._begin()
        except BaseException as error:  # some of the beginning may be out: then its end must follow
            self._life.end()
            self._fail(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._life.end()
        if error is not None:
            self._fail(error)
            return
        try:
            self._complete()
        except Exception as refusal:
            self._fail(refusal)
            raise
        self._settle(completed=True)

    def _complete(self) -> None:
        data = self._final_data("completed")
        if self._result is not None:
            data["result"] = self._result
        self._publish("completed", data)

    def _fail(self, error: BaseException) -> None:
        failure = describe_failure(error, self._limits.output_line_bytes)
        log_failure(_logger, self._life.label, error, failure)
        data = self._final_data("failed") | {"error_type": failure.error_type, "error": failure.error}
        if failure.cancelled:
            data["cancelled"] = True
        self._attempt(partial(self._publish, "failed", data))
        self._attempt(partial(self._settle, completed=False))

    def _attempt(self, publish: Callable[[], None]) -> None:
        try:
            publish()
        except Exception:  # any publisher, any error: the exception that is leaving the block must not be replaced
            _logger.exception("the end of %s could not be published", self._life.label)

    def _final_data(self, status: str) -> dict[str, Json]:
        return {"status": status, "duration": round(trio.current_time() - self._began_at, 6)}

    def _publish(self, verb: str, data: Mapping[str, Json], *, key: str | None = None) -> None:
        self._publisher.publish(f"{self._family}s", f"{self._family}.{verb}", {**self._identity, **data}, key=key)

    def _text(self, text: str) -> str:
        """Text from the program, made fit for JSON and bounded."""
        return bounded_text(text, self._limits.output_line_bytes)

    def _begin(self) -> None:
        """Publish the beginning."""

    def _settle(self, *, completed: bool) -> None:
        """Tell whoever counts on this scope how it ended."""
