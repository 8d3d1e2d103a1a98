"""
One output, as its producer has it: a block whose end is the output's end.

Readers cannot harm it: writing never waits for them, and their leaving changes nothing. To end it from outside is a
command of its own, which cancels the block; the cancellation stops at the end of it.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import trio

from rtcore.errors import ErrorCode, HubClosed, RequestError
from rtcore.features.failure import bounded_text, describe_failure, log_failure
from rtcore.features.outputs.output_events import OutputEvents
from rtcore.features.outputs.output_state import Content, Kind, OutputState, OutputStatus
from rtcore.features.outputs.settings import OutputSettings
from rtcore.hub.hub import Hub
from rtcore.hub.timeouts import Timer
from rtcore.protocol.json_codec import json_depth_exceeds, json_dumps
from rtcore.values.events import Json

__all__ = ["ItemOutput", "Output", "TextOutput"]

logger = logging.getLogger("rtcore.outputs")

_T = TypeVar("_T", str, Json)
_ITEM_DEPTH: Final = 240
"""Deepest nesting of an item: JSON is written 254 levels deep, and 6 of them are around an item in `subscribed`."""

_END_SHARE: Final = 8
"""What part of a message each of the words of an end may fill, as JSON; there are two of them, and the name."""
_FAILURE_SHARE: Final = 32
"""What part the text of a failure may fill: it is told twice, and a character of it may take six bytes as JSON."""


class Output(ABC, Generic[_T]):
    """What text and items have in common; `Outputs.text` and `Outputs.items` make one."""

    def __init__(
        self,
        hub: Hub,
        settings: OutputSettings,
        *,
        output_id: str,
        name: str,
        kind: Kind,
        channel: str,
        directory: str,
        owner: str | None,
        began: Callable[[Output[str] | Output[Json]], None],
        grew: Callable[[Output[str] | Output[Json]], None],
        ended: Callable[[Output[str] | Output[Json]], None],
    ) -> None:
        self.output_id = output_id
        self.name = bounded_text(name, settings.name_bytes)
        self.events = OutputEvents(hub, channel, directory)
        """What is published of it."""
        self.owner = owner
        """The user whose it is; None: the workspace's."""
        self.number = 0
        """How many outputs began before it."""
        self.state = OutputState(kind, min(settings.kept_bytes, settings.total_bytes))
        """How far it is; to be read only."""
        self.reason: str | None = None
        """Why it failed or was cancelled, in words for readers."""
        self._hub = hub
        self._settings = settings
        self._began, self._grew, self._ended = began, grew, ended
        self._scope = trio.CancelScope()
        self._entered = False
        self._cancelled_by: str | None = None
        self._pending: list[_T] = []
        self._pending_bytes = 0
        self._next_chunk = 0.0
        self._timer: Timer | None = None

    @property
    def channel(self) -> str:
        """Where its content is published."""
        return self.events.channel

    @property
    def directory(self) -> str:
        """Where its beginning and end are published too, beside those of others with the same readers."""
        return self.events.directory

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked for its end; known inside the block and after it."""
        return self._cancelled_by is not None

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError(f"output {self.output_id} has begun already")
        await trio.lowlevel.checkpoint()
        self._entered = True
        self._began(self)
        try:
            self.events.started(self.summary())
        except HubClosed:  # nobody will leave a block that was not entered
            self.state.end(OutputStatus.FAILED)
            self._ended(self)
            raise
        self._scope.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            caught = bool(self._scope.__exit__(kind, error, traceback))
        except BaseException as left:  # something failed while it cleaned up after the cancellation that stops here
            self._fail(left)
            raise
        if error is not None and not caught:
            self._fail(error)
        elif self.cancelled:
            self._end(OutputStatus.CANCELLED, {"by": self._cancelled_by, "reason": self.reason})
        else:
            self._end(OutputStatus.COMPLETED, {})
        return caught

    def _fail(self, error: BaseException) -> None:
        """End it for an exception that is leaving the block and must not be replaced."""
        limits = self._hub.limits
        failure = describe_failure(error, min(limits.output_line_bytes, limits.message_bytes // _FAILURE_SHARE))
        log_failure(logger, f"output {self.output_id}", error, failure)
        self.reason = failure.error
        try:
            self._end(
                OutputStatus.FAILED,
                {"error_type": failure.error_type, "error": failure.error, "cancelled": failure.cancelled},
            )
        except Exception:
            logger.exception("the end of output %s could not be published", self.output_id)

    def cancel(self, *, by: str = "", reason: str | None = None) -> bool:
        """
        Ask for its end: the producer's block is cancelled, and readers are told `output.cancelled`.

        Args:
            by: The user who asked.
            reason: In words for readers.

        Returns:
            False if it had ended, or somebody had asked already.

        Raises:
            RequestError: If JSON cannot carry what is said, or it is too long to be told.
        """
        self._check_words("by", by)
        if reason is not None:
            self._check_words("reason", reason)
        if self.state.ended or self.cancelled:
            return False
        self._cancelled_by, self.reason = by, reason
        self._scope.cancel()
        return True

    def _check_words(self, field: str, words: str) -> None:
        """What is refused here could not be told at the end, when it is too late to say so."""
        if not isinstance(words, str):
            raise TypeError(f"{field}: expected text (str), got {type(words).__name__}")
        size, most = len(json_dumps(words, field=field)), self._hub.limits.message_bytes // _END_SHARE
        if size > most:
            problem = f"{field}: {size} bytes exceed {most}, message_bytes / {_END_SHARE}"
            raise RequestError(ErrorCode.TOO_LARGE, problem, field=field)

    def summary(self) -> dict[str, Json]:
        """What is told of it without its content."""
        return {
            "output_id": self.output_id,
            "name": self.name,
            "kind": self.state.kind.value,
            "status": self.state.status.value,
            "channel": self.channel,
            "length": self.state.length,
            "reason": self.reason,
        }

    def document(self) -> dict[str, Json]:
        """What is told of it, with its content as far as it was published: the first page of what is kept."""
        return self.page(0)

    def page(self, index: int) -> dict[str, Json]:
        """
        What is told of it, with a page of its content from `index` on.

        `more` says whether the page ends before what was published does, and `next` where the next one begins.
        """
        settings = self._settings
        content = self.state.page(index, settings.page_length, settings.page_bytes)
        more = {"next": content.end, "more": content.end < self.state.length}
        return self.summary() | self.stretch(content) | more

    def stretch(self, content: Content) -> dict[str, Json]:
        """A stretch of it as readers are told."""
        if self.state.kind is Kind.TEXT:
            return {"index": content.index, "text": content.text}
        return {"index": content.index, "items": list(content.items)}

    def _add(self, value: _T, size: int) -> None:
        if self.state.ended or not self._entered:
            raise RuntimeError(f"output {self.output_id} {'has ended' if self._entered else 'has not begun'}")
        limit = self._hub.limits.message_bytes
        if size > limit // 2:
            raise RequestError(
                ErrorCode.TOO_LARGE,
                f"a piece of {size} bytes exceeds half of message_bytes={limit}; write less at once",
            )
        if self._pending_bytes + size > limit // 2:
            self._flush()
        self._pending.append(value)
        self._pending_bytes += size
        now = trio.current_time()
        if now >= self._next_chunk or self._pending_bytes >= self._settings.chunk_bytes:
            self._flush()
        elif self._timer is None:
            self._timer = self._hub.timeouts.call_at(self._next_chunk, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._flush()

    def _flush(self) -> None:
        """Publish what was written and has not left yet."""
        if not self._pending:
            return
        content = self._append(self._pending)
        self._pending, self._pending_bytes = [], 0
        self._next_chunk = trio.current_time() + self._settings.chunk_seconds
        self._grew(self)
        self.events.chunk({"output_id": self.output_id, **self.stretch(content)})

    @abstractmethod
    def _append(self, written: list[_T]) -> Content:
        """Note what was written, one or more pieces; the stretch that they are."""

    def _end(self, status: OutputStatus, data: dict[str, Json]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        try:
            self._flush()
        finally:
            self.state.end(status)
            self._ended(self)
            self.events.ended(f"output.{status.value}", self.summary() | data)


class TextOutput(Output[str]):
    """Text, such as the tokens of a language model."""

    def write(self, text: str) -> None:
        """
        Add text; never blocks. What is written in quick succession leaves together.

        Raises:
            RequestError: If it is too large for one message.
            RuntimeError: If the block has not begun, or has ended.
            TypeError: If it is no text.
        """
        if not isinstance(text, str):
            raise TypeError(f"output {self.output_id}: expected text (str) to write, got {type(text).__name__}")
        if text:
            text = text.encode(errors="replace").decode()  # a lone surrogate is nothing that JSON can carry
            self._add(text, len(json_dumps(text)))

    def _append(self, written: list[str]) -> Content:
        return self.state.append_text("".join(written))


class ItemOutput(Output[Json]):
    """A sequence of JSON values, such as the records of a log."""

    def append(self, item: Json) -> None:
        """
        Add one item, which must not be changed afterwards; never blocks.

        Raises:
            RequestError: If JSON cannot carry it, it is nested deeper than 240 levels, or too large for one message.
            RuntimeError: If the block has not begun, or has ended.
        """
        text = json_dumps(item)
        if json_depth_exceeds(text, _ITEM_DEPTH):
            raise RequestError(ErrorCode.TOO_DEEP, f"an item is nested deeper than {_ITEM_DEPTH} levels")
        self._add(item, len(text))

    def _append(self, written: list[Json]) -> Content:
        return self.state.append_items(written)
