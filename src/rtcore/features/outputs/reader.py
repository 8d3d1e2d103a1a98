"""Reading an output in the producer's process."""

from __future__ import annotations

from typing import Any, Self, cast

from rtcore.errors import HubClosed, OutputCancelled, OutputFailed, RtcoreError
from rtcore.features.outputs.output import Output
from rtcore.features.outputs.output_state import Content, Kind, OutputStatus
from rtcore.hub.subscription import Subscription

__all__ = ["OutputReader"]


class OutputReader:
    """
    The content of one output, stretch by stretch, as an async iterator; it ends where the output does.

    Args:
        output: What is read.
        events: Its channel, subscribed to just now.
        index: Where to begin.
    """

    def __init__(self, output: Output[Any], events: Subscription, index: int) -> None:
        self.index = index
        """Characters or items that have been read, or passed over since they are no longer kept."""
        self._output = output
        self._events = events
        self._look = True  # at what is kept: first of all for what was written before the subscription
        self._over = output.state.ended  # no event will say so

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Content:
        """
        The next stretch; a checkpoint. Cancelling it loses nothing.

        Raises:
            OutputFailed: If the producer failed.
            OutputCancelled: If somebody asked for the end.
            HubClosed: If the hub has ended.
        """
        while True:
            if self._look:
                self._look = False
                content = self._output.state.content(self.index)
                if content.end > max(self.index, content.index):
                    break
            if self._over:
                self._raise_end()
            content = await self._next_chunk()
            if content.end > self.index:
                break
        self.index = content.end
        return content

    async def _next_chunk(self) -> Content:
        """What the next event has, with what is kept of what was lost before it; nothing, where it is no chunk."""
        state = self._output.state
        try:
            event = await self._events.__anext__()
        except HubClosed:
            if not state.ended:
                raise
            self._over = self._look = True
            return Content(self.index)
        if event.type != "output.chunk":  # an end; or a notice of what this reader was too slow for
            self._over = state.ended
            self._look = self._over or state.first <= self.index  # else what is kept begins behind what still comes
            return Content(self.index)
        content = self._content(cast("dict[str, Any]", event.data))
        if content.index > self.index:
            kept = state.content(self.index)
            return kept if kept.index < content.index else content  # which alone has it, where all are short of room
        return content

    def _content(self, data: dict[str, Any]) -> Content:
        """A chunk's stretch, from where this reader stands."""
        begin = max(int(data["index"]), min(self.index, int(data["index"]) + len(data.get("text") or data["items"])))
        skip = begin - int(data["index"])
        if self._output.state.kind is Kind.TEXT:
            return Content(begin, data["text"][skip:])
        return Content(begin, items=tuple(data["items"][skip:]))

    def _raise_end(self) -> None:
        status, reason = self._output.state.status, self._output.reason
        error: RtcoreError | None = None
        if status is OutputStatus.FAILED:
            error = OutputFailed(f"output {self._output.output_id} failed: {reason}")
        elif status is OutputStatus.CANCELLED:
            error = OutputCancelled(
                f"output {self._output.output_id} was cancelled" + (f": {reason}" if reason else "")
            )
        if error is not None:
            raise error
        raise StopAsyncIteration
